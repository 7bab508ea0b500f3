"""A client and our server in one process: bytes in, bytes out, time by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from cspd.http.config import Limits
from cspd.http.message import Request, Response, Route
from cspd.http.router import Router
from cspd.http.server import HTTPFactory
from tests.support.clocks import FrozenClock

DATE = b"Tue, 24 Nov 2026 12:00:00 GMT"


class Wire(StringTransport):
    """The server's transport; remembers how it was closed."""

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.7", 40000))
        self.is_half_closed = False
        self.is_aborted = False

    def loseWriteConnection(self) -> None:
        self.is_half_closed = True

    def abortConnection(self) -> None:
        self.is_aborted = True
        super().abortConnection()


class Client:
    """One connection to the server."""

    def __init__(self, factory: HTTPFactory, wire: Wire | None = None, *, is_secure: bool = False) -> None:
        self.wire = wire or Wire()
        if is_secure:
            directlyProvides(self.wire, ISSLTransport)
        self.connection = factory.buildProtocol(None)
        self.connection.makeConnection(self.wire)

    def send(self, data: bytes) -> bytes:
        """Let the server receive ``data``; gives what it has written since the last call."""
        self.connection.dataReceived(data)
        return self.received()

    def received(self) -> bytes:
        """What the server has written since the last call."""
        data = bytes(self.wire.value())
        self.wire.clear()
        return data

    def hang_up(self) -> None:
        """Close both halves."""
        self.connection.connectionLost(Failure(ConnectionDone()))

    def shut_down_writing(self) -> None:
        """Close our half; we still read."""
        self.connection.readConnectionLost()

    def finish(self) -> None:
        """Let the transport tell the server of the close that it asked for."""
        assert self.is_closed
        self.connection.connectionLost(Failure(ConnectionLost() if self.wire.is_aborted else ConnectionDone()))

    @property
    def is_closed(self) -> bool:
        return self.wire.disconnecting or self.wire.is_aborted

    @property
    def is_refused(self) -> bool:
        """Whether the server will hear nothing more."""
        return self.is_closed or self.wire.is_half_closed

    @property
    def is_read(self) -> bool:
        """Whether the server takes more bytes from the kernel."""
        return self.wire.producerState == "producing"


class Server:
    """The factory with some handlers that tests need."""

    def __init__(self, *routes: Route, limits: Limits | None = None, **options: Any) -> None:
        self.time = Clock()
        self.clock = FrozenClock()
        self.requests: list[Request] = []
        self.waiting: list[Deferred[Response]] = []
        self.ended: list[Request] = []
        self.factory = HTTPFactory(
            Router(routes or self.standard_routes()),
            limits or Limits(),
            reactor=self.time,
            clock=self.clock,
            random=Random(7),  # predictable request ids
            name="test",
            **options,
        )

    def standard_routes(self) -> tuple[Route, ...]:
        return (
            Route(methods=("GET", "POST"), path="/echo", handler=self.echo),
            Route(methods=("GET",), path="/wait", handler=self.wait),
            Route(methods=("GET", "POST"), path="/break", handler=self.break_down),
            Route(methods=("POST",), path="/large", handler=self.echo, max_body_bytes=20000, max_header_bytes=1024),
            Route(methods=("GET",), path="/named/{name}", handler=self.echo),
        )

    async def echo(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, b"%b %b %b" % (request.method.encode(), request.target, request.body))

    async def wait(self, request: Request) -> Response:
        self.requests.append(request)
        waiting: Deferred[Response] = Deferred()
        self.waiting.append(waiting)
        response = await waiting
        self.ended.append(request)
        return response

    async def break_down(self, request: Request) -> Response:
        raise ZeroDivisionError("secret detail")

    def connect(self, *, is_secure: bool = False) -> Client:
        return Client(self.factory, is_secure=is_secure)


def statuses(data: bytes) -> Sequence[int]:
    """The status of each response in ``data``."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def get(target: str, *headers: str) -> bytes:
    """A GET request of HTTP/1.1."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *headers, "", ""]).encode("latin-1")


def post(target: str, body: bytes, *headers: str) -> bytes:
    """A POST request with a Content-Length."""
    lines = [f"POST {target} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
