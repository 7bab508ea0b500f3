"""One client's connection: requests in, one at a time; answers out, in order; every wait bounded.

What a connection does at one moment is its :class:`State`; what it waits for has a deadline. A deadline is a number
that the factory's sweep compares, because a timer for each request would cost more than the request.
"""

from __future__ import annotations

from collections.abc import Coroutine
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from cspd.correlation import REQUEST_ID
from cspd.http.channel_bindings import ChannelBindings, channel_bindings_of
from cspd.http.encoding import CONTINUE, refusal
from cspd.http.message import Request, Response, Route
from cspd.http.peers import peer_of
from cspd.http.reader import BadMessage, RequestReader
from cspd.http.router import BadPath, MethodNotAllowed, NoRoute
from cspd.http.tls import peer_certificates
from cspd.waiting import Awaited

if TYPE_CHECKING:
    from cspd.http.server import HTTPFactory

__all__ = ["HTTPConnection"]

PIPELINED_IN_ONE_TURN = 16
"""Requests of one connection that are answered before others get their turn."""
SENT_TOGETHER = 65536
"""Octets of answers to one client that may wait for the end of a turn once there are several of them."""
LINGER = 2.0
"""Seconds for which a refused client may go on sending, so that it reads the refusal and not a reset connection; and
for which an idle TLS client may answer our close_notify."""


class State(Enum):
    """What a connection waits for."""

    IDLE = "idle"
    """The first byte of a request."""
    READING = "reading"
    """The rest of a request."""
    ANSWERING = "answering"
    """The handler."""
    WRITING = "writing"
    """The client, which has yet to take the last answer."""
    CLOSING = "closing"
    """The end; what still arrives is thrown away."""


# Comparing these by identity on every request is cheaper than looking them up in the class each time.
_IDLE, _READING, _ANSWERING, _WRITING, _CLOSING = State


