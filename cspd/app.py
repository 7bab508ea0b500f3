"""The service tree: configuration in, running daemon out. ``twistd cspd --config FILE`` comes in here.

Failures at start are raised where ``twistd`` sees them, so that it exits with a status other than 0 and a plain message
(``spec/platform.md`` 2.24): the configuration in :func:`makeService`, ports in ``privilegedStartService``, store, keys
and protocols in ``startService``, which lets the reactor turn until they have answered.
"""

from __future__ import annotations

import grp
import os
import pwd
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Any, TypeVar

from twisted.application.service import IProcess, Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.python.usage import Options as CommandLine

from cspd.clock import SystemClock
from cspd.config.configuration import Configuration
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.administration import administration_listener, administration_serving
from cspd.daemon.announcement import announce, expand, written
from cspd.daemon.core import Core, build_core, store_url
from cspd.daemon.deployment import build_deployment
from cspd.daemon.listeners import Address, CannotListen, Listeners, Wanted
from cspd.daemon.lock import StateInUse, StateLock
from cspd.daemon.running import Parts, Running
from cspd.daemon.schedule import Schedule
from cspd.daemon.serving import build_serving, wanted_listeners
from cspd.daemon.watching import watched
from cspd.daemon.withdrawn import WithdrawnProtocols
from cspd.jobs.scheduler import Scheduler
from cspd.logs import LevelFilter, LogWriter, as_json, as_text
from cspd.monitoring.jobs import JobSource
from cspd.monitoring.store import StoreCounters
from cspd.plugin import EnrollmentURL
from cspd.refusals import Refused
from cspd.store import schema
from cspd.store.database import open_database

T = TypeVar("T")

START_TURN_SECONDS = 0.05


class StartRefused(Exception):
    """The daemon cannot start; the text is for the operator, who gets no traceback."""


class Options(CommandLine):
    """The command line of ``twistd cspd``."""

    optParameters = [  # noqa: RUF012  # twisted.python.usage reads it from the class
        ["config", "c", "/etc/cspd/cspd.toml", "The configuration file."],
    ]


def makeService(options: Mapping[str, Any]) -> CSPDService:
    """Build the service that ``twistd`` runs; raises :class:`StartRefused` with every problem of the configuration."""
    from twisted.internet import reactor  # noqa: TID251  # twistd has chosen it by now

    _print_refusals_plainly()
    path = Path(options["config"])
    try:
        configuration = load_configuration(path, environment=os.environ, clock=SystemClock())
    except ConfigurationRefused as refused:
        raise StartRefused(_report(refused)) from None
    return CSPDService(configuration, reactor)


