"""The HTTP client of http-01, octet by octet."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from protocols.acme.challenges.http_client import (
    MAX_HEADER_OCTETS,
    Fetch,
    Fetched,
    FetchFailed,
    HTTPClient,
    _Exchange,
)

FETCH = Fetch(address=ipaddress.ip_address("192.0.2.1"), port=80, host="www.example.com", target="/x?y")


class Exchange:
    def __init__(self, limit: int = 100) -> None:
        self.transport = StringTransport()
        self.results: list[Any] = []
        self.protocol = _Exchange(FETCH, limit)
        self.protocol.makeConnection(self.transport)
        self.protocol.answer.addBoth(self.results.append)

    def feed(self, *pieces: bytes) -> Any:
        for piece in pieces:
            self.protocol.dataReceived(piece)
        return self.result

    def close(self, reason: Exception | None = None) -> Any:
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))
        return self.result

    @property
    def result(self) -> Any:
        if not self.results:
            return "waits"
        return self.results[0].value if isinstance(self.results[0], Failure) else self.results[0]


def test_the_request_is_plain() -> None:
    assert Exchange().transport.value() == (
        b"GET /x?y HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: cspd ACME validation\r\nAccept: */*\r\n"
        b"Connection: close\r\n\r\n"
    )


ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Fetched(200, None, b"abc")),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Fetched(200, None, b"abc")),
    "1.0": (b"HTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n", Fetched(404, None, b"")),
    "redirect": (
        b"HTTP/1.1 302 x\r\nlocation: /a\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", Fetched(302, b"/a", b"")),
    "early hints": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", Fetched(200, None, b"x")),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_an_answer_is_read_in_any_pieces(name: str, piece: int) -> None:
    octets, expected = ANSWERS[name]
    pieces = [octets[start : start + piece] for start in range(0, len(octets), piece)]
    assert Exchange().feed(*pieces) == expected


def test_a_body_without_length_ends_with_the_connection() -> None:
    exchange = Exchange()
    assert exchange.feed(b"HTTP/1.1 200 OK\r\n\r\nabc") == "waits"
    assert exchange.close() == Fetched(200, None, b"abc")


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize("length", [b"Content-Length: 2147483648\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_a_body_beyond_the_limit_is_cut(length: bytes) -> None:
    exchange = Exchange(limit=100)
    exchange.feed(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
    result = exchange.feed(*([b"10\r\n" + b"x" * 16 + b"\r\n"] * 10))
    assert isinstance(result, Fetched)
    assert len(result.body) == 101


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize("piece", [b"X: y\r\n", b"y" * 100])
def test_an_endless_header_is_refused(piece: bytes) -> None:
    exchange = Exchange()
    exchange.feed(b"HTTP/1.1 200 OK\r\nA: ")
    count = 0
    while exchange.result == "waits":
        exchange.feed(piece)
        count += len(piece)
        assert count < 2 * MAX_HEADER_OCTETS
    assert isinstance(exchange.result, FetchFailed)


@pytest.mark.requirement("R-CEG-120")
@pytest.mark.parametrize(
    ("begins", "piece"),
    [
        (b"3\r\nabc\r\n0\r\nX: ", b"y" * 1000),  # one trailer without end
        (b"3\r\nabc\r\n0\r\n", b"X: y\r\n"),  # trailers without end
        (b"3;x=", b"y" * 1000),  # a chunk extension without end
    ],
)
def test_endless_chunk_framing_is_refused(begins: bytes, piece: bytes) -> None:
    """None of it is body, so that the limit of the body does not hold it."""
    exchange = Exchange(limit=8192)
    exchange.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + begins)
    count = 0
    while exchange.result == "waits":
        exchange.feed(piece)
        count += len(piece)
        assert count < 4 * MAX_HEADER_OCTETS
    assert isinstance(exchange.result, FetchFailed)


def test_a_body_in_chunks_of_one_octet_is_read() -> None:
    exchange = Exchange(limit=8192)
    exchange.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    exchange.feed(*[b"1\r\nx\r\n"] * 8192)
    assert exchange.feed(b"0\r\n\r\n") == Fetched(200, None, b"x" * 8192)


@pytest.mark.parametrize(
    ("octets", "reason", "may_pass_later"),
    [
        (b"", ConnectionDone(), True),
        (b"", ConnectionLost(), True),
        (b"HTTP/1.1 200 OK\r\n", ConnectionDone(), False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", ConnectionDone(), False),
        (b"HTTP/1.1 200 OK\r\n\r\nab", ConnectionLost(), False),
        (b"SSH-2.0-OpenSSH\r\n", ConnectionDone(), False),
        (b"\x15\x03\x01\x00\x02", ConnectionDone(), False),
    ],
)
def test_half_an_answer_is_none(octets: bytes, reason: Exception, may_pass_later: bool) -> None:
    exchange = Exchange()
    if octets:
        exchange.feed(octets)
    result = exchange.close(reason)
    assert isinstance(result, FetchFailed)
    assert result.may_pass_later is may_pass_later


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_any_octets_are_an_answer_or_a_failure(pieces: list[bytes], begins_well: bool) -> None:
    exchange = Exchange()
    if begins_well:
        exchange.feed(b"HTTP/1.1 200 OK\r\n")
    exchange.feed(*pieces)
    assert isinstance(exchange.close(ConnectionDone()), (Fetched, FetchFailed))


@pytest.mark.parametrize("tls_name", [None, "www.example.com"])
def test_a_fetch_that_is_cancelled_while_it_connects_says_just_that(tls_name: str | None) -> None:
    """The time of an attempt may end then, and so may the daemon; both look for CancelledError."""
    client = HTTPClient(reactor=MemoryReactorClock(), connect_timeout=5, max_body_octets=100)
    fetch = Fetch(address=FETCH.address, port=80, host="www.example.com", target="/", tls_name=tls_name)
    ended: list[Any] = []
    fetching = Deferred.fromCoroutine(client.fetch(fetch))
    fetching.addBoth(ended.append)

    fetching.cancel()

    assert ended[0].type is CancelledError
