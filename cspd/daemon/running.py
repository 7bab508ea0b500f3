"""The running daemon: a core, the present deployment on its listeners, and the change from one deployment to the next.

Start:  bind the ports -> (drop privileges) -> start the core -> build and start the protocols -> accept connections
Reload: load the configuration -> build the protocols beside the old ones -> bind new ports -> switch -> retire the old
Stop:   close the ports -> let requests end, up to their listener's graceful timeout -> protocols -> jobs -> core
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cspd.config.configuration import Configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.core import needs_restart
from cspd.daemon.deployment import Deployment
from cspd.daemon.listeners import CannotListen, Listeners, ServingFactory, Wanted
from cspd.jobs.values import Job


class Jobs(Protocol):
    """Runs jobs (:class:`cspd.jobs.scheduler.Scheduler`)."""

    def replace(self, jobs: Sequence[Job]) -> None:
        """Run exactly these from now on; a turn that runs is not disturbed."""
        ...

    async def stop(self) -> None:
        """Begin no more turns, and wait for those that run."""
        ...


class RunningDatabase(Protocol):
    """What :class:`cspd.store.database.ThreadedDatabase` is to us."""

    def start(self) -> None:
        """Start the threads."""
        ...

    def stop(self) -> Deferred[None]:
        """Finish what is queued; fires when the threads have ended."""
        ...


class ServiceHalf(Protocol):
    """What :class:`cspd.daemon.core.Core` is to us."""

    async def start(self) -> None:
        """See Core."""
        ...

    async def stop(self) -> None:
        """See Core."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How the pieces of a daemon are made; ``cspd.app`` has the real ones, tests have theirs."""

    load: Callable[[], Configuration]
    """Read the configuration again; raises ConfigurationRefused."""
    deploy: Callable[[Configuration], Deployment]
    """Build the protocols; raises ConfigurationRefused."""
    listeners: Callable[[Configuration], Sequence[Wanted]]
    """Every listener of a configuration, the socket of ``cspctl`` too."""
    factories: Callable[[Deployment], Sequence[tuple[Wanted, ServingFactory]]]
    """A factory for each listener, its TLS loaded; raises ConfigurationRefused."""
    apply_levels: Callable[[Configuration], None]
    """Log at the levels of the configuration."""
    watch: Callable[[Deployment, Sequence[tuple[Wanted, ServingFactory]]], None]
    """Tell the monitor what is active from now on; does not raise."""


class Running:
    """One daemon."""

    _log = Logger()

    def __init__(
        self,
        *,
        parts: Parts,
        core: ServiceHalf,
        jobs: Jobs,
        listeners: Listeners,
        database: RunningDatabase,
        call_later: Callable[[float, Callable[[], Any]], Any],
    ) -> None:
        """``call_later`` is the reactor's; it gives an IDelayedCall."""
        self._call_later = call_later
        self._parts = parts
        self._core = core
        self._jobs = jobs
        self._listeners = listeners
        self._database = database
        self._deployment: Deployment | None = None
        self._retired: dict[Deployment, Any] = {}
        """The timer of each former deployment that may still have a request to answer."""

    @property
    def deployment(self) -> Deployment:
        """What is active."""
        assert self._deployment is not None, "not started"
        return self._deployment

    @property
    def addresses(self) -> Mapping[str, Any]:
        """What each listener is bound to."""
        return self._listeners.addresses

    async def start(self, configuration: Configuration) -> None:
        """Start everything and accept connections; raises what prevents it, and then nothing is left running."""
        self._database.start()
        try:
            await self._core.start()
            deployment = self._parts.deploy(configuration)
            factories = self._parts.factories(deployment)
        except BaseException:
            self._listeners.unbind()
            await self._core.stop()
            await self._database.stop()
            raise
        self._activate(deployment, factories)

    def reload(self) -> Sequence[Problem]:
        """Switch to the configuration as it is now, whole or not at all (R-PLAT-007, R-PLAT-052, R-CEG-027).

        Returns its warnings. Raises ConfigurationRefused, and then the old one goes on unchanged. Running requests are
        answered by what they began with.
        """
        configuration = self._parts.load()
        self._refuse_what_needs_a_restart(configuration)
        self._switch(configuration)
        return configuration.warnings

    def redeploy(self) -> None:
        """Build the configuration that is active once more, whatever the files say by now; otherwise as a reload."""
        self._switch(self.deployment.configuration)

    async def stop(self) -> None:
        """Stop; bounded by the graceful timeouts of the listeners."""
        await self._listeners.stop()
        if self._deployment is not None:
            await self._deployment.stop()
        for retired in tuple(self._retired):
            await self._finish(retired)
        await self._jobs.stop()
        await self._core.stop()
        await self._database.stop()

    def _switch(self, configuration: Configuration) -> None:
        deployment = self._parts.deploy(configuration)
        factories = self._parts.factories(deployment)
        try:
            self._listeners.bind(self._parts.listeners(configuration))
        except CannotListen as error:
            raise ConfigurationRefused([Problem(what=str(error), file=configuration.path)]) from error
        former = self.deployment
        self._activate(deployment, factories)
        self._retire(former)

    def _activate(self, deployment: Deployment, factories: Sequence[tuple[Wanted, ServingFactory]]) -> None:
        deployment.start()
        self._listeners.serve(factories)
        self._jobs.replace(deployment.jobs)
        self._parts.apply_levels(deployment.configuration)
        self._deployment = deployment
        self._parts.watch(deployment, factories)

    def _retire(self, deployment: Deployment) -> None:
        """Stop the old protocols once no request that began with them can still run: by then it has timed out."""
        limits = [listener.limits for listener in deployment.configuration.root.listeners.values()]
        longest = max(each.read_timeout + each.write_timeout for each in limits)
        self._retired[deployment] = self._call_later(
            longest.total_seconds(), lambda: Deferred.fromCoroutine(self._finish(deployment))
        )

    async def _finish(self, deployment: Deployment) -> None:
        timer = self._retired.pop(deployment)
        if timer.active():
            timer.cancel()
        await deployment.stop()

    def _refuse_what_needs_a_restart(self, configuration: Configuration) -> None:
        changed = list(needs_restart(self.deployment.configuration.root, configuration.root))
        if changed:
            raise ConfigurationRefused(
                [
                    Problem(what="has changed, which needs a restart", key=key, file=configuration.path)
                    for key in changed
                ]
            )
