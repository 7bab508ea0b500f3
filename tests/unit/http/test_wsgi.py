"""WSGI applications behind our server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import copy_context
from datetime import timedelta
from typing import Any, cast
from wsgiref.types import WSGIApplication
from wsgiref.validate import validator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from cspd.correlation import REQUEST_ID
from cspd.http.message import Request, Response
from cspd.http.wsgi import ReactorCalls, WSGIAdapter, call_application, environ_of
from cspd.keys.threads import InlinePool
from cspd.refusals import NotFound, Unavailable
from tests.support.pools import SteppedPool
from tests.support.running import result_of


def request(**values: Any) -> Request:
    given = {
        "method": "POST",
        "target": b"/a%20b?x=1",
        "path": "/a%20b",
        "query": "x=1",
        "headers": (
            (b"host", b"pki.example:8443"),
            (b"content-type", b"text/xml"),
            (b"authorization", b"Basic c2VjcmV0"),
            (b"proxy", b"http://evil.example"),
            (b"soapaction", b'"List"'),
            (b"accept", b"a"),
            (b"accept", b"b"),
        ),
        "body": b"hello",
        "peer": "192.0.2.7",
        "is_secure": True,
        **values,
    }
    return Request(**given)


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "99"), ("X-Odd", "1")])
    return [body, b", ", environ["PATH_INFO"].encode()]


def test_an_application_of_the_standard_is_called_by_the_standard() -> None:
    """wsgiref's validator raises at every deviation of ours."""
    checked = validator(cast(WSGIApplication, echo_without_length))
    adapter = WSGIAdapter(checked, InlinePool())
    response = result_of(adapter.answer(request(), {}))
    assert response == Response(200, b"hello, /a b", ((b"content-type", b"text/plain"),))


def echo_without_length(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body, b", ", environ["PATH_INFO"].encode()]


def test_headers_that_the_server_writes_are_not_the_applications() -> None:
    answer = call_application(cast(WSGIApplication, echo), environ_of(request(), {}))
    assert answer.headers == ((b"content-type", b"text/plain"), (b"x-odd", b"1"))


def test_the_environment() -> None:
    environ = environ_of(request(), {"cspd.extra": 7})
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "x=1",
        "CONTENT_TYPE": "text/xml",
        "CONTENT_LENGTH": "5",
        "SERVER_NAME": "pki.example",
        "SERVER_PORT": "8443",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.url_scheme": "https",
        "HTTP_SOAPACTION": '"List"',
        "HTTP_ACCEPT": "a,b",
        "cspd.extra": 7,
    }
    assert {name: environ[name] for name in expected} == expected
    assert not {"HTTP_AUTHORIZATION", "HTTP_PROXY", "HTTP_CONTENT_TYPE"} & set(environ)


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        (b"pki.example", "pki.example", "443"),
        (b"[2001:db8::1]", "[2001:db8::1]", "443"),
        (b"[2001:db8::1]:8443", "[2001:db8::1]", "8443"),
        (b"", "localhost", "443"),
    ],
)
def test_host_headers(host: bytes, name: str, port: str) -> None:
    environ = environ_of(request(headers=((b"host", host),)), {})
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


def test_text_of_a_path_is_octets_as_latin_1() -> None:
    assert environ_of(request(path="/caf%C3%A9"), {})["PATH_INFO"] == "/caf\u00c3\u00a9"


def test_an_application_is_closed_and_may_write_or_start_late() -> None:
    closed: list[bool] = []

    class Body:
        def __init__(self, start_response: Any) -> None:
            self._start_response = start_response

        def __iter__(self) -> Any:
            write: Callable[[bytes], object] = self._start_response("404 Not Found", [])
            write(b"first ")
            yield b"second"

        def close(self) -> None:
            closed.append(True)

    answer = call_application(lambda environ, start_response: Body(start_response), environ_of(request(), {}))
    assert (answer.status, answer.body, closed) == (404, b"first second", [True])


def test_an_application_that_breaks_the_standard_is_an_error_of_ours() -> None:
    with pytest.raises(AssertionError, match="not called"):
        call_application(lambda environ, start_response: [], environ_of(request(), {}))

    def twice(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(AssertionError, match="before"):
        call_application(cast(WSGIApplication, twice), environ_of(request(), {}))


def test_what_an_application_raises_comes_out() -> None:
    def broken(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise NotFound("nothing")

    with pytest.raises(NotFound):
        result_of(WSGIAdapter(cast(WSGIApplication, broken), InlinePool()).answer(request(), {}))


def test_calls_wait_for_a_thread() -> None:
    pool = SteppedPool()
    answers: list[Response] = []
    adapter = WSGIAdapter(cast(WSGIApplication, echo), pool)
    Deferred.fromCoroutine(adapter.answer(request(), {})).addCallback(answers.append)
    assert (answers, pool.waiting) == ([], 1)
    pool.step()
    assert [each.status for each in answers] == [200]


class InlineReactor(Clock):
    """Runs what a thread hands over at once; time moves when told."""

    def callFromThread(self, work: Callable[..., Any], *arguments: Any) -> None:  # Twisted's name
        work(*arguments)


def test_whose_request_it_is_goes_along_through_both_threads() -> None:
    pool, calls = SteppedPool(), ReactorCalls(InlineReactor(), timedelta(seconds=5))
    seen: list[str] = []

    async def look() -> None:
        seen.append(REQUEST_ID.get())

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        calls(look)
        start_response("200 OK", [])
        return []

    adapter = WSGIAdapter(cast(WSGIApplication, application), pool)
    context = copy_context()
    context.run(REQUEST_ID.set, "r-7")
    answered = context.run(Deferred.fromCoroutine, adapter.answer(request(), {}))
    pool.step()
    assert (answered.called, seen) == (True, ["r-7"])


async def value(result: int) -> int:
    return result


async def refuse() -> int:
    raise NotFound("nothing")


def test_a_thread_gets_what_a_coroutine_gives_or_raises() -> None:
    calls = ReactorCalls(InlineReactor(), timedelta(seconds=5))
    assert calls(lambda: value(7)) == 7
    with pytest.raises(NotFound):
        calls(refuse)


def test_a_thread_does_not_wait_for_ever() -> None:
    reactor = InlineReactor()
    never: Deferred[int] = Deferred()
    cancelled: list[bool] = []

    async def waits() -> int:
        try:
            return await never
        finally:
            cancelled.append(True)

    begun = ReactorCalls(reactor, timedelta(seconds=5))._begin(waits, copy_context())
    outcome: list[Any] = []
    begun.addErrback(outcome.append)
    reactor.advance(4.9)
    assert outcome == []
    reactor.advance(0.2)
    [failure] = outcome
    assert failure.check(Unavailable)
    assert failure.value.refusal_code == "timeout"
    assert cancelled == [True]
