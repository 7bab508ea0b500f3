"""One connection: order, persistence, bodies, half-closed and vanished clients, backpressure."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from cspd.correlation import REQUEST_ID
from cspd.http.config import Limits
from cspd.http.connection import PIPELINED_IN_ONE_TURN
from cspd.http.message import Request, Response, Route
from cspd.http.router import Router
from cspd.waiting import Awaited
from tests.unit.http.conversation import DATE, Server, get, post, statuses

# Answers.


def test_answer_is_written_exactly_so() -> None:
    async def handle(request: Request) -> Response:
        return Response(200, b"abc", ((b"content-type", b"application/ocsp-response"), (b"etag", b'"1"')))

    client = Server(Route(methods=("GET",), path="/", handler=handle)).connect()
    assert client.send(get("/")) == (
        b"HTTP/1.1 200 OK\r\nServer: cspd\r\nDate: " + DATE + b"\r\n"
        b'content-type: application/ocsp-response\r\netag: "1"\r\nContent-Length: 3\r\n\r\nabc'
    )
    assert not client.is_refused


def test_date_follows_the_clock() -> None:
    server = Server()
    client = server.connect()
    server.clock.advance(timedelta(seconds=2))
    server.time.advance(2)
    assert b"Date: Tue, 24 Nov 2026 12:00:02 GMT\r\n" in client.send(get("/echo"))


def test_head_has_the_length_of_get_and_no_body() -> None:
    server = Server()
    client = server.connect()
    answer = client.send(b"HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"Content-Length: 11\r\n\r\n")
    assert server.requests[0].method == "HEAD"
    assert statuses(client.send(get("/echo"))) == [200]


def test_204_and_304_have_neither_body_nor_length() -> None:
    for status in (204, 304):

        async def handle(request: Request, status: int = status) -> Response:
            return Response(status, b"ignored")

        answer = Server(Route(methods=("GET",), path="/", handler=handle)).connect().send(get("/"))
        assert b"Content-Length" not in answer
        assert answer.endswith(b"\r\n\r\n")


def test_options_gives_the_methods() -> None:
    client = Server().connect()
    answer = client.send(b"OPTIONS /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    assert statuses(answer) == [204]
    assert b"allow: GET, HEAD, OPTIONS\r\n" in answer
    answer = client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert statuses(answer) == [204]
    assert b"allow: GET, HEAD, OPTIONS, POST\r\n" in answer


def test_unexpected_error_gives_fixed_text_and_request_id() -> None:
    server = Server()
    with capturedLogs() as logs:
        answer = server.connect().send(get("/break"))
    assert statuses(answer) == [500]
    assert b"secret" not in answer
    (event,) = [event for event in logs if event["log_level"] is LogLevel.critical]
    assert answer.endswith(b"\r\n\r\n500 Internal Server Error\nrequest " + event["request_id"].encode() + b"\n")
    assert event["log_failure"].check(ZeroDivisionError)


def test_unexpected_error_after_a_wait_is_answered_alike() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/wait"))
    with capturedLogs() as logs:
        server.waiting[0].errback(ZeroDivisionError())
    assert statuses(client.received()) == [500]
    assert len(logs) == 1
    assert statuses(client.send(get("/echo"))) == [200]


def test_handler_that_breaks_the_header_is_an_error() -> None:
    """A handler that copies a client's text into a header cannot be made to write a second response."""

    async def handle(request: Request) -> Response:
        return Response(200, b"", ((b"location", b"/a\r\nset-cookie: x=y"),))

    with capturedLogs() as logs:
        answer = Server(Route(methods=("GET",), path="/", handler=handle)).connect().send(get("/"))
    assert statuses(answer) == [500]
    assert b"set-cookie" not in answer
    assert len(logs) == 1


def test_handler_that_gives_no_response_is_an_error() -> None:
    async def handle(request: Request) -> Response:
        return None  # type: ignore[return-value]  # what a careless handler does

    with capturedLogs() as logs:
        assert statuses(Server(Route(methods=("GET",), path="/", handler=handle)).connect().send(get("/"))) == [500]
    assert len(logs) == 1


