"""A listener: an address bound, a factory behind it, TLS between them where conf says so."""

from __future__ import annotations

import socket
from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.protocols.tls import TLSMemoryBIOFactory

from cspd.clock import Clock
from cspd.http.config import Limits
from cspd.http.router import Router
from cspd.http.server import AccessLog, HTTPFactory
from cspd.http.tls import ServerTLS

__all__ = ["Listener", "set_socket_options"]

_BACKLOG = 1024


class Listener(Service):
    """Serves a router at one address; a child of the daemon's service tree.

    It binds before the daemon drops its privileges, and synchronously: a port that is taken raises out of
    ``privilegedStartService``, so that ``twistd`` ends with the reason instead of running on without the listener.
    """

    def __init__(
        self,
        name: str,
        address: tuple[str, int],
        router: Router,
        limits: Limits,
        *,
        reactor: Any,
        clock: Clock,
        random: Random,
        tls: ServerTLS | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self.setName(name)  # type: ignore[no-untyped-call]  # Twisted has no types here
        self.address = address
        self.tls = tls
        """Replace its credentials (:meth:`ServerTLS.replace`) to reload; a listener does not change to or from TLS."""
        self.factory = HTTPFactory(
            router, limits, reactor=reactor, clock=clock, random=random, name=name, access_log=access_log
        )
        self._reactor = reactor
        self._port: Any = None

    def privilegedStartService(self) -> None:
        """Bind. Raises ``twisted.internet.error.CannotListenError``, which names address and port (R-PLAT-002)."""
        interface, port = self.address
        factory: Any = self.factory
        tls: Any = self.tls
        if tls is not None:
            factory = TLSMemoryBIOFactory(tls, False, factory, clock=self._reactor)
        self._port = self._reactor.listenTCP(port, factory, backlog=_BACKLOG, interface=interface)
        set_socket_options(self._port, self.factory.limits)

    def startService(self) -> None:
        """Bind, unless done before the privileges were dropped."""
        if self._port is None:
            self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]

    @property
    def port(self) -> int:
        """The port that is bound (conf may say 0 for any free one)."""
        return int(self._port.getHost().port)

    def reconfigure(self, router: Router, limits: Limits) -> None:
        """Serve these from now on; running requests end as they began."""
        self.factory.router = router
        self.factory.set_limits(limits)
        set_socket_options(self._port, self.factory.limits)

    async def stop(self) -> None:
        """Accept nothing more, let running requests end within the graceful timeout, abort the rest (R-PLAT-006)."""
        if self._port is None:
            return
        port, self._port = self._port, None
        stopped = port.stopListening()
        if stopped is not None:
            await stopped
        grace = self.factory.limits.graceful_timeout.total_seconds()
        end_of_grace = self._reactor.callLater(grace, self._abandon)
        await self.factory.drain()
        if end_of_grace.active():
            end_of_grace.cancel()

    def stopService(self) -> Deferred[None]:
        """See IService; fires when :meth:`stop` is done."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self.stop())

    def _abandon(self) -> None:
        self.factory.abandon()


def set_socket_options(port: Any, limits: Limits) -> None:
    """Set on a listening TCP port what accepted sockets inherit, rather than on each of them anew.

    ``port`` is an IListeningPort; one without a socket (of tests, or a Unix socket) is left alone.
    """
    listening = getattr(port, "socket", None)
    if not isinstance(listening, socket.socket) or listening.family not in (socket.AF_INET, socket.AF_INET6):
        return
    seconds = max(int(limits.tcp_keep_alive.total_seconds()), 6)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Silent for half of the time, then three probes in the other half: pruned when the span is over.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds // 2)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(seconds // 6, 1))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    # An answer is one write; waiting to fill a segment only delays the last one.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
