"""Every limit at its boundary; time moves only when the test moves it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cspd.http.config import Limits
from cspd.http.message import Request, Response, Route
from cspd.waiting import Awaited
from tests.unit.http.conversation import Client, Server, get, post, statuses

pytestmark = pytest.mark.requirement("R-PLAT-100")


def pass_time(server: Server, seconds: int) -> None:
    """Let the sweep run each second."""
    server.time.pump([1] * seconds)


def get_of_size(size: int) -> bytes:
    """A request whose head has exactly so many bytes."""
    padding = size - len(get("/echo", "X: "))
    return get("/echo", "X: " + "x" * padding)


def chunked(body: bytes) -> bytes:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def test_defaults_are_the_specified_ones() -> None:
    limits = Limits()
    assert limits.read_timeout == limits.write_timeout == timedelta(seconds=60)
    assert limits.idle_timeout == timedelta(seconds=10)
    assert (limits.max_header_bytes, limits.max_body_bytes, limits.listen_limit) == (1024, 8192, 0)
    assert limits.graceful_timeout == timedelta(seconds=15)
    assert limits.tcp_keep_alive == timedelta(minutes=3)


def strict_server() -> Server:
    """Without the route that raises the header limit."""
    server = Server()
    return Server(
        Route(methods=("GET", "POST"), path="/echo", handler=server.echo),
        Route(methods=("POST",), path="/large", handler=server.echo, max_body_bytes=20000),
        Route(methods=("POST",), path="/small", handler=server.echo, max_body_bytes=10),
        limits=Limits(max_header_bytes=20000),
    )


@pytest.mark.parametrize(("size", "status"), [(1023, 200), (1024, 200), (1025, 431)])
def test_header_limit(size: int, status: int) -> None:
    request_bytes = get_of_size(size)
    assert len(request_bytes) == size
    assert statuses(Server().connect().send(request_bytes)) == [status]


def test_endless_header_is_refused_at_the_limit() -> None:
    client = Server().connect()
    assert client.send(get_of_size(2000)[:1023]) == b""
    assert statuses(client.send(b"x")) == [431]
    assert client.is_refused


@pytest.mark.parametrize(("size", "status"), [(0, 200), (8191, 200), (8192, 200), (8193, 413)])
def test_body_limit(size: int, status: int) -> None:
    assert statuses(Server().connect().send(post("/echo", b"x" * size))) == [status]


@pytest.mark.parametrize(("size", "status"), [(1, 200), (8192, 200), (8193, 413)])
def test_body_limit_of_chunks(size: int, status: int) -> None:
    assert statuses(Server().connect().send(chunked(b"x" * size))) == [status]


@pytest.mark.requirement("R-PLAT-102")
@pytest.mark.parametrize(("size", "status"), [(8193, 200), (20000, 200), (20001, 413)])
def test_route_raises_the_body_limit(size: int, status: int) -> None:
    assert statuses(strict_server().connect().send(post("/large", b"x" * size))) == [status]


def test_route_never_lowers_the_body_limit() -> None:
    assert statuses(strict_server().connect().send(post("/small", b"x" * 8192))) == [200]


@pytest.mark.requirement("R-PLAT-102")
def test_listener_with_enrollment_takes_larger_heads_by_default() -> None:
    status_only = Server()
    enrollment = Server(
        Route(methods=("GET",), path="/echo", handler=status_only.echo),
        Route(methods=("POST",), path="/new-order", handler=status_only.echo, max_body_bytes=65536),
    )
    assert statuses(enrollment.connect().send(get_of_size(16384))) == [200]
    assert statuses(enrollment.connect().send(get_of_size(16385))) == [431]
    assert statuses(status_only.connect().send(get_of_size(1025))) == [431]


def test_new_limits_hold_at_once() -> None:
    server = Server()
    client = server.connect()
    server.factory.set_limits(Limits(max_body_bytes=2))
    assert statuses(client.send(post("/echo", b"abc"))) == [413]


@pytest.mark.requirement("R-PLAT-101")
@pytest.mark.parametrize(
    "begun", [get("/echo")[:1], get("/echo")[:-1], post("/echo", b"abc")[:-1], chunked(b"abc")[:-1]]
)
def test_read_timeout_answers_503(begun: bytes) -> None:
    server = Server()
    client = server.connect()
    client.send(begun)
    pass_time(server, 59)
    assert client.received() == b""
    pass_time(server, 1)
    assert statuses(client.received()) == [503]
    assert client.is_refused


@pytest.mark.requirement("R-PLAT-101")
def test_a_byte_now_and_then_does_not_extend_the_read_timeout() -> None:
    """Slow loris."""
    server = Server()
    client = server.connect()
    for byte in get("/echo", "X: " + "x" * 100)[:60]:
        assert client.received() == b""
        client.send(bytes([byte]))
        pass_time(server, 1)
    assert statuses(client.received()) == [503]


def test_read_timeout_is_each_request_s_own() -> None:
    server = Server()
    client = server.connect()
    for _ in range(3):
        client.send(get("/echo")[:4])
        pass_time(server, 50)
        assert statuses(client.send(get("/echo")[4:])) == [200]


def test_connection_without_a_request_is_closed_without_an_answer() -> None:
    server = Server()
    client = server.connect()
    client.send(b"\r\n")
    pass_time(server, 59)
    assert not client.is_closed
    client.send(b"\r\n")
    pass_time(server, 1)
    assert client.is_closed
    assert client.received() == b""


def test_idle_timeout_closes() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/echo"))
    pass_time(server, 9)
    assert not client.is_closed
    pass_time(server, 1)
    assert client.is_closed


@pytest.mark.requirement("R-PLAT-101")
def test_answer_that_takes_too_long_is_503() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/wait"))
    pass_time(server, 59)
    assert client.received() == b""
    pass_time(server, 1)
    assert statuses(client.received()) == [503]
    assert client.is_refused
    server.waiting[0].callback(Response(200))
    assert len(server.ended) == 1  # the handler was left to finish
    assert client.received() == b""


def slow_reader(server: Server) -> Client:
    client = server.connect()
    client.send(get("/wait"))
    client.connection.pauseProducing()
    server.waiting[-1].callback(Response(200, b"x" * 100_000))
    return client


def test_client_that_does_not_take_the_answer_is_aborted() -> None:
    """Bytes are out, so that a 503 is no longer possible."""
    server = Server()
    client = slow_reader(server)
    pass_time(server, 59)
    assert not client.wire.is_aborted
    pass_time(server, 1)
    assert client.wire.is_aborted


def test_client_that_takes_the_answer_late_goes_on() -> None:
    server = Server()
    client = slow_reader(server)
    pass_time(server, 59)
    client.connection.resumeProducing()
    pass_time(server, 9)
    assert not client.is_closed
    client.received()
    assert statuses(client.send(get("/echo"))) == [200]


def test_closing_connection_that_does_not_drain_is_aborted() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/echo", "Connection: close"))
    pass_time(server, 59)
    assert not client.wire.is_aborted
    pass_time(server, 1)
    assert client.wire.is_aborted


def test_idle_tls_client_that_does_not_answer_our_close_is_not_waited_for() -> None:
    """Clients pool connections, and would hold up a stop until the graceful timeout."""
    server = Server()
    client = server.connect(is_secure=True)
    server.factory.drain()
    assert client.is_closed
    pass_time(server, 1)
    assert not client.wire.is_aborted
    pass_time(server, 1)
    assert client.wire.is_aborted


def test_short_timeouts_are_met_to_a_quarter() -> None:
    server = Server(limits=Limits(idle_timeout=timedelta(milliseconds=400)))
    client = server.connect()
    client.send(get("/echo"))
    server.time.pump([0.1] * 3)
    assert not client.is_closed
    server.time.pump([0.1] * 2)
    assert client.is_closed


def test_no_timers_are_left_when_nobody_is_connected() -> None:
    server = Server()
    client = server.connect()
    client.hang_up()
    pass_time(server, 1)
    assert not server.time.getDelayedCalls()


def test_requests_make_no_timers() -> None:
    """At ten thousand requests a second a timer each would cost more than the request."""
    server = Server()
    client = server.connect()
    before = server.time.getDelayedCalls()
    for _ in range(5):
        client.send(get("/echo"))
        client.send(get("/echo")[:5])
        client.send(get("/echo")[5:])
    assert server.time.getDelayedCalls() == before


def test_a_route_says_in_its_protocols_terms_that_a_body_is_too_large() -> None:
    async def never(request: Request) -> Response:
        raise AssertionError("the body is not read")

    def refuse(status: int, reason: str) -> Response:
        return Response(status, f"<fault>{reason}</fault>".encode(), ((b"content-type", b"application/fault"),))

    server = Server(
        Route(methods=("POST",), path="/fault", handler=never, max_body_bytes=20000, refuse=refuse),
        Route(methods=("POST",), path="/plain", handler=never, max_body_bytes=20000),
    )
    by_length = server.connect().send(b"POST /fault HTTP/1.1\r\nHost: a\r\nContent-Length: 20001\r\n\r\n")
    assert by_length.startswith(b"HTTP/1.1 413 ")
    assert b"content-type: application/fault\r\n" in by_length
    assert by_length.endswith(b"<fault>the body is larger than 20000 bytes</fault>")
    chunks = b"POST /fault HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4e21\r\n" + b"x" * 20001
    by_chunks = server.connect().send(chunks)
    assert by_chunks.startswith(b"HTTP/1.1 413 ")
    assert b"application/fault" in by_chunks
    plain = server.connect().send(b"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 20001\r\n\r\n")
    assert b"text/plain" in plain
    assert b"<fault>" not in plain


def test_what_is_no_request_is_not_refused_in_the_terms_of_the_one_before() -> None:
    def refuse(status: int, reason: str) -> Response:
        return Response(status, b"<fault/>")

    async def answer(request: Request) -> Response:
        return Response(200, b"good")

    server = Server(Route(methods=("POST",), path="/fault", handler=answer, max_body_bytes=20000, refuse=refuse))
    client = server.connect()
    assert client.send(b"POST /fault HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").endswith(b"good")
    assert b"<fault/>" not in client.send(b"nonsense\r\n\r\n")


def test_who_waits_for_the_end_of_the_turn_only_does_not_count_for_the_listen_limit() -> None:
    server: Server

    async def handle(request: Request) -> Response:
        awaited = Awaited[None]()
        server.factory.end_of_turn.work(lambda: awaited.settle(None))
        await awaited
        return Response(200)

    server = Server(Route(methods=("GET",), path="/", handler=handle), limits=Limits(listen_limit=1))
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.connection.dataReceived(get("/"))
    server.time.advance(0)
    assert [statuses(client.received()) for client in clients] == [[200], [200], [200]]