def test_access_log_hears_of_answers_and_refusals() -> None:
    heard: list[tuple[str | None, int, float, str | None]] = []

    def log(request: Request | None, response: Response, seconds: float, route: Route | None) -> None:
        heard.append((request and request.path, response.status, seconds, route and route.path))

    server = Server(access_log=log)
    client = server.connect()
    client.send(get("/wait"))
    server.time.advance(3)
    server.waiting[0].callback(Response(200))
    client.send(get("/nothing"))
    client.send(b"\x16")
    assert heard == [("/wait", 200, 3.0, "/wait"), ("/nothing", 404, 0.0, None), (None, 400, 0.0, None)]


# Requests.


def test_request_value_has_what_the_client_sent() -> None:
    server = Server()
    server.connect().send(b"GET /named/a%20b%2Fc?q=%41&r HTTP/1.1\r\nHost: Example:80\r\nX-Y:  z \r\nx-y: w\r\n\r\n")
    (request,) = server.requests
    assert request.target == b"/named/a%20b%2Fc?q=%41&r"
    assert (request.path, request.query) == ("/named/a%20b%2Fc", "q=%41&r")
    assert dict(request.parameters) == {"name": "a b/c"}
    assert request.headers == ((b"host", b"Example:80"), (b"x-y", b"z"), (b"x-y", b"w"))
    assert request.header(b"x-y") == "z, w"
    assert (request.peer, request.listener, request.is_secure) == ("192.0.2.7", "test", False)
    assert len(request.request_id) == 16


def test_request_ids_differ() -> None:
    server = Server()
    client = server.connect()
    for _ in range(600):
        client.send(get("/echo"))
    assert len({request.request_id for request in server.requests}) == 600


def test_absolute_form_names_path_and_host() -> None:
    """RFC 9112, 3.2.2: the target's host replaces the header's."""
    server = Server()
    server.connect().send(b"GET http://real.example:81/echo?q HTTP/1.1\r\nHost: other\r\n\r\n")
    (request,) = server.requests
    assert (request.path, request.query, request.host) == ("/echo", "q", "real.example:81")


def test_empty_lines_before_a_request_are_skipped() -> None:
    """RFC 9112, 2.2: old clients send one behind a body."""
    client = Server().connect()
    assert client.send(b"\r\n\r") == b""
    assert statuses(client.send(b"\n" + get("/echo"))) == [200]


def test_chunked_body_arrives_whole() -> None:
    server = Server()
    client = server.connect()
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + b"3;x=y\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\nExpect: x\r\nHost: b\r\n\r\n" + get("/echo"))
    assert [request.body for request in server.requests] == [b"abc\r\n\r\n", b""]
    assert server.requests[0].host == "a"  # trailers are dropped


def test_upgrade_is_ignored() -> None:
    """RFC 9110, 7.8: curl --http2 asks for h2c, with a body or without; the body is not the next request."""
    server = Server()
    client = server.connect()
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    smuggled = get("/nothing")
    assert statuses(client.send(get("/echo", *upgrade) + post("/echo", smuggled, *upgrade))) == [200, 200]
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    chunked = head + "\r\n".join(upgrade).encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    assert statuses(client.send(chunked + get("/echo"))) == [200, 200]
    assert [request.body for request in server.requests] == [b"", smuggled, smuggled, b""]


