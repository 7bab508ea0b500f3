"""WSGI applications (PEP 3333) behind our server: each call in a thread of a bounded pool.

::

    Request -> environ_of -> application, in a thread -> Response
                                  |
                                  +-- ReactorCalls: what it asks of our services runs in the reactor thread,
                                      while its own thread waits, not for ever

A body is whole before the call and after it: nothing is streamed, and a client that is slow holds no thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from datetime import timedelta
from functools import partial
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication

from twisted.internet.defer import CancelledError, Deferred, TimeoutError  # noqa: A004  # Twisted's own
from twisted.internet.threads import blockingCallFromThread

from cspd.http.message import Request, Response
from cspd.keys.threads import SigningPool
from cspd.refusals import Unavailable

T = TypeVar("T")

_NOT_FORWARDED = frozenset({b"content-type", b"content-length", b"authorization", b"proxy", b"cookie"})
"""CGI has names of its own for the first two; an application has no use for what has authenticated the caller; and
HTTP_PROXY is a setting of libraries (CVE-2016-5385)."""
_SERVERS_TO_WRITE = frozenset({"content-length", "date", "connection", "server", "transfer-encoding"})


class WSGIAdapter:
    """Calls an application for requests."""

    def __init__(self, application: WSGIApplication, pool: SigningPool) -> None:
        """``pool`` bounds how many calls run and how many wait."""
        self._application = application
        self._pool = pool

    async def answer(self, request: Request, extra: Mapping[str, Any]) -> Response:
        """What the application answers; ``extra`` goes into its environment.

        Raises Unavailable while too many wait, and what the application raises.
        """
        call = partial(call_application, self._application, environ_of(request, extra))
        # Whose request it is goes along, for the log (cspd.correlation).
        return await self._pool.run(partial(copy_context().run, call))


class ReactorCalls:
    """Lets a thread ask services that live in the reactor thread."""

    def __init__(self, reactor: Any, timeout: timedelta) -> None:
        """``timeout`` is how long a thread waits; then the work is cancelled."""
        self._reactor = reactor
        self._timeout = timeout

    def __call__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the reactor thread and give its result here, in another thread.

        Raises what it raises, and Unavailable when it takes too long.
        """
        call: Callable[..., T] = blockingCallFromThread
        return call(self._reactor, self._begin, work, copy_context())

    def _begin(self, work: Callable[[], Coroutine[Any, Any, T]], context: Context) -> Deferred[T]:
        begun = context.run(Deferred.fromCoroutine, work())
        begun.addTimeout(self._timeout.total_seconds(), self._reactor)
        begun.addErrback(_too_long)
        return begun


def _too_long(failure: Any) -> Any:
    if failure.check(TimeoutError, CancelledError):
        raise Unavailable("the answer takes too long", code="timeout")
    return failure


def call_application(application: WSGIApplication, environ: dict[str, Any]) -> Response:
    """Call it and gather its answer; raises what it raises."""
    begun: list[tuple[int, tuple[tuple[bytes, bytes], ...]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        # Nothing is sent before the end, so that a later call may take an earlier one back.
        if begun and exc_info is None:
            raise AssertionError("start_response was called before")
        begun[:] = [(int(status.partition(" ")[0]), _answer_headers(headers))]
        return written.append

    written: list[bytes] = []
    chunks = application(environ, start_response)
    try:
        written.extend(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    if not begun:
        raise AssertionError("start_response was not called")
    [(status, headers)] = begun
    return Response(status, b"".join(written), headers)


def environ_of(request: Request, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a request (PEP 3333); texts hold octets as latin-1, as that says."""
    host, _, port = request.host.rpartition(":") if request.host[-1:].isdigit() else (request.host, "", "")
    scheme = "https" if request.is_secure else "http"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": request.header(b"content-type") or "",
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": port if port.isdigit() else "443" if request.is_secure else "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        if name not in _NOT_FORWARDED:
            key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
            text = value.decode("latin-1")
            environ[key] = f"{environ[key]},{text}" if key in environ else text
    environ.update(extra)
    return environ


def _answer_headers(headers: list[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers
        if name.lower() not in _SERVERS_TO_WRITE
    )
