"""HTTP ``Negotiate`` (RFC 4559) with Kerberos, and only with Kerberos.

::

    ->  a request without Authorization
    <-  401  WWW-Authenticate: Negotiate
    ->  Authorization: Negotiate <token>           spnego.read_token, Exchange.step
    <-  the answer, with WWW-Authenticate: Negotiate <token>, by which the client knows the server
    or  401  WWW-Authenticate: Negotiate <token>   SPNEGO needs another leg, on the same connection
    or  401  WWW-Authenticate: Negotiate           refused; never ``NTLM`` (R-CEG-122)
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from cspd.authentication.spnego import (
    DEPRECATED_ENCRYPTION,
    MAX_TOKEN,
    STRONG_ENCRYPTION,
    NegotiationToken,
    TokenError,
    read_token,
)
from cspd.directory.threads import Threads
from cspd.directory.values import Principal
from cspd.refusals import Unauthorized, Unavailable

SCHEME: Final = b"Negotiate"
MAX_HEADER: Final = 4 * ((MAX_TOKEN + 2) // 3) + len(SCHEME) + 1
"""Octets of an Authorization header that can be a token: what a route needs as ``max_header_bytes``, and some."""
NOT_ACCEPTED: Final = "the Kerberos ticket is not accepted"
"""The reason of every Unauthorized for a ticket."""
NEEDED: Final = "a Kerberos ticket is needed"

MAX_UNFINISHED: Final = 1000
UNFINISHED_FOR: Final = timedelta(seconds=60)


class NotAccepted(Exception):
    """A ticket or token is not accepted; the text says why, for the log."""


class Exchange(Protocol):
    """Tokens to and fro until a client is known. Blocks for a moment: a file is read and written."""

    def step(self, token: bytes) -> bytes | None:
        """Take a token, give one for the client (None: nothing to say); raises :class:`NotAccepted`."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the client is known."""
        ...

    def principal(self) -> Principal:
        """Who the client is, once complete; raises :class:`NotAccepted` for a ticket that is not for us."""
        ...


class Acceptor(Protocol):
    """Has the keys of the service."""

    def begin(self, channel_binding: bytes | None) -> Exchange:
        """A new exchange. A client that binds its ticket to a TLS connection must have bound it to this one."""
        ...


@dataclass(frozen=True, slots=True)
class Negotiated:
    """A client that is known."""

    principal: Principal
    header: bytes | None
    """The value of ``WWW-Authenticate`` of the answer: the server's own proof."""


@dataclass(frozen=True, slots=True)
class AnotherLeg:
    """The client has to send another token, on the same connection."""

    header: bytes
    """The value of ``WWW-Authenticate`` of a 401."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """An exchange, and whether a Kerberos ticket whose algorithm is good has been in it."""

    exchange: Exchange
    ticket_seen: bool = False


class Negotiation:
    """Recognizes clients by their Kerberos tickets."""

    def __init__(
        self,
        acceptor: Acceptor,
        *,
        threads: Threads,
        seconds: Callable[[], float],
        allow_deprecated: bool = False,
    ) -> None:
        """``seconds`` is a clock that does not go back; ``allow_deprecated`` is for 3DES and RC4 (R-CEG-125)."""
        self._acceptor = acceptor
        self._threads = threads
        self._seconds = seconds
        self._good = STRONG_ENCRYPTION | (DEPRECATED_ENCRYPTION if allow_deprecated else frozenset())
        self._unfinished: OrderedDict[bytes, tuple[_Begun, float]] = OrderedDict()

    async def authenticate(
        self, authorization: str | None, *, connection: bytes | None, channel_binding: bytes | None = None
    ) -> Negotiated | AnotherLeg:
        """Who the client is, by the value of ``Authorization``.

        ``connection`` tells the TLS connection from all others (its exporter or tls-unique binding); None if nothing
        does: then a second leg is not possible. ``channel_binding`` is of RFC 5929, with its prefix
        (``tls-server-end-point:`` and the hash of our certificate); None if we do not know it.

        Raises Unauthorized, to be answered with 401 and ``WWW-Authenticate: Negotiate``, and Unavailable.
        """
        begun = self._take(connection)
        token = _token(authorization)
        said = self._read(token)
        if not said.is_continuation:  # maybe another attempt: what was begun before is over
            begun = _Begun(self._acceptor.begin(channel_binding))
        elif begun is None:
            raise _not_accepted("a second token without a first on this connection")
        exchange = begun.exchange
        try:
            answer, principal = await self._threads.run(lambda: _step(exchange, token))
        except NotAccepted as error:
            raise _not_accepted(str(error)) from error
        ticket_seen = begun.ticket_seen or bool(said.encryption_types)
        header = None if answer is None else SCHEME + b" " + base64.b64encode(answer)
        if principal is not None:
            if not ticket_seen:  # the library took something for Kerberos that we did not: its algorithm is unknown
                raise _not_accepted("a ticket in a form that is not known")
            return Negotiated(principal, header)
        if header is None or connection is None:
            raise _not_accepted("the exchange is not complete, and cannot go on")
        self._keep(connection, _Begun(exchange, ticket_seen))
        return AnotherLeg(header)

    def _read(self, token: bytes) -> NegotiationToken:
        try:
            said = read_token(token)
        except TokenError as error:
            raise _not_accepted(str(error)) from error
        refused = said.encryption_types - self._good
        if refused:
            raise _not_accepted(f"a ticket or session key of the encryption types {sorted(refused)}")
        return said

    def _take(self, connection: bytes | None) -> _Begun | None:
        """The exchange that waits on this connection; those that waited too long are forgotten."""
        now = self._seconds()
        while self._unfinished and next(iter(self._unfinished.values()))[1] <= now:
            self._unfinished.popitem(last=False)
        waiting = None if connection is None else self._unfinished.pop(connection, None)
        return None if waiting is None else waiting[0]

    def _keep(self, connection: bytes, begun: _Begun) -> None:
        if len(self._unfinished) >= MAX_UNFINISHED:
            raise Unavailable("too many clients have not finished", retry_after=UNFINISHED_FOR)
        self._unfinished[connection] = begun, self._seconds() + UNFINISHED_FOR.total_seconds()


def _step(exchange: Exchange, token: bytes) -> tuple[bytes | None, Principal | None]:
    """In a thread."""
    answer = exchange.step(token)
    return answer, exchange.principal() if exchange.is_complete else None


def _token(authorization: str | None) -> bytes:
    if authorization is None:
        raise Unauthorized(NEEDED)
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "negotiate" or len(authorization) > MAX_HEADER:
        raise Unauthorized(NEEDED, detail=f"the scheme {scheme[:20]!r}")
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_accepted("no base64") from error


def _not_accepted(detail: str) -> Unauthorized:
    return Unauthorized(NOT_ACCEPTED, detail=detail)
