"""One question to one directory server; blocks, so it runs in a thread.

By ``user_dn``:  -> bind as the user
By a search:     -> bind as ``bind_dn``, search the one entry of the user, bind as that entry on a new connection
With groups:     -> search a group of the user, as the user
"""

from __future__ import annotations

import re
import ssl
from math import ceil
from pathlib import Path

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from plugins.ldap.config import LDAPConfig

_SUCCESS = 0
_REFUSALS = frozenset({19, 32, 34, 48, 49, 50, 53})
"""Result codes of a bind that say no to this user (RFC 4511, A.2): constraintViolation, noSuchObject,
invalidDNSyntax, inappropriateAuthentication, invalidCredentials, insufficientAccessRights, unwillingToPerform."""


class CannotAsk(Exception):
    """The server does not answer, or not to us; the text says why."""


class Directory:
    """Asks one server."""

    def __init__(self, url: str, config: LDAPConfig, *, bind_password: str | None, folder: Path) -> None:
        self.url = url
        self._config = config
        self._bind_password = bind_password
        self._is_ldaps = url.startswith("ldaps://")
        ca_file = None if config.ca_file is None else str(folder / config.ca_file)
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
        self._server = ldap3.Server(
            url,
            use_ssl=self._is_ldaps,
            get_info=ldap3.NONE,
            tls=tls,
            connect_timeout=config.connect_timeout.total_seconds(),
            allowed_referral_hosts=[],
        )

    def is_right(self, user: str, password: str) -> bool:
        """Whether that is the user's password; ``password`` is not empty. Raises CannotAsk."""
        try:
            return self._ask(user, password)
        except (LDAPException, OSError) as error:
            raise CannotAsk(f"{self.url}: {error}") from error

    def _ask(self, user: str, password: str) -> bool:
        config = self._config
        dn = config.user_dn.replace("{user}", escape_rdn(user)) if config.user_dn else self._search(user)
        if dn is None:
            return False
        with self._connection(dn, password) as connection:
            if not self._bind(connection):
                return False
            return config.group_base is None or self._is_in_a_group(connection, config.group_base, user, dn)

    def _search(self, user: str) -> str | None:
        """The name of the user's entry; None unless there is exactly one."""
        config = self._config
        with self._connection(config.bind_dn, self._bind_password) as connection:
            if not self._bind(connection):
                raise CannotAsk(f"{self.url}: does not accept bind_dn and bind_password")
            found = self._entries(connection, config.base, config.filter.replace("{user}", escape_filter_chars(user)))
        return found[0] if len(found) == 1 else None

    def _is_in_a_group(self, connection: ldap3.Connection, base: str, user: str, dn: str) -> bool:
        values = {"{user}": escape_filter_chars(user), "{dn}": escape_filter_chars(dn)}
        wanted = re.sub(r"\{user\}|\{dn\}", lambda found: values[found[0]], self._config.group_filter)
        return bool(self._entries(connection, base, wanted))

    def _entries(self, connection: ldap3.Connection, base: str | None, wanted: str) -> list[str]:
        done, result, response, _ = connection.search(
            base, wanted, attributes=[ldap3.NO_ATTRIBUTES], size_limit=2, dereference_aliases=ldap3.DEREF_NEVER
        )
        if not done and result["result"] not in (_SUCCESS, 4, 32):  # 4: sizeLimitExceeded, so two at least
            raise CannotAsk(f"{self.url}: the search failed: {result['description']}")
        return [entry["dn"] for entry in response or () if entry["type"] == "searchResEntry"]

    def _connection(self, dn: str | None, password: str | None) -> ldap3.Connection:
        return ldap3.Connection(
            self._server,
            user=dn,
            password=password,
            authentication=ldap3.ANONYMOUS if dn is None else ldap3.SIMPLE,
            auto_bind=ldap3.AUTO_BIND_NONE,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            check_names=False,
            receive_timeout=ceil(self._config.read_timeout.total_seconds()),
        )

    def _bind(self, connection: ldap3.Connection) -> bool:
        connection.open(read_server_info=False)
        if self._config.start_tls and not self._is_ldaps:
            connection.start_tls(read_server_info=False)
            if not connection.tls_started:  # the password must not go out in the clear
                raise CannotAsk(f"{self.url}: refuses StartTLS")
        done, result, _, _ = connection.bind(read_server_info=False)
        if not done and result["result"] not in _REFUSALS:
            raise CannotAsk(f"{self.url}: the bind failed: {result['description']}")
        return bool(done)
