"""The scheduled jobs: what became of their runs in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.jobs.values import JobHistory

REMEMBERED = timedelta(hours=1)
"""How long a failure counts, should no run of this process follow: another node may have run the job since."""


class WatchedJobs(Protocol):
    """What :class:`cspd.jobs.scheduler.Scheduler` is to us."""

    @property
    def history(self) -> Mapping[str, JobHistory]:
        """By the job's name."""
        ...


class JobSource:
    """Looks at the runs of the present jobs."""

    def __init__(self, jobs: WatchedJobs, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self.metrics: Sequence[Collector] = (self,)

    def health(self) -> Sequence[Health]:
        """The part ``jobs``: degraded while a job's last run is one that failed within the hour."""
        since = self._clock.now() - REMEMBERED
        failed = [
            name
            for name, history in self._jobs.history.items()
            if history.last_run_failed and history.last_failure is not None and history.last_failure > since
        ]
        return (
            Health(
                part="jobs",
                state=HealthState.DEGRADED if failed else HealthState.OK,
                reason=f"failed when last run: {', '.join(failed)}" if failed else "",
            ),
        )

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        runs = CounterMetricFamily("cspd_job_runs", "Runs that have ended.", labels=["job"])
        failures = CounterMetricFamily("cspd_job_failures", "Runs that failed.", labels=["job"])
        success = GaugeMetricFamily(
            "cspd_job_last_success_timestamp_seconds", "When the last run ended that did not fail.", labels=["job"]
        )
        for name, history in self._jobs.history.items():
            runs.add_metric([name], history.runs)
            failures.add_metric([name], history.failures)
            if history.last_success is not None:
                success.add_metric([name], history.last_success.timestamp())
        return (runs, failures, success)
