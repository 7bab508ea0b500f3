"""Accepting Kerberos tickets with the keys of a keytab; by python-gssapi, which is MIT Kerberos underneath.

The package is an extra (``cspd[kerberos]``): it is compiled at installation. Nothing else imports this module but what
builds an acceptor that conf asks for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gssapi
from gssapi.raw.misc import GSSError

from cspd.authentication.negotiate import NotAccepted
from cspd.authentication.pac import sid_of_upn_dns_info
from cspd.directory.values import Principal
from cspd.refusals import Unavailable

_KERBEROS = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
_SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
_UPN_DNS_INFO = b"urn:mspac:upn-dns-info"


class KeytabAcceptor:
    """Implements :class:`cspd.authentication.negotiate.Acceptor`."""

    def __init__(self, keytab: Path, *, principal: str | None = None, replay_cache: Path | None = None) -> None:
        """``principal`` (``HTTP/ca.example.com``) is the service whose tickets count; any of the keytab's if None.

        ``replay_cache`` is a file that remembers tickets already seen, made at need; the library's own if None, which
        all processes of the user share. Raises Unavailable for a keytab that cannot be read.
        """
        if not keytab.is_file():
            raise Unavailable(f"{keytab} does not exist")
        self._store = {"keytab": str(keytab)}
        if replay_cache is not None:
            self._store["rcache"] = f"file2:{replay_cache}"
        self._principal = principal
        self._credentials = self._read_keytab()

    def begin(self, channel_binding: bytes | None) -> KeytabExchange:
        """See :class:`cspd.authentication.negotiate.Acceptor`."""
        bindings = None if channel_binding is None else gssapi.raw.ChannelBindings(application_data=channel_binding)
        context = gssapi.SecurityContext(creds=self._credentials, usage="accept", channel_bindings=bindings)
        # Otherwise step() keeps an error to itself, and gives a token that tells the client of it.
        context.__DEFER_STEP_ERRORS__ = False
        return KeytabExchange(context, self._principal)

    def _read_keytab(self) -> Any:
        try:
            # SPNEGO alone would not take Kerberos tokens that come without it.
            return gssapi.Credentials(usage="accept", mechs=[_KERBEROS, _SPNEGO], store=self._store)
        except GSSError as error:
            raise Unavailable(f"the keytab {self._store['keytab']} cannot be used: {error}") from error


class KeytabExchange:
    """Implements :class:`cspd.authentication.negotiate.Exchange`."""

    def __init__(self, context: Any, principal: str | None) -> None:
        self._context = context
        self._service = None if principal is None else principal.partition("@")[0].lower()

    def step(self, token: bytes) -> bytes | None:
        """See :class:`cspd.authentication.negotiate.Exchange`."""
        try:
            answer: bytes | None = self._context.step(token)
            return answer
        except GSSError as error:
            raise NotAccepted(str(error)) from error

    @property
    def is_complete(self) -> bool:
        """See :class:`cspd.authentication.negotiate.Exchange`."""
        return bool(self._context.complete)

    def principal(self) -> Principal:
        """See :class:`cspd.authentication.negotiate.Exchange`."""
        try:
            if self._context.mech != _KERBEROS:  # the library has no other that it could accept, and must not get one
                raise NotAccepted(f"the mechanism {self._context.mech}")
            service = str(self._context.target_name).rpartition("@")[0]
            if self._service is not None and service.lower() != self._service:
                raise NotAccepted(f"a ticket for {service}")
            initiator = self._context.initiator_name
            return Principal(name=str(initiator), sid=_sid(initiator))
        except GSSError as error:
            raise NotAccepted(str(error)) from error


def _sid(name: Any) -> str | None:
    """From the PAC, if the ticket has one and the library has verified it."""
    try:
        found = name.attributes[_UPN_DNS_INFO]
    except (KeyError, GSSError):  # no PAC, or none of Active Directory
        return None
    return sid_of_upn_dns_info(found.values[0]) if found.authenticated and found.values else None
