"""The conversation with a domain controller by ldap3: sockets, TLS, bind and search; nothing that writes."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.protocol.microsoft import security_descriptor_control

from plugins.active_directory.conversation import (
    CannotAsk,
    Controller,
    Credentials,
    Entry,
    Found,
    NotThisPassword,
    Search,
    Simple,
)

_SUCCESS, _REFERRAL, _NO_SUCH_OBJECT = 0, 10, 32
_REFUSALS = frozenset({19, 32, 34, 48, 49, 50, 53})
"""Result codes of a bind that say no to this account (RFC 4511, A.2)."""
_PAGE = 500
"""Entries; a domain controller gives 1000 at most ([MS-ADTS] 3.1.1.3.4.6)."""
_PAGED = "1.2.840.113556.1.4.319"
_OWNER_GROUP_DACL = 0x07
_SUB_CODE = re.compile(r"data ([0-9a-f]{3,8})\b")
_WHY: Mapping[str, str] = {
    "525": "no such account",
    "52e": "wrong password",
    "530": "not at this time of day",
    "531": "not at this machine",
    "532": "the password has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the password has to be changed first",
    "775": "the account is locked",
}
"""What a domain controller says beside invalidCredentials: ``data 52e``."""

# What ldap3 raises for octets that are no LDAP, beside its own exceptions.
_BROKEN = (LDAPException, OSError, ValueError, TypeError, KeyError, IndexError, AttributeError)


class LDAPDialler:
    """Implements :class:`plugins.active_directory.conversation.Dialler`."""

    def __init__(
        self,
        *,
        ldaps: bool,
        start_tls: bool,
        trusted_pem: str | None,
        connect_timeout: timedelta,
        read_timeout: timedelta,
    ) -> None:
        """``trusted_pem`` are the issuers of certificates; None for those of the operating system."""
        self._ldaps = ldaps
        self._start_tls = start_tls and not ldaps
        self._trusted_pem = trusted_pem
        self._connect_timeout = connect_timeout.total_seconds()
        self._read_timeout = ceil(read_timeout.total_seconds())

    def __call__(self, controller: Controller, credentials: Credentials) -> LDAPConversation:
        """See :class:`plugins.active_directory.conversation.Dialler`."""
        connection = self._connection(controller, credentials)
        try:
            self._log_on(connection)
        except (CannotAsk, NotThisPassword):
            _end(connection)
            raise
        except (*_BROKEN, *_kerberos_errors()) as error:
            _end(connection)
            raise CannotAsk(f"{controller}: {error}") from error
        return LDAPConversation(controller, connection)

    def _connection(self, controller: Controller, credentials: Credentials) -> ldap3.Connection:
        tls = ldap3.Tls(
            validate=ssl.CERT_REQUIRED,
            ca_certs_data=self._trusted_pem,
            valid_names=[controller.host],
            sni=controller.host,
        )
        server = ldap3.Server(
            controller.address or controller.host,
            controller.port,
            use_ssl=self._ldaps,
            get_info=ldap3.NONE,
            tls=tls,
            connect_timeout=self._connect_timeout,
            allowed_referral_hosts=[],
        )
        return ldap3.Connection(
            server,
            auto_bind=ldap3.AUTO_BIND_NONE,
            client_strategy=ldap3.SAFE_SYNC,
            read_only=True,
            auto_referrals=False,
            check_names=False,
            receive_timeout=self._read_timeout,
            **_authentication(controller, credentials),
        )

    def _log_on(self, connection: ldap3.Connection) -> None:
        connection.open(read_server_info=False)
        if self._start_tls:
            connection.start_tls(read_server_info=False)
            if not connection.tls_started:  # the password must not go out in the clear
                raise CannotAsk(f"{connection.server.host}: refuses StartTLS")
        done, result, _, _ = connection.bind(read_server_info=False)
        if done:
            return
        why = _why(result)
        if result["result"] in _REFUSALS:
            raise NotThisPassword(why)
        raise CannotAsk(f"{connection.server.host}: the logon failed: {why}")


class LDAPConversation:
    """Implements :class:`plugins.active_directory.conversation.Conversation`."""

    def __init__(self, controller: Controller, connection: ldap3.Connection) -> None:
        self._controller = controller
        self._connection = connection

    def search(self, search: Search) -> Found:
        """See :class:`plugins.active_directory.conversation.Conversation`."""
        entries: list[Entry] = []
        cookie: bytes | None = None
        try:
            while True:
                result, response = self._page(search, cookie)
                if result["result"] == _REFERRAL:
                    return Found(referrals=tuple(result["referrals"] or ()))
                if result["result"] not in (_SUCCESS, _NO_SUCH_OBJECT):
                    raise CannotAsk(f"{self._controller}: the search failed: {result['description']}")
                # A domain controller also tells where other naming contexts are (searchResRef): not what was asked.
                entries.extend(_entry(each) for each in response if each["type"] == "searchResEntry")
                cookie = _cookie(result)
                if not cookie or len(entries) > search.limit:
                    return Found(tuple(entries[: search.limit + 1]))
        except _BROKEN as error:
            raise CannotAsk(f"{self._controller}: {error}") from error

    def close(self) -> None:
        """See :class:`plugins.active_directory.conversation.Conversation`."""
        _end(self._connection)

    def _page(self, search: Search, cookie: bytes | None) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        attributes = [*search.attributes, *(["nTSecurityDescriptor"] if search.with_security else [])]
        _, result, response, _ = self._connection.search(
            search.base,
            search.filter,
            search_scope=search.scope.value,
            dereference_aliases=ldap3.DEREF_NEVER,
            attributes=attributes or [ldap3.NO_ATTRIBUTES],
            time_limit=self._connection.receive_timeout,
            controls=security_descriptor_control(sdflags=_OWNER_GROUP_DACL) if search.with_security else None,
            # tokenGroups is read from one object alone, and not in pages ([MS-ADTS] 3.1.1.4.5.19).
            paged_size=None if search.scope.value == ldap3.BASE else min(_PAGE, search.limit + 1),
            paged_cookie=cookie,
        )
        return result, response or ()


def _authentication(controller: Controller, credentials: Credentials) -> dict[str, Any]:
    if isinstance(credentials, Simple):
        return {
            "authentication": ldap3.SIMPLE,
            "user": credentials.user,
            # As octets: SASLprep, which ldap3 applies to text, is not what a domain controller does with passwords.
            "password": credentials.password.encode(),
        }
    return {
        "authentication": ldap3.SASL,
        "sasl_mechanism": ldap3.KERBEROS,
        "sasl_credentials": (controller.host,),
        "user": credentials.principal,
        "cred_store": {
            "client_keytab": str(credentials.keytab),
            "ccache": f"MEMORY:cspd-{credentials.principal}",  # tickets are kept for the next connection
        },
    }


def _kerberos_errors() -> tuple[type[Exception], ...]:
    """What gssapi raises, if it is there; ldap3 lets it through."""
    try:
        from gssapi.exceptions import GSSError
    except ImportError:
        return ()
    return (GSSError,)


def _why(result: Mapping[str, Any]) -> str:
    found = _SUB_CODE.search(str(result.get("message", "")))
    return _WHY.get(found[1], found[0]) if found else str(result["description"])


def _entry(response: Mapping[str, Any]) -> Entry:
    attributes = response["raw_attributes"]
    return Entry(response["dn"], {name.lower(): tuple(values) for name, values in attributes.items() if values})


def _cookie(result: Mapping[str, Any]) -> bytes | None:
    control = result.get("controls", {}).get(_PAGED)
    return control["value"]["cookie"] or None if control else None


def _end(connection: ldap3.Connection) -> None:
    try:
        connection.unbind()
    except _BROKEN:  # the other end is away already
        connection.strategy.close()
