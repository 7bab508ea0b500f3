"""This process: its version, and what the operating system says about it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd import __version__


class ProcessSource:
    """Version, processor time, memory, files, and when the process started."""

    health = None

    def __init__(self) -> None:
        self.metrics: Sequence[Collector] = (self, ProcessCollector(registry=None))

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        family = GaugeMetricFamily("cspd_build_info", "Always 1.", labels=["version", "python"])
        family.add_metric([__version__, platform.python_version()], 1)
        yield family