def test_100_continue_invites_the_body() -> None:
    client = Server().connect()
    head, _, body = post("/echo", b"abc", "Expect: 100-Continue").partition(b"\r\n\r\n")
    assert client.send(head + b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert statuses(client.send(body)) == [200]


def test_100_continue_is_left_out_when_the_body_is_there() -> None:
    assert statuses(Server().connect().send(post("/echo", b"abc", "Expect: 100-continue"))) == [200]


def test_100_continue_is_not_sent_before_a_refusal() -> None:
    for request_bytes, status in (
        (post("/nothing", b"abc", "Expect: 100-continue"), 404),
        (post("/wait", b"abc", "Expect: 100-continue"), 405),
        (post("/echo", b"x" * 8193, "Expect: 100-continue"), 413),
    ):
        client = Server().connect()
        assert statuses(client.send(request_bytes[: request_bytes.index(b"\r\n\r\n") + 4])) == [status]
        assert client.is_refused


# Persistence and order.


def test_http_1_1_stays_open_and_close_closes() -> None:
    client = Server().connect()
    assert b"Connection" not in client.send(get("/echo"))
    assert b"\r\nConnection: close\r\n" in client.send(get("/echo", "Connection: close"))
    assert client.is_closed


def test_http_1_0_closes_unless_asked() -> None:
    client = Server().connect()
    assert b"\r\nConnection: keep-alive\r\n" in client.send(b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in client.send(b"GET /echo HTTP/1.0\r\n\r\n")
    assert client.is_closed


def test_nothing_behind_the_last_request_is_heard() -> None:
    server = Server()
    client = server.connect()
    assert statuses(client.send(get("/echo", "Connection: close") + get("/echo"))) == [200]
    client.send(get("/echo"))
    assert len(server.requests) == 1


def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    server = Server()
    client = server.connect()
    assert client.send(get("/wait?1") + get("/echo?2") + get("/wait?3") + b"\x16") == b""
    assert [request.query for request in server.requests] == ["1"]
    server.waiting[0].callback(Response(201))
    assert statuses(client.received()) == [201, 200]
    assert [request.query for request in server.requests] == ["1", "2", "3"]
    server.waiting[1].callback(Response(202))
    assert statuses(client.received()) == [202, 400]


def test_client_that_pipelines_is_not_read_meanwhile() -> None:
    """Else one connection could fill the memory while its first request waits."""
    server = Server()
    client = server.connect()
    client.send(get("/wait"))
    assert client.is_read  # so that its end is noticed
    client.send(get("/echo"))
    assert not client.is_read
    server.waiting[0].callback(Response(200))
    assert statuses(client.received()) == [200, 200]
    assert client.is_read


def test_many_pipelined_requests_take_turns_with_others() -> None:
    server = Server()
    greedy, modest = server.connect(), server.connect()
    answers = greedy.send(get("/echo") * (PIPELINED_IN_ONE_TURN + 3))
    assert len(statuses(answers)) == PIPELINED_IN_ONE_TURN
    assert not greedy.is_read
    assert statuses(modest.send(get("/echo"))) == [200]
    server.time.advance(0)
    assert len(statuses(greedy.received())) == 3
    assert greedy.is_read


def test_slow_reader_gets_no_further_answers_until_it_reads() -> None:
    server = Server()
    client = server.connect()
    client.connection.pauseProducing()
    assert statuses(client.send(get("/echo?1") + get("/echo?2"))) == [200]
    client.connection.resumeProducing()
    assert statuses(client.received()) == [200]


# The client's end.


def test_half_closed_client_gets_its_answers() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/wait") + get("/echo"))
    client.shut_down_writing()
    assert not client.is_closed
    server.waiting[0].callback(Response(200))
    assert statuses(client.received()) == [200, 200]
    assert client.is_closed


def test_half_closed_amid_a_request_is_told_so() -> None:
    client = Server().connect()
    client.send(post("/echo", b"abc")[:-1])
    client.shut_down_writing()
    assert statuses(client.received()) == [400]
    assert client.is_closed


def test_half_closed_idle_client_is_let_go() -> None:
    client = Server().connect()
    client.shut_down_writing()
    assert client.is_closed
    assert client.received() == b""


def test_refused_client_may_finish_sending() -> None:
    """A reset connection could destroy the refusal before the client reads it."""
    server = Server()
    client = server.connect()
    client.send(post("/echo", b"x" * 8193)[:100])
    assert client.wire.is_half_closed
    assert not client.is_closed
    assert client.send(b"x" * 5000) == b""
    client.shut_down_writing()
    assert client.is_closed


def test_refused_client_does_not_linger_for_ever() -> None:
    server = Server()
    client = server.connect()
    client.send(b"\x16")
    server.time.pump([1, 1, 1])
    assert client.wire.is_aborted


def test_handler_of_a_vanished_client_ends_and_its_answer_is_dropped() -> None:
    """A signature that is being made is never cancelled."""
    server = Server()
    client = server.connect()
    client.send(get("/wait"))
    client.hang_up()
    assert server.factory.outstanding == 1
    server.waiting[0].callback(Response(200))
    assert len(server.ended) == 1
    assert server.factory.outstanding == 0
    assert client.received() == b""


def test_handler_may_wait_more_than_once() -> None:
    first: Deferred[int] = Deferred()
    second: Deferred[int] = Deferred()

    async def handle(request: Request) -> Response:
        return Response(200, b"%d" % (await first + await second))

    client = Server(Route(methods=("GET",), path="/", handler=handle)).connect()
    assert client.send(get("/")) == b""
    first.callback(1)
    assert client.received() == b""
    second.callback(2)
    assert client.received().endswith(b"\r\n\r\n3")


def test_handler_may_wait_for_a_result_that_resumes_it() -> None:
    waiting = [Awaited[int](), Awaited[int]()]

    async def handle(request: Request) -> Response:
        try:
            return Response(200, b"%d" % (await waiting[0] + await waiting[1]))
        finally:
            assert REQUEST_ID.get() == request.request_id

    server = Server(Route(methods=("GET",), path="/", handler=handle))
    client = server.connect()
    assert client.send(get("/")) == b""
    waiting[0].settle(1)
    assert client.received() == b""
    assert server.factory.outstanding == 1
    waiting[1].settle(2)
    assert client.received().endswith(b"\r\n\r\n3")
    assert (server.factory.outstanding, REQUEST_ID.get()) == (0, "")


def test_handler_can_catch_what_it_waited_for() -> None:
    first: Deferred[int] = Deferred()
    second: Awaited[int] = Awaited()

    async def handle(request: Request) -> Response:
        try:
            await first
        except ZeroDivisionError:
            with suppress(ZeroDivisionError):
                await second
        return Response(200, b"saved")

    client = Server(Route(methods=("GET",), path="/", handler=handle)).connect()
    client.send(get("/"))
    first.errback(ZeroDivisionError())
    second.fail(ZeroDivisionError())
    assert client.received().endswith(b"\r\n\r\nsaved")


# Many requests, reload, drain.


def test_requests_over_the_listen_limit_are_told_to_come_again() -> None:
    server = Server(limits=Limits(listen_limit=2))
    waiting = [server.connect() for _ in range(2)]
    for client in waiting:
        client.send(get("/wait"))
    third = server.connect()
    answer = third.send(get("/echo"))
    assert statuses(answer) == [503]
    assert b"\r\nretry-after: 1\r\n" in answer
    server.waiting[0].callback(Response(200))
    assert statuses(third.send(get("/echo"))) == [200]


def test_new_router_serves_new_requests_and_leaves_running_ones() -> None:
    server = Server()
    old, new = server.connect(), server.connect()
    old.send(get("/wait"))
    server.factory.set_router(Router([Route(methods=("GET",), path="/new", handler=server.echo)]))
    assert statuses(new.send(get("/new"))) == [200]
    assert statuses(new.send(get("/echo"))) == [404]
    server.waiting[0].callback(Response(200))
    assert statuses(old.received()) == [200]


def test_drain_closes_idle_and_lets_running_requests_end() -> None:
    server = Server()
    idle, running, begun = server.connect(), server.connect(), server.connect()
    idle.send(get("/echo"))
    running.send(get("/wait"))
    begun.send(get("/echo")[:5])
    drained: list[None] = []
    server.factory.drain().addCallback(drained.append)
    assert idle.is_closed
    assert not running.is_closed
    idle.finish()
    server.waiting[0].callback(Response(200))
    assert b"\r\nConnection: close\r\n" in running.received()
    running.finish()
    assert b"\r\nConnection: close\r\n" in begun.send(get("/echo")[5:])
    assert not drained
    begun.finish()
    assert drained
    assert not server.time.getDelayedCalls()


def test_drain_waits_for_the_handler_of_a_vanished_client() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/wait"))
    client.hang_up()
    drained: list[None] = []
    server.factory.drain().addCallback(drained.append)
    assert not drained
    server.waiting[0].callback(Response(200))
    assert drained


def test_abandoned_drain_aborts_what_is_left() -> None:
    server = Server()
    client = server.connect()
    client.send(get("/wait"))
    drained: list[None] = []
    server.factory.drain().addCallback(drained.append)
    server.factory.abandon()
    assert client.wire.is_aborted
    assert drained
