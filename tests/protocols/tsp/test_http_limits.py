"""The eight server settings of the guide, as a timestamping authority keeps them: whole requests in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from cspd.http.config import Limits
from protocols.tsp import codec
from protocols.tsp.messages import PKIFailureInfo
from tests.protocols.tsp.authority import ISSUER, Authority, request_for
from tests.unit.http.conversation import Client, Server, post, statuses

QUERY = codec.encode_request(request_for())
TYPE = "Content-Type: application/timestamp-query"


class Served:
    """An authority behind our HTTP server."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.authority = Authority()
        self.server = Server(*self.authority.endpoint.routes(), limits=limits)

    def connect(self) -> Client:
        return self.server.connect()

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds * 4):
            self.server.time.advance(0.25)

    def hold_signatures(self) -> Deferred[None]:
        """Let every signature wait for this, as a token does that hangs."""
        held: Deferred[None] = Deferred()
        self.authority.keys.held = held
        return held


def query(*headers: str, issuer: str = ISSUER, body: bytes = QUERY) -> bytes:
    return post(f"/tsa/{issuer}", body, TYPE, *headers)


def query_with_head_of(size: int) -> bytes:
    missing = size - (len(query("X: ")) - len(QUERY))
    return query("X: " + "x" * missing)


def is_granted(answer: bytes) -> bool:
    return b"\r\n\r\n" in answer and answer.split(b"\r\n\r\n", 1)[1][4:9] == b"\x30\x03\x02\x01\x00"


@pytest.mark.requirement("R-TSA-003")
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_connection_is_kept_and_then_closed_when_it_idles(version: bytes) -> None:
    served = Served()
    client = served.connect()
    request = query("Connection: keep-alive").replace(b"HTTP/1.1", version)
    for _ in range(2):
        assert is_granted(client.send(request))
    served.pass_time(9)
    assert not client.is_closed
    served.pass_time(1)
    assert client.is_closed


@pytest.mark.requirement("R-TSA-004")
def test_head_over_the_limit_is_refused() -> None:
    assert is_granted(Served().connect().send(query_with_head_of(1024)))
    assert statuses(Served().connect().send(query_with_head_of(1025))) == [431]
    larger = Served(Limits(max_header_bytes=2000))
    assert is_granted(larger.connect().send(query_with_head_of(2000)))


@pytest.mark.requirement("R-TSA-005")
@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_over_the_limit_is_refused_with_and_without_content_length(is_chunked: bool) -> None:
    def sent(body: bytes) -> bytes:
        if not is_chunked:
            return query(body=body)
        head = f"POST /tsa/{ISSUER} HTTP/1.1\r\nHost: a\r\n{TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    assert is_granted(Served().connect().send(sent(QUERY)))
    rejected = Served().connect().send(sent(QUERY.ljust(8192, b"\0")))
    assert rejected.endswith(codec.REJECTIONS[PKIFailureInfo.BAD_DATA_FORMAT])
    assert statuses(Served().connect().send(sent(QUERY.ljust(8193, b"\0")))) == [413]


@pytest.mark.requirement("R-TSA-006")
def test_request_that_does_not_come_whole_is_503() -> None:
    served = Served()
    client = served.connect()
    client.send(query()[:-1])
    served.pass_time(59)
    assert client.received() == b""
    served.pass_time(1)
    assert statuses(client.received()) == [503]


@pytest.mark.requirement("R-TSA-007")
def test_token_that_hangs_is_503_and_nobody_gets_what_it_signs_later() -> None:
    served = Served()
    held = served.hold_signatures()
    client = served.connect()
    client.send(query())
    served.pass_time(59)
    assert client.received() == b""
    served.pass_time(1)
    assert statuses(client.received()) == [503]
    held.callback(None)
    assert client.received() == b""


@pytest.mark.requirement("R-TSA-008")
def test_requests_beyond_the_listen_limit_are_turned_away() -> None:
    served = Served(Limits(listen_limit=2))
    held = served.hold_signatures()
    waiting = [served.connect() for _ in range(2)]
    for client in waiting:
        assert client.send(query()) == b""
    assert statuses(served.connect().send(query())) == [503]
    held.callback(None)
    assert all(is_granted(client.received()) for client in waiting)
    unlimited = Served()
    unlimited.hold_signatures()
    assert [unlimited.connect().send(query()) for _ in range(50)] == [b""] * 50


@pytest.mark.requirement("R-TSA-060")
def test_server_settings_have_the_guide_s_defaults_and_names_of_their_own() -> None:
    guide: dict[str, Any] = {
        "tcp_keep_alive": timedelta(minutes=3),
        "listen_limit": 0,
        "graceful_timeout": timedelta(seconds=15),
        "max_body_bytes": 8192,
        "max_header_bytes": 1024,
        "idle_timeout": timedelta(seconds=10),
        "write_timeout": timedelta(seconds=60),
        "read_timeout": timedelta(seconds=60),
    }
    assert Limits().model_dump() == guide
