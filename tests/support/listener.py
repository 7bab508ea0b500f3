"""One listener alone, for tests and benchmarks of :mod:`cspd.http`; the daemon has :mod:`cspd.daemon.listeners`."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.protocols.tls import TLSMemoryBIOFactory

from cspd.clock import Clock
from cspd.http.config import Limits
from cspd.http.router import Router
from cspd.http.server import AccessLog, HTTPFactory
from cspd.http.sockets import set_socket_options
from cspd.http.tls import ServerTLS

_BACKLOG = 1024


class Listener(Service):
    """Serves a router at one address.

    It binds synchronously: a port that is taken raises out of ``privilegedStartService``.
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
        """Bind. Raises ``twisted.internet.error.CannotListenError``, which names address and port."""
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
        """Accept nothing more, let running requests end within the graceful timeout, abort the rest."""
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
