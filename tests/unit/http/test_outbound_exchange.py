"""One outbound request and its answer, octet by octet; and the tunnel through a proxy that it may go through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from cspd.http.outbound.exchange import MAX_HEADER_OCTETS, Exchange
from cspd.http.outbound.proxies import Proxy
from cspd.http.outbound.tunnel import Tunnel, TunnelFactory
from cspd.http.outbound.values import OutboundResponse, RequestFailed

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class Conversation:
    def __init__(self, limit: int = 100) -> None:
        self.transport = StringTransport()
        self.results: list[Any] = []
        self.exchange = Exchange(REQUEST, host="www.example.com", max_body_octets=limit)
        self.exchange.makeConnection(self.transport)
        self.exchange.answer.addBoth(self.results.append)

    def feed(self, *pieces: bytes) -> Any:
        for piece in pieces:
            self.exchange.dataReceived(piece)
        return self.result

    def close(self, reason: Exception | None = None) -> Any:
        self.exchange.connectionLost(Failure(reason or ConnectionDone()))
        return self.result

    @property
    def result(self) -> Any:
        if not self.results:
            return "waits"
        if isinstance(self.results[0], Failure):
            assert isinstance(self.results[0].value, RequestFailed)
            return str(self.results[0].value)
        return self.results[0]


ANSWERS = {
    "length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        OutboundResponse(status=200, headers=(("content-length", "3"),), body=b"abc"),
    ),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        OutboundResponse(status=200, headers=(("transfer-encoding", "chunked"),), body=b"abc"),
    ),
    "interim": (
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        OutboundResponse(status=503, headers=(("retry-after", "7"), ("content-length", "0"))),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_an_answer_is_read_in_any_pieces(name: str, piece: int) -> None:
    octets, expected = ANSWERS[name]
    conversation = Conversation()
    assert conversation.transport.value() == REQUEST
    assert conversation.feed(*(octets[start : start + piece] for start in range(0, len(octets), piece))) == expected


def test_a_body_without_length_ends_with_the_connection() -> None:
    conversation = Conversation()
    assert conversation.feed(b"HTTP/1.0 200 OK\r\n\r\nabc") == "waits"
    assert conversation.close() == OutboundResponse(status=200, body=b"abc")


BROKEN = {
    "nothing": ((), "www.example.com: the connection was closed without an answer"),
    "half an answer": (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",),
        "www.example.com: the connection was closed within the answer",
    ),
    "not HTTP": ((b"SSH-2.0-OpenSSH\r\n",), "www.example.com: the answer is not HTTP"),
    "a long header": (
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * MAX_HEADER_OCTETS),
        f"www.example.com: the header of the answer has more than {MAX_HEADER_OCTETS} octets",
    ),
    "a long body": (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", b"a" * 101),
        "www.example.com: the answer has more than 100 octets",
    ),
    "trailers without end": (
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * MAX_HEADER_OCTETS),
        "www.example.com: the answer has little but chunk framing",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_answer_is_said_so(name: str) -> None:
    pieces, expected = BROKEN[name]
    conversation = Conversation()
    conversation.feed(*pieces)
    assert conversation.close(ConnectionLost()) == expected


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_octets_are_an_answer_or_a_failure(pieces: list[bytes]) -> None:
    conversation = Conversation()
    conversation.feed(b"HTTP/1.1 200 OK\r\n", *pieces)
    assert conversation.close() != "waits"


class Inside:
    """What TLS is to a tunnel."""

    def __init__(self) -> None:
        self.received = b""
        self.transport: Any = None
        self.wrappedProtocol = Exchange(REQUEST, host="www.example.com", max_body_octets=100)

    def makeConnection(self, transport: Any) -> None:
        self.transport = transport

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        self.received += b"(end)"

    def buildProtocol(self, addr: Any) -> Inside:
        return self


class AbortableTransport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


def tunnel(authorization: str | None = None) -> tuple[Inside, Any, AbortableTransport]:
    inside = Inside()
    proxy = Proxy(host="proxy.example.com", port=3128, authorization=authorization)
    protocol: Any = TunnelFactory(proxy, "www.example.com:443", inside).buildProtocol(None)
    assert isinstance(protocol, Tunnel)
    transport = AbortableTransport()
    protocol.makeConnection(transport)
    return inside, protocol, transport


def test_a_tunnel_is_asked_for_and_then_transparent() -> None:
    inside, protocol, transport = tunnel("Basic Y3NwZDpzZWNyZXQ=")
    assert transport.value() == (
        b"CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n"
        b"Proxy-Authorization: Basic Y3NwZDpzZWNyZXQ=\r\n\r\n"
    )
    for octet in b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r":
        protocol.dataReceived(bytes([octet]))
        assert inside.transport is None
    protocol.dataReceived(b"\nfirst")
    assert inside.transport is transport
    protocol.dataReceived(b" second")
    protocol.connectionLost(Failure(ConnectionDone()))
    assert inside.received == b"first second(end)"


REFUSALS = {
    b"HTTP/1.1 407 Who\r\n\r\n": "the proxy: it wants another proxy_user or proxy_password (407)",
    b"HTTP/1.1 403 No\r\n\r\n": "the proxy: it refuses the connection (403)",
    b"ERROR\r\n\r\n": "the proxy: its answer is not HTTP",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 3000: "the proxy: its answer is too long",
    b"": "the proxy: it closed the connection",
}


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_tunnel_that_is_refused_is_no_way(answer: bytes) -> None:
    inside, protocol, transport = tunnel()
    results: list[Any] = []
    inside.wrappedProtocol.answer.addErrback(lambda failure: results.append(str(failure.value)))
    protocol.dataReceived(answer)
    assert transport.aborted or not answer
    protocol.connectionLost(Failure(ConnectionDone()))
    assert results == [REFUSALS[answer]]
    assert inside.transport is None