class CSPDService(Service):
    """The daemon as ``twistd`` sees it: a service, its signals, and the log."""

    name = "cspd"
    _log = Logger()

    def __init__(self, configuration: Configuration, reactor: Any) -> None:
        self._configuration = configuration
        self._reactor = reactor
        self._owner = owner_of(configuration)
        self._lock = StateLock(configuration.state)
        self._writer = LogWriter(levels=LevelFilter(), stream=sys.__stdout__)
        self._listeners = Listeners(lambda address: endpoint_of(address, reactor))
        self._withdrawn = WithdrawnProtocols(configuration.state)
        self._running: Running | None = None

    def setServiceParent(self, parent: Any) -> None:
        """Give the application our log observer, and the user to become."""
        self._apply_log(self._configuration)
        parent.setComponent(ILogObserver, self._writer)
        process = IProcess(parent)
        process.uid, process.gid = self._owner
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]  # Twisted has no types here

    def privilegedStartService(self) -> None:
        """Take the state folder and bind the ports, perhaps as root (R-PLAT-005)."""
        super().privilegedStartService()  # type: ignore[no-untyped-call]  # Twisted has no types here
        try:
            self._lock.acquire(self._owner)
            self._listeners.bind(_every_listener(self._configuration, self._withdrawn.names()))
            if os.geteuid() == 0 and self._owner != (None, None):
                os.chown(self._configuration.admin_socket, *(-1 if each is None else each for each in self._owner))
        except (StateInUse, CannotListen, OSError, ValueError) as error:
            raise self._refused(str(error)) from None

    def startService(self) -> None:
        """Start everything, and only then accept connections; raises :class:`StartRefused`."""
        os.umask(int(self._configuration.root.server.umask, 8))
        try:
            self._running, core = self._build()
            self._turn_until(self._running.start(self._configuration))
        except ConfigurationRefused as refused:
            raise self._refused(_report(refused)) from None
        except CancelledError:
            seconds = self._configuration.root.server.start_timeout.total_seconds()
            raise self._refused(f"store, keys and protocols did not come up within {seconds:g} seconds") from None
        except (Refused, ValueError, OSError) as error:
            raise self._refused(str(error)) from None
        super().startService()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._take_signals()
        for warning in self._configuration.warnings:
            self._log.warn("{warning}", warning=str(warning), event="configuration-warning")
        urls = self._running.deployment.enrollment_urls
        announce(self._running.addresses, expand(urls, self._turn_until(core.authorities.list())))

    def stopService(self) -> Deferred[None]:
        """Let running requests end, then stop everything (R-PLAT-006)."""
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted has no types here

        async def stop() -> None:
            if self._running is not None:
                await self._running.stop()
            self._lock.release()

        return Deferred.fromCoroutine(stop())

    def reload(self) -> Sequence[Problem]:
        """Take the configuration as it is now; returns its warnings, or raises ConfigurationRefused."""
        assert self._running is not None, "not started"
        warnings = tuple(self._running.reload())
        self._log.info("the configuration was reloaded", event="reloaded")
        for warning in warnings:
            self._log.warn("{warning}", warning=str(warning), event="configuration-warning")
        return warnings

    def withdraw(self, protocol: str) -> None:
        """Take a protocol out of service; the rest goes on by the configuration that is active.

        Raises ConfigurationRefused, OSError.
        """
        assert self._running is not None, "not started"
        self._change_withdrawn(self._withdrawn.names() | {protocol}, self._running.redeploy)
        self._log.warn("protocol {protocol} was taken out of service", protocol=protocol, event="protocol-withdrawn")

    def deploy(self, protocol: str) -> Sequence[Problem]:
        """Take the configuration as it is now, with the protocol in service; returns warnings.

        Raises ConfigurationRefused, OSError.
        """
        warnings: list[Problem] = []
        self._change_withdrawn(self._withdrawn.names() - {protocol}, lambda: warnings.extend(self.reload()))
        return warnings

    def _change_withdrawn(self, names: frozenset[str], switch: Callable[[], object]) -> None:
        """Serve without these protocols; what was out of service stays so if that cannot be done."""
        former = self._withdrawn.names()
        self._withdrawn.keep(names)
        try:
            switch()
        except BaseException:
            self._withdrawn.keep(former)
            raise

    def facts(self) -> Mapping[str, Any]:
        """See :class:`cspd.admin.operations.daemon.Daemon`."""
        assert self._running is not None, "not started"
        configuration = self._running.deployment.configuration
        return {
            "mode": configuration.root.server.mode,
            "configuration": str(configuration.path),
            "process": os.getpid(),
            "listeners": {name: written(address) for name, address in self._running.addresses.items()},
            "protocols": sorted(self._running.deployment.protocols.keys() - self._running.deployment.withdrawn),
            "withdrawn": sorted(self._running.deployment.withdrawn),
        }

    def enrollment_urls(self) -> Sequence[EnrollmentURL]:
        """See :class:`cspd.admin.operations.daemon.Daemon`."""
        assert self._running is not None, "not started"
        return self._running.deployment.enrollment_urls

    def _build(self) -> tuple[Running, Core]:
        configuration, reactor = self._configuration, self._reactor
        url = store_url(configuration.root.store, configuration.state, configuration.secrets)
        schema.upgrade(url)
        database = open_database(url, reactor=reactor, readers=configuration.root.store.readers)
        core = build_core(
            configuration.root,
            secrets=configuration.secrets,
            database=database,
            reactor=reactor,
            clock=SystemClock(),
            random=SystemRandom(),
            call_from_thread=reactor.callFromThread,
        )
        monitor = core.monitoring.monitor
        parts = Parts(
            load=lambda: load_configuration(configuration.path, environment=os.environ, clock=SystemClock()),
            deploy=lambda new: build_deployment(new, core, withdrawn=self._withdrawn.names()),
            listeners=lambda new: _every_listener(new, self._withdrawn.names()),
            factories=lambda deployment: (
                *build_serving(
                    deployment,
                    reactor=reactor,
                    end_of_turn=core.end_of_turn,
                    clock=core.clock,
                    random=core.random,
                    requests=core.monitoring.requests,
                ),
                administration_serving(deployment, core, self, reactor=reactor, clock=core.clock, random=core.random),
            ),
            apply_levels=self._apply_log,
            watch=lambda deployment, factories: monitor.activate(watched(deployment, factories, core.clock)),
        )
        scheduler = Scheduler(reactor, core.clock, database, core.process)
        monitor.add("jobs", JobSource(scheduler, core.clock))
        monitor.add("store-counters", StoreCounters(database))
        running = Running(
            parts=parts,
            core=core,
            jobs=Schedule(scheduler),
            listeners=self._listeners,
            database=database,
            call_later=reactor.callLater,
        )
        return running, core

    def _turn_until(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the reactor turn until ``work`` is done; no port accepts connections yet."""
        results: list[Any] = []
        waiting = Deferred.fromCoroutine(work)
        waiting.addBoth(results.append)
        give_up = self._reactor.callLater(
            self._configuration.root.server.start_timeout.total_seconds(), lambda: waiting.cancel()
        )
        while not results:
            self._reactor.iterate(START_TURN_SECONDS)
        if give_up.active():
            give_up.cancel()
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]  # type: ignore[no-any-return]  # what the coroutine returned

    def _take_signals(self) -> None:
        """SIGHUP reloads, SIGUSR1 opens the log anew, SIGTERM and SIGINT stop with exit status 0."""
        from_thread = self._reactor.callFromThread
        signal.signal(signal.SIGHUP, lambda *_: from_thread(self._reload_on_signal))
        signal.signal(signal.SIGUSR1, lambda *_: from_thread(self._writer.reopen))

        def take_over() -> None:  # the reactor has set its own by then; with these twistd would die of the signal
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: from_thread(self._stop_on_signal))

        self._reactor.callWhenRunning(take_over)

    def _reload_on_signal(self) -> None:
        try:
            self.reload()
        except ConfigurationRefused as refused:
            self._log.error(
                "the configuration was not reloaded, the old one stays active:\n{report}",
                report=_report(refused),
                event="reload-refused",
            )
        except Exception:
            self._log.failure("the configuration was not reloaded, the old one stays active", event="reload-refused")

    def _stop_on_signal(self) -> None:
        if self.running:
            self._reactor.stop()

    def _apply_log(self, configuration: Configuration) -> None:
        log = configuration.root.log
        self._writer.levels.change(log.level, {"log_legacy": "WARN", **log.levels})  # Twisted's ports talk a lot
        self._writer.as_line = as_text if log.format == "text" else as_json
        if configuration.log_file is not None:
            self._writer.open(configuration.log_file, self._owner)

    def _refused(self, reason: str) -> StartRefused:
        self._log.critical("cspd does not start: {reason}", reason=reason, event="start-refused")
        self._listeners.unbind()
        self._lock.release()
        return StartRefused(reason)


def _every_listener(configuration: Configuration, withdrawn: frozenset[str]) -> tuple[Wanted, ...]:
    return (*wanted_listeners(configuration, withdrawn), administration_listener(configuration))


def endpoint_of(address: Address, reactor: Any) -> Any:
    """The server endpoint (IStreamServerEndpoint) of an address; a Unix socket is for its owner alone."""
    if isinstance(address, Path):
        address.unlink(missing_ok=True)  # of a daemon that was killed: a living one would hold the state folder's lock
        return UNIXServerEndpoint(  # type: ignore[no-untyped-call]  # Twisted has no types here
            reactor, str(address), mode=0o600, wantPID=False
        )
    host, port = address
    endpoint = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    return endpoint(reactor, port, backlog=1024, interface=host)


def owner_of(configuration: Configuration) -> tuple[int | None, int | None]:
    """The numbers of the user and group that ``[server] uid`` and ``gid`` name."""
    uid, gid = configuration.root.server.uid, configuration.root.server.gid
    return (
        pwd.getpwnam(uid).pw_uid if isinstance(uid, str) else uid,
        grp.getgrnam(gid).gr_gid if isinstance(gid, str) else gid,
    )


def _report(refused: ConfigurationRefused) -> str:
    count = len(refused.problems)
    return f"{refused}\n{count} problem{'s' if count != 1 else ''} found."


def _print_refusals_plainly() -> None:
    """Show the operator a :class:`StartRefused` without its traceback."""
    former = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, StartRefused):
            print(error, file=sys.__stderr__)  # sys.stderr goes to the log by now
        else:
            former(kind, error, trace)

    sys.excepthook = show
