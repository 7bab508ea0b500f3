"""What answers on a listener: a router over the protocols' routes, HTTP's limits, TLS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from cspd.clock import Clock
from cspd.config.configuration import Configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.deployment import Deployment
from cspd.daemon.listeners import Wanted
from cspd.daemon.tls import load_tls
from cspd.http.request_log import RequestLog
from cspd.http.router import RouteConflict, Router
from cspd.http.server import HTTPFactory
from cspd.http.sockets import set_socket_options
from cspd.http.tls import ServerTLS, TLSProblems
from cspd.monitoring.requests import RequestCounters
from cspd.turns import EndOfTurn


class Serving:
    """Makes the connections of one listener; implements :class:`cspd.daemon.listeners.ServingFactory`."""

    _log = Logger()

    def __init__(self, http: HTTPFactory, *, tls: ServerTLS | None, folder: Path, reactor: Any) -> None:
        """``folder`` is where the relative paths of the TLS configuration start."""
        self._http = http
        self._tls = tls
        self._folder = folder
        self._reactor = reactor
        self._outermost = http if tls is None else _encrypted(tls, http, reactor)

    @property
    def tls(self) -> ServerTLS | None:
        """What it shows to clients; None without TLS."""
        return self._tls

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """See :class:`twisted.internet.interfaces.IProtocolFactory`."""
        return self._outermost.buildProtocol(addr)

    def adopt(self, other: Serving) -> bool:
        """Take routes, limits and certificate of ``other``; False if one of both has TLS and the other not.

        A request that runs ends with the routes and limits it began with, a connection with its certificate.
        """
        if (self._tls is None) != (other._tls is None):
            return False
        if self._tls is not None and other._tls is not None:
            try:
                self._tls.replace(other._tls.credentials, other._tls.config, directory=other._folder)
            except TLSProblems:  # a file changed since other read it
                return False
        self._http.set_limits(other._http.limits)
        self._http.set_router(other._http.router)
        self._http.access_log = other._http.access_log
        return True

    def tune(self, port: Any) -> None:
        """Keep-alive probes by the limits of this listener."""
        set_socket_options(port, self._http.limits)

    def drain(self) -> Deferred[None]:
        """Let running requests end within the grace, then cut them off."""
        drained = self._http.drain()
        cut_off = self._reactor.callLater(self._http.limits.graceful_timeout.total_seconds(), self._cut_off)

        def ended(_: object) -> None:
            if cut_off.active():
                cut_off.cancel()

        drained.addBoth(ended)
        return drained

    def _cut_off(self) -> None:
        self._log.warn(
            "listener {listener}: {count} connections outlived the graceful timeout and are cut off",
            listener=self._http.name,
            count=self._http.connections,
        )
        self._http.abandon()


def _encrypted(tls: Any, http: Any, reactor: Any) -> Any:
    """The factory with TLS around it (Any: mypy cannot read zope's interfaces)."""
    factory = TLSMemoryBIOFactory(tls, False, http, clock=reactor)
    factory.noisy = False
    return factory


def _request_log(configuration: Configuration, listener: str) -> RequestLog | None:
    requests = configuration.root.log.requests
    return None if requests == "none" else RequestLog(listener, only_failures=requests == "failed")


def wanted_listeners(configuration: Configuration, withdrawn: frozenset[str] = frozenset()) -> Sequence[Wanted]:
    """The listeners of a configuration; clients find no port where all protocols are withdrawn."""
    return [
        Wanted(name=name, address=listener.address)
        for name, listener in configuration.root.listeners.items()
        if not listener.protocols or not withdrawn.issuperset(listener.protocols)
    ]


def build_serving(
    deployment: Deployment,
    *,
    reactor: Any,
    end_of_turn: EndOfTurn,
    clock: Clock,
    random: Random,
    requests: RequestCounters,
) -> Sequence[tuple[Wanted, Serving]]:
    """What answers on each listener; raises ConfigurationRefused for routes that contradict each other and for TLS."""
    configuration = deployment.configuration
    tls = load_tls(configuration, now=clock.now())
    problems: list[Problem] = []
    built: list[tuple[Wanted, Serving]] = []
    for wanted in wanted_listeners(configuration, deployment.withdrawn):
        listener = configuration.root.listeners[wanted.name]
        try:
            router = Router(deployment.routes(wanted.name))
        except RouteConflict as error:
            key = ("listeners", wanted.name, "protocols")
            problems += [Problem(what=each, key=key, file=configuration.path) for each in error.problems]
            continue
        http = HTTPFactory(
            router,
            listener.limits,
            reactor=reactor,
            clock=clock,
            random=random,
            name=wanted.name,
            access_log=requests.recorder(wanted.name, _request_log(configuration, wanted.name)),
            end_of_turn=end_of_turn,
        )
        serving = Serving(http, tls=tls.get(wanted.name), folder=configuration.folder, reactor=reactor)
        built.append((wanted, serving))
    if problems:
        raise ConfigurationRefused(problems)
    return built