@implementer(IHalfCloseableProtocol, IPushProducer)
class HTTPConnection(Protocol):
    """Speaks HTTP/1.1 and 1.0 with one client; made by :class:`cspd.http.server.HTTPFactory`."""

    factory: HTTPFactory
    transport: Any  # ITCPTransport or ISSLTransport; their declarations lack what both have in common
    _log = Logger()

    def connectionMade(self) -> None:
        """See IProtocol."""
        self._state = _IDLE
        self._reader = RequestReader(self.factory.max_header_bytes)
        self._request: Request | None = None
        self._route: Route | None = None
        self._body_limit = 0
        self._closes = False
        self._peer_is_done = False
        self._is_write_blocked = False
        self._is_read_paused = False
        self._started = 0.0
        self._unsent = b""
        self._may_be_queued = False
        self._write_some = self.transport.writeSomeData if isinstance(self.transport, Server) else None
        self._is_secure = ISSLTransport.providedBy(self.transport)
        self._peer = peer_of(self.transport)
        self._certificates: tuple[bytes, ...] | None = None
        # The first request's time begins here: a client that says nothing is no better than a slow one.
        self.deadline = self.factory.seconds() + self.factory.read_timeout
        self.factory.connected(self)
        # Streaming: the transport tells when the client takes less than we write.
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """See IProtocol."""
        state = self._state
        if state is _CLOSING:
            return
        self._reader.feed(data)
        if state is _IDLE or state is _READING:
            self._advance()
        else:
            # Pipelined: one buffer full waits here, the rest in the kernel, and its sender with it.
            self._pause_reading()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See IProtocol; a running handler goes on, its answer will be dropped."""
        self._state = _CLOSING
        self._request = self._route = None
        self._unsent = b""
        self._reader.close()
        self.factory.disconnected(self)

    def readConnectionLost(self) -> None:
        """See IHalfCloseableProtocol: the client will send no more, but may read."""
        self._peer_is_done = True
        if self._state is _READING:
            self._refuse(refusal(400, "the request is not whole"))
        elif self._state is _IDLE:
            self._end()
        elif self._state is _CLOSING:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """See IHalfCloseableProtocol: our own half is closed; the client's end or the deadline comes next."""

    def pauseProducing(self) -> None:
        """See IPushProducer: the client is slow to take the answer."""
        self._is_write_blocked = True

    def resumeProducing(self) -> None:
        """See IPushProducer: it took all of it."""
        self._is_write_blocked = False
        self._may_be_queued = False
        if self._state is _WRITING:
            self._wait_for_request()
            self._advance()

    def stopProducing(self) -> None:
        """See IPushProducer."""

    def close_when_answered(self) -> None:
        """Take no further request; an idle connection closes at once."""
        self._closes = True
        if self._state is _IDLE:
            self._end_idle()

    def abort(self) -> None:
        """Close without ceremony."""
        self._unsent = b""
        self.transport.abortConnection()

    def deadline_passed(self) -> None:
        """What was waited for did not come in time (R-PLAT-101)."""
        if self._state is _READING:
            self._refuse(refusal(503, "the request took too long"))
        elif self._state is _ANSWERING:
            self._refuse(refusal(503, "the answer took too long"))
        elif self._state is _IDLE:
            self._end_idle()
        else:
            self.abort()

    # Reading.

    def _advance(self) -> None:
        """Answer what has arrived, until something has to be waited for."""
        turns = 0
        try:
            while self._state is _IDLE or self._state is _READING:
                request = self._request
                if request is None:
                    if turns == PIPELINED_IN_ONE_TURN and self._reader.has_buffered:
                        self._let_others_go_first()
                        return
                    turns += 1
                    self._route = None
                    request = self._reader.read_head()
                    if request is None:
                        break
                    if not self._admit(request):
                        continue
                body = self._reader.read_body(self._body_limit)
                if body is None:
                    break
                request.body = body
                self._answer(request)
        except BadMessage as bad:
            refuse = self._route.refuse if self._route is not None else None
            self._refuse((refuse or refusal)(bad.status, bad.reason))
        if self._state is _IDLE or self._state is _READING:
            self._wait_for_data()

    def _wait_for_data(self) -> None:
        if self._state is _IDLE and (self._request is not None or self._reader.has_buffered):
            self._state = _READING
            self.deadline = self.factory.seconds() + self.factory.read_timeout
        if self._is_read_paused:
            self._is_read_paused = False
            self.transport.resumeProducing()
        if self._peer_is_done:
            self.readConnectionLost()

    def _let_others_go_first(self) -> None:
        self._pause_reading()
        self.factory.call_later(0, self._take_turn)

    def _take_turn(self) -> None:
        if self._state is _IDLE:
            self._advance()

    def _pause_reading(self) -> None:
        if not self._is_read_paused:
            self._is_read_paused = True
            self.transport.pauseProducing()

    def _admit(self, request: Request) -> bool:
        """Decide by its head whether a request is read on; False when it was answered instead."""
        factory = self.factory
        request.request_id = factory.new_request_id()
        request.peer = self._peer
        request.listener = factory.name
        if self._is_secure:
            self._show_certificates(request)
        if factory.access_log is not None:
            self._started = factory.seconds()
        try:
            match = factory.router.resolve(request.method, request.path)
        except NoRoute:
            if request.method == "OPTIONS" and request.path == "*":
                return self._answer_without_handler(
                    request, Response(204, b"", ((b"allow", ", ".join(factory.router.methods).encode("ascii")),))
                )
            return self._answer_without_handler(request, refusal(404))
        except MethodNotAllowed as not_allowed:
            allow = (b"allow", ", ".join(not_allowed.allowed).encode("ascii"))
            is_options = request.method == "OPTIONS"
            return self._answer_without_handler(
                request, Response(204, b"", (allow,)) if is_options else refusal(405, "", allow)
            )
        except BadPath as bad:
            return self._answer_without_handler(request, refusal(400, f"the path has {bad}"))
        request.parameters = match.parameters
        self._route = match.route
        reader = self._reader
        limit = match.route.max_body_bytes
        self._body_limit = limit = factory.max_body_bytes if limit is None else max(limit, factory.max_body_bytes)
        if reader.content_length is not None and reader.content_length > limit:
            raise BadMessage(413, f"the body is larger than {limit} bytes")
        if reader.expectation is not None:
            if reader.expectation != b"100-continue":
                raise BadMessage(417, "an expectation other than 100-continue")
            if reader.has_body and reader.is_http_1_1 and not reader.has_buffered:
                self._write(CONTINUE)
        self._request = request
        return True

    def _show_certificates(self, request: Request) -> None:
        request.is_secure = True
        request.channel_bindings = self._channel_bindings
        if self._certificates is None:
            self._certificates = peer_certificates(self.transport)
        if self._certificates:
            request.client_certificate = self._certificates[0]
            request.client_chain = self._certificates[1:]

    def _channel_bindings(self) -> ChannelBindings:
        return channel_bindings_of(self.transport)

    # Answering.

    def _answer_without_handler(self, request: Request, response: Response) -> bool:
        if self._reader.has_body:
            # It stays unread, so nothing behind it can be understood either.
            self._refuse(response, request)
        else:
            self._respond(request, response)
        return False

    def _answer(self, request: Request) -> None:
        """Run the handler."""
        factory = self.factory
        if factory.listen_limit and factory.outstanding >= factory.listen_limit:
            factory.end_of_turn.end()  # who waits for nothing else does not count
            if factory.outstanding >= factory.listen_limit:
                self._respond(request, refusal(503, "too many requests wait", (b"retry-after", b"1")))
                return
        assert self._route is not None
        self._state = _ANSWERING
        coroutine = cast("Coroutine[Deferred[Any], Any, Response]", self._route.handler(request))
        self._go_on(None, coroutine, request, has_waited=False)

    def _go_on(
        self,
        outcome: object,
        coroutine: Coroutine[Deferred[Any], Any, Response],
        request: Request,
        has_waited: bool = True,
    ) -> None:
        """Run the handler until it waits or is done.

        What Deferred.fromCoroutine does, for a third of its time; a handler that never waits costs no Deferred at all.
        ``outcome`` is a Failure of what it waited for; a result it finds by itself in the Deferred that it awaits.
        """
        before = REQUEST_ID.set(request.request_id)
        try:
            if isinstance(outcome, Failure):
                waiting = outcome.throwExceptionIntoGenerator(coroutine)  # type: ignore[no-untyped-call]
            else:
                waiting = coroutine.send(None)
        except StopIteration as returned:
            response = returned.value
        except BaseException:  # a panic in a library written in Rust is no Exception
            response = self._failed(Failure(), request)  # type: ignore[no-untyped-call]
        else:
            if not has_waited:
                self.deadline = self.factory.seconds() + self.factory.write_timeout
                self.factory.outstanding += 1
            if isinstance(waiting, Awaited):
                waiting.resume(self._go_on, coroutine, request)
            else:
                waiting.addBoth(self._go_on, coroutine, request)
            return
        finally:
            REQUEST_ID.reset(before)
        if has_waited:
            self._answered(response, request)
        else:
            self._respond(request, response)

    def _failed(self, failure: Failure, request: Request) -> Response:
        """The handler raised what its protocol did not map: fixed text to the client, the rest to the log."""
        self._log.failure(
            "unexpected error while answering {method} {path} (request {request_id})",
            failure,
            method=request.method,
            path=request.path,
            request_id=request.request_id,
        )
        return refusal(500, f"request {request.request_id}")

    def _answered(self, response: Response, request: Request) -> None:
        self.factory.handler_ended()
        if self._request is not request:
            return  # timed out, or the client has gone
        self._respond(request, response)
        self._advance()

    def _respond(self, request: Request, response: Response) -> None:
        """Write an answer and wait for the next request, or close."""
        factory, reader = self.factory, self._reader
        self._request = None
        closes = self._closes or not reader.keep_alive
        connection = b"" if reader.is_http_1_1 else b"Connection: keep-alive\r\n"
        if closes:
            connection = b"Connection: close\r\n"
        is_head = request.method == "HEAD"
        try:
            encoded = factory.encoder.encode(response, is_head=is_head, connection=connection)
        except Exception:
            response = self._failed(Failure(), request)  # type: ignore[no-untyped-call]
            encoded = factory.encoder.encode(response, is_head=is_head, connection=connection)
        self._write(encoded)
        if factory.access_log is not None:
            factory.access_log(request, response, factory.seconds() - self._started, self._route)
        if closes:
            self._end()
        elif self._is_write_blocked:
            self._wait_for_client()
        else:
            self._wait_for_request()

    def _write(self, data: bytes) -> None:
        """Send at the end of this turn what the kernel then takes at once, and leave the rest to the transport.

        ``transport.write`` queues, asks the poller for writability, and sends in the next turn: two system calls and a
        turn that a small answer to a reading client does not need (they cost as much as all of our own work). Sound
        only while the transport's queue is empty. What we queued is known to be gone when ``resumeProducing`` says so;
        short of that, this connection goes on by the long way.
        """
        if self._write_some is None or self._may_be_queued:
            self.transport.write(data)
        elif self._unsent:
            self._unsent += data
            if len(self._unsent) > SENT_TOGETHER:
                self.send_unsent()
        else:
            self._unsent = data
            self.factory.outbox.add(self)

    def send_unsent(self) -> None:
        """Send what was kept for the end of this turn; called by :class:`cspd.http.outbox.Outbox`."""
        if not self._unsent:
            return
        assert self._write_some is not None
        data, self._unsent = self._unsent, b""
        sent = self._write_some(data)
        if sent == len(data):
            return
        self._may_be_queued = True
        # Finds a lost connection by itself.
        self.transport.write(data[sent:] if isinstance(sent, int) else data)
        if self._is_write_blocked and self._state is _IDLE:
            self._wait_for_client()

    def _wait_for_client(self) -> None:
        """Take no further request until the client has taken the answers to its earlier ones."""
        if self._state is not _ANSWERING or self.deadline <= self.factory.seconds():
            self.deadline = self.factory.seconds() + self.factory.write_timeout
        self._state = _WRITING

    def _wait_for_request(self) -> None:
        self._state = _IDLE
        self.deadline = self.factory.seconds() + self.factory.idle_timeout
        if self._closes:
            self._end()

    def _refuse(self, response: Response, request: Request | None = None) -> None:
        """Answer and close, whatever the client still sends."""
        request = request or self._request
        self._request = None
        is_head = request is not None and request.method == "HEAD"
        self._write(self.factory.encoder.encode(response, is_head=is_head, connection=b"Connection: close\r\n"))
        if self.factory.access_log is not None:
            seconds = self.factory.seconds() - self._started if request else 0.0
            self.factory.access_log(request, response, seconds, self._route)
        self._end(lingers=True)

    def _end_idle(self) -> None:
        """Close where nothing is under way.

        A client that keeps an idle TLS connection in its pool may not hear our close_notify for a long time, and need
        not be waited for (RFC 8446, 6.1).
        """
        self._end(lingers=self._is_secure)

    def _end(self, *, lingers: bool = False) -> None:
        """Close once what was written is out; abort if that takes too long.

        A connection closed with unread bytes is reset by the kernel, and the reset may reach the client before it read
        the answer. So a refused client may go on for a while, unheard (RFC 9112, 9.6).
        """
        self._state = _CLOSING
        self.send_unsent()
        factory = self.factory
        self.deadline = factory.seconds() + (LINGER if lingers else factory.write_timeout)
        self.transport.unregisterProducer()
        if self._is_read_paused:
            self._is_read_paused = False
            self.transport.resumeProducing()
        if lingers and not self._peer_is_done and not self._is_secure:
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()  # TLS waits for the client's close_notify by itself
