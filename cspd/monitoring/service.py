"""The monitor of the daemon: what is watched for ever, and what the active configuration adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from cspd.health import Health, HealthState
from cspd.monitoring.exposition import Exposition, expose
from cspd.monitoring.health_metrics import HealthMetrics
from cspd.monitoring.interfaces import Source
from cspd.monitoring.probe import Probe
from cspd.monitoring.report import HealthReport


class MonitoringService:
    """Implements :class:`cspd.monitoring.interfaces.Monitor`.

    It is made before any protocol, lives as long as the process, and is told at each activation what is active. So a
    page of metrics that was built with one configuration tells of the present one.
    """

    _log = Logger()

    def __init__(self, sources: Mapping[str, Source], *, probes: Sequence[Probe] = ()) -> None:
        """``sources`` by a name for the log; ``probes`` are asked before their sources tell what they know."""
        self._lasting = dict(sources)
        self._active: Mapping[str, Source] = {}
        self._probes = probes

    def add(self, name: str, source: Source) -> None:
        """Watch one more thing for as long as the process lives."""
        self._lasting[name] = source

    def activate(self, sources: Mapping[str, Source]) -> None:
        """Watch these, until the next call, instead of what the last call named."""
        self._active = dict(sources)

    async def health(self) -> HealthReport:
        """See :class:`cspd.monitoring.interfaces.Monitor`."""
        await self._refresh()
        return self._report()

    async def metrics(self, accept: str) -> Exposition:
        """See :class:`cspd.monitoring.interfaces.Monitor`."""
        await self._refresh()
        return expose([HealthMetrics(self._report()), *self._collectors()], accept)

    async def _refresh(self) -> None:
        await DeferredList([Deferred.fromCoroutine(probe.refresh()) for probe in self._probes])

    def _report(self) -> HealthReport:
        return HealthReport(tuple(part for name, source in self._sources() for part in self._parts_of(name, source)))

    def _sources(self) -> Iterator[tuple[str, Source]]:
        yield from self._lasting.items()
        yield from self._active.items()

    def _parts_of(self, name: str, source: Source) -> Sequence[Health]:
        if source.health is None:
            return ()
        try:
            return tuple(source.health())
        except Exception:  # the edge of somebody else's code: the other parts are told all the same
            self._log.failure("the health of {name} cannot be told", name=name)
            return (Health(part=name, state=HealthState.FAILED, reason="unexpected error, see the log"),)

    def _collectors(self) -> Iterable[Collector]:
        for _, source in self._sources():
            yield from source.metrics
