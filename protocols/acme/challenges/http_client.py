"""Fetches one small document from a host that may be hostile.

One request a connection, no cookies, no compression, no redirects of its own; header and body octets are bounded, and
the connection is aborted as soon as enough is known. Time is the caller's to bound, by cancelling.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import httptools
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from protocols.acme.challenges.addresses import IPAddress

MAX_HEADER_OCTETS = 16 * 1024
MAX_FRAMING = 8
"""Octets that may frame one octet of the body (a chunk of its own takes six), beside a header and as much again."""
USER_AGENT = b"cspd ACME validation"


class FetchFailed(Exception):
    """There is no answer; the text is fit for the client."""

    def __init__(self, detail: str, *, may_pass_later: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.may_pass_later = may_pass_later


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """What to fetch, and from where."""

    address: IPAddress
    port: int
    host: str
    """The Host header: the name, and the port unless it is the scheme's."""
    target: str
    """Path and query."""
    tls_name: str | None = None
    """Given for https: the name for SNI."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer; the body is cut at the client's limit."""

    status: int
    location: bytes | None
    body: bytes


class HTTPClient:
    """Fetches."""

    def __init__(self, *, reactor: Any, connect_timeout: float, max_body_octets: int) -> None:
        self._reactor = reactor
        self._connect_timeout = connect_timeout
        self._max_body_octets = max_body_octets

    async def fetch(self, fetch: Fetch) -> Fetched:
        """Send one GET; raises FetchFailed."""
        kind: Any = TCP4ClientEndpoint if fetch.address.version == 4 else TCP6ClientEndpoint
        endpoint = kind(self._reactor, str(fetch.address), fetch.port, timeout=self._connect_timeout)
        factory = _ExchangeFactory(fetch, self._max_body_octets)
        try:
            exchange = await self._connect(endpoint, factory, fetch.tls_name)
        except ConnectingCancelledError as error:  # an endpoint has a name of its own for it, which nobody expects
            raise CancelledError from error
        except (ConnectError, OSError) as error:
            raise FetchFailed(f"no connection to {fetch.address}:{fetch.port}", may_pass_later=True) from error
        try:
            fetched: Fetched = await exchange.answer
            return fetched
        finally:
            exchange.transport.abortConnection()

    async def _connect(self, endpoint: Any, factory: _ExchangeFactory, tls_name: str | None) -> _Exchange:
        if tls_name is None:
            plain: _Exchange = await endpoint.connect(factory)
            return plain
        # Not wrapClientTLS: that takes the global reactor for its timers.
        creator: Any = _UnverifiedTLS(tls_name)
        secured = await endpoint.connect(TLSMemoryBIOFactory(creator, True, cast(Any, factory), clock=self._reactor))
        exchange: _Exchange = secured.wrappedProtocol
        return exchange


@dataclass
class _Received:
    """What the parser has told so far."""

    status: int = 0
    octets: int = 0
    location: bytes | None = None
    has_length: bool = False
    is_past_headers: bool = False
    is_complete: bool = False
    body: bytearray = field(default_factory=bytearray)


class _Exchange(Protocol):
    transport: Any

    def __init__(self, fetch: Fetch, max_body_octets: int) -> None:
        self._fetch = fetch
        self._max_body_octets = max_body_octets
        self._received = _Received()
        self._parser = httptools.HttpResponseParser(self)
        self.answer: Deferred[Fetched] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(
            b"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            % (self._fetch.target.encode("ascii"), self._fetch.host.encode("ascii"), USER_AGENT)
        )

    def dataReceived(self, data: bytes) -> None:
        if self.answer.called:
            return
        received = self._received
        received.octets += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if not received.is_complete:
                self._fail("the answer is not HTTP")
                return
        if received.is_complete or len(received.body) > self._max_body_octets:
            self._finish()
        elif not received.is_past_headers and received.octets > MAX_HEADER_OCTETS:
            self._fail(f"the header of the answer has more than {MAX_HEADER_OCTETS} octets")
        elif received.octets - MAX_FRAMING * len(received.body) > 2 * MAX_HEADER_OCTETS:
            # Chunk extensions and trailers: the parser keeps a trailer whole, however long its host goes on with it.
            self._fail("the answer has little but chunk framing")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.answer.called:
            return
        received = self._received
        if received.is_past_headers and not received.has_length and isinstance(reason.value, ConnectionDone):
            self._finish()  # a body that lasts until the connection ends
        elif received.octets:
            self._fail("the connection was closed within the answer")
        else:
            self._fail("the connection was closed without an answer", may_pass_later=True)

    def _finish(self) -> None:
        received = self._received
        body = bytes(received.body[: self._max_body_octets + 1])
        self.answer.callback(Fetched(received.status, received.location, body))

    def _fail(self, detail: str, *, may_pass_later: bool = False) -> None:
        self.answer.errback(FetchFailed(detail, may_pass_later=may_pass_later))

    # httptools' callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"location":
            self._received.location = value
        elif lowered in (b"content-length", b"transfer-encoding"):
            self._received.has_length = True

    def on_headers_complete(self) -> None:
        self._received.status = self._parser.get_status_code()
        self._received.is_past_headers = self._received.status >= 200

    def on_body(self, body: bytes) -> None:
        room = self._max_body_octets + 1 - len(self._received.body)
        if room > 0:
            self._received.body += body[:room]

    def on_message_complete(self) -> None:
        self._received.is_complete = self._received.is_past_headers


class _ExchangeFactory(Factory):
    noisy = False  # nobody wants log lines for each attempt

    def __init__(self, fetch: Fetch, max_body_octets: int) -> None:
        self._fetch = fetch
        self._max_body_octets = max_body_octets

    def buildProtocol(self, addr: Any) -> _Exchange:
        return _Exchange(self._fetch, self._max_body_octets)


@implementer(IOpenSSLClientConnectionCreator)
class _UnverifiedTLS:
    """TLS whose certificate is not looked at: the key authorization proves itself, and the host that redirected to
    https may well be here to get its first certificate."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._context = CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        connection.set_tlsext_host_name(self._name.encode("ascii"))
        return connection
