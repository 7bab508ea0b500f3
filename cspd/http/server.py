"""The HTTP server: what all connections of a listener share."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from cspd.clock import Clock
from cspd.http.config import Limits
from cspd.http.connection import HTTPConnection
from cspd.http.encoding import ResponseEncoder
from cspd.http.message import Request, Response, Route
from cspd.http.outbox import Outbox
from cspd.http.router import Router
from cspd.turns import EndOfTurn

__all__ = ["AccessLog", "HTTPFactory"]

AccessLog = Callable[[Request | None, Response, float, Route | None], None]
"""Called for each answer: its request (None if that could not be parsed), the answer, the seconds between, and the
route (None if it was answered without one)."""

SWEEP_INTERVAL = 1.0
"""Seconds between two looks at the deadlines; timeouts are met to this precision, or a quarter of the shortest."""
_IDS_AT_ONCE = 256


class HTTPFactory(Factory):
    """Makes :class:`HTTPConnection`; router and limits can be replaced while it serves."""

    noisy = False

    def __init__(
        self,
        router: Router,
        limits: Limits,
        *,
        reactor: Any,
        clock: Clock,
        random: Random,
        name: str = "",
        access_log: AccessLog | None = None,
        end_of_turn: EndOfTurn | None = None,
    ) -> None:
        """``end_of_turn`` is the reactor's, where others use it too."""
        self.name = name
        self.access_log = access_log
        self.outstanding = 0
        """Requests whose handler waits, those included whose client has gone."""
        self.seconds: Callable[[], float] = reactor.seconds
        self.call_later: Callable[..., Any] = reactor.callLater
        self.end_of_turn = end_of_turn or EndOfTurn(reactor.callLater)
        self.outbox = Outbox(self.end_of_turn)
        self._clock = clock
        self._random = random
        self._ids: list[str] = []
        self._connections: set[HTTPConnection] = set()
        self._sweep: Any = None  # IDelayedCall
        self._drained: Deferred[None] | None = None
        self.encoder = ResponseEncoder(clock.now())
        self.router = router
        self.set_limits(limits)

    def buildProtocol(self, addr: Any) -> HTTPConnection:  # type: ignore[override]  # its bound is not met by anybody
        """See IProtocolFactory."""
        connection = HTTPConnection()
        connection.factory = self
        return connection

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def set_router(self, router: Router) -> None:
        """Serve these routes from the next request on; running ones are not touched."""
        self.router = router
        self.set_limits(self.limits)

    def set_limits(self, limits: Limits) -> None:
        """Let these limits hold: timeouts and body at once, the header's for new connections."""
        self.limits = limits
        self.read_timeout = limits.read_timeout.total_seconds()
        self.write_timeout = limits.write_timeout.total_seconds()
        self.idle_timeout = limits.idle_timeout.total_seconds()
        self.max_body_bytes = limits.max_body_bytes
        self.max_header_bytes = max(limits.max_header_bytes, self.router.max_header_bytes)
        self.listen_limit = limits.listen_limit
        shortest = min(self.read_timeout, self.write_timeout, self.idle_timeout)
        self._sweep_interval = min(SWEEP_INTERVAL, shortest / 4)

    def drain(self) -> Deferred[None]:
        """Close idle connections, let the others answer what they have begun; fires when all have gone."""
        drained: Deferred[None] = Deferred()
        self._drained = drained
        for connection in list(self._connections):
            connection.close_when_answered()
        self._check_drained()
        return drained

    def abandon(self) -> None:
        """Close every connection without ceremony and wait for no handler; what :meth:`drain` gave fires."""
        for connection in list(self._connections):
            connection.abort()
        self._end_drain()

    # For connections.

    def connected(self, connection: HTTPConnection) -> None:
        """Watch over its deadline from now on."""
        self._connections.add(connection)
        if self._sweep is None:
            self.encoder.set_date(self._clock.now())
            self._sweep = self.call_later(self._sweep_interval, self._sweep_deadlines)
        if self._drained is not None:
            connection.close_when_answered()

    def disconnected(self, connection: HTTPConnection) -> None:
        """Forget it."""
        self._connections.discard(connection)
        self._check_drained()

    def handler_ended(self) -> None:
        """A handler that had to wait has its answer."""
        self.outstanding -= 1
        self._check_drained()

    def new_request_id(self) -> str:
        """16 random hexadecimal digits."""
        if not self._ids:
            digits = self._random.randbytes(8 * _IDS_AT_ONCE).hex()  # one system call for many
            self._ids = [digits[start : start + 16] for start in range(0, len(digits), 16)]
        return self._ids.pop()

    def _check_drained(self) -> None:
        # A handler whose client has gone still counts: it may be about to store what it signed.
        if not self._connections and not self.outstanding:
            self._end_drain()

    def _end_drain(self) -> None:
        if self._drained is None:
            return
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        drained, self._drained = self._drained, None
        drained.callback(None)

    def _sweep_deadlines(self) -> None:
        self._sweep = None
        now = self.seconds()
        for connection in list(self._connections):
            if connection.deadline <= now:
                connection.deadline_passed()
        if self._connections:
            self.encoder.set_date(self._clock.now())
            self._sweep = self.call_later(self._sweep_interval, self._sweep_deadlines)
