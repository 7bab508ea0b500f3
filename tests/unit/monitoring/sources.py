"""Things to watch that say what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.health import Health, HealthState


class Gauge:
    """A collector of one value; raises ``error`` instead, if it has one."""

    def __init__(self, name: str, value: float = 1.0, *, error: Exception | None = None) -> None:
        self.name, self.value, self.error = name, value, error

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(self.name, "A value.", value=self.value)
        if self.error is not None:
            raise self.error


class FakeSource:
    """Implements :class:`cspd.monitoring.interfaces.Source`."""

    def __init__(self, *collectors: Collector, health: Callable[[], Sequence[Health]] | None = None) -> None:
        self.metrics = collectors
        self.health = health


def part(name: str, state: HealthState = HealthState.OK, reason: str = "") -> Health:
    return Health(part=name, state=state, reason=reason)
