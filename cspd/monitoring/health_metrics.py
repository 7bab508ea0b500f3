"""Health as metrics, so that one alert rule covers every part."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from cspd.health import HealthState
from cspd.monitoring.report import HealthReport

_VALUES = {HealthState.OK: 1.0, HealthState.DEGRADED: 0.5, HealthState.FAILED: 0.0}


class HealthMetrics:
    """The states of one report."""

    def __init__(self, report: HealthReport) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        family = GaugeMetricFamily("cspd_health", "1 if the part works, 0.5 if degraded, 0 if not.", labels=["part"])
        for part in self._report.parts:
            family.add_metric([part.part], _VALUES[part.state])
        yield family
