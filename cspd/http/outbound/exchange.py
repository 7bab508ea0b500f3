"""One request and its answer on one connection (RFC 9112); header and body octets are bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httptools
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from cspd.http.outbound.values import OutboundResponse, RequestFailed

MAX_HEADER_OCTETS = 32 * 1024
MAX_FRAMING = 8
"""Octets that may frame one octet of the body (a chunk of its own takes six), beside two headers."""


@dataclass
class _Received:
    """What the parser has told so far."""

    status: int = 0
    octets: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    has_length: bool = False
    is_past_headers: bool = False
    is_complete: bool = False
    body: bytearray = field(default_factory=bytearray)


class Exchange(Protocol):
    """Writes a request when the connection is made; ``answer`` fires with the response or RequestFailed."""

    transport: Any

    def __init__(self, request: bytes, *, host: str, max_body_octets: int) -> None:
        self._request = request
        self._host = host
        self._max_body_octets = max_body_octets
        self._received = _Received()
        self._parser = httptools.HttpResponseParser(self)
        self.answer: Deferred[OutboundResponse] = Deferred()

    def connectionMade(self) -> None:
        """Send the request; over TLS it leaves when the server has proved who it is."""
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Parse, and judge the limits."""
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
        if len(received.body) > self._max_body_octets:
            self._fail(f"the answer has more than {self._max_body_octets} octets")
        elif received.is_complete:
            self._finish()
        elif not received.is_past_headers and received.octets > MAX_HEADER_OCTETS:
            self._fail(f"the header of the answer has more than {MAX_HEADER_OCTETS} octets")
        elif received.octets - MAX_FRAMING * len(received.body) > 2 * MAX_HEADER_OCTETS:
            self._fail("the answer has little but chunk framing")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Finish a body that lasts until the connection ends, or say why there is no answer."""
        if self.answer.called:
            return
        received = self._received
        if received.is_past_headers and not received.has_length and isinstance(reason.value, ConnectionDone):
            self._finish()
        elif received.octets:
            self._fail("the connection was closed within the answer")
        elif isinstance(reason.value, SSL.Error | VerificationError):
            self._fail(f"TLS: {_tls_reason(reason.value)}")
        else:
            self._fail("the connection was closed without an answer")

    def _finish(self) -> None:
        received = self._received
        self.answer.callback(
            OutboundResponse(status=received.status, headers=tuple(received.headers), body=bytes(received.body))
        )

    def _fail(self, reason: str) -> None:
        self.answer.errback(RequestFailed(f"{self._host}: {reason}"))

    # httptools' callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, of an interim answer too."""
        lowered = name.decode("latin-1").lower()
        self._received.headers.append((lowered, value.decode("latin-1")))
        if lowered in ("content-length", "transfer-encoding"):
            self._received.has_length = True

    def on_headers_complete(self) -> None:
        """The end of a header; those of interim answers (RFC 9110, 15.2) are forgotten."""
        received = self._received
        received.status = self._parser.get_status_code()
        received.is_past_headers = received.status >= 200
        if not received.is_past_headers:
            received.headers.clear()
            received.has_length = False

    def on_body(self, body: bytes) -> None:
        """A part of the body; nothing is kept beyond the limit."""
        room = self._max_body_octets + 1 - len(self._received.body)
        if room > 0:
            self._received.body += body[:room]

    def on_message_complete(self) -> None:
        """The end of an answer."""
        self._received.is_complete = self._received.is_past_headers


class ExchangeFactory(Factory):
    """Makes the one exchange of a connection."""

    noisy = False  # nobody wants log lines for each request

    def __init__(self, request: bytes, *, host: str, max_body_octets: int) -> None:
        self._request = request
        self._host = host
        self._max_body_octets = max_body_octets

    def buildProtocol(self, addr: Any) -> Exchange:
        """See :class:`twisted.internet.interfaces.IProtocolFactory`."""
        return Exchange(self._request, host=self._host, max_body_octets=self._max_body_octets)


def _tls_reason(error: Exception) -> str:
    if isinstance(error, VerificationError):
        return "the certificate is for somebody else"
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(each[-1]) for each in reasons if each) or "the handshake failed"
