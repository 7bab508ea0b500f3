"""What is known of the system clock, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.timekeeping.state import ClockState
from cspd.timekeeping.values import LeapStatus, Tracking


class ClockCollector(Collector):
    """Collects the state of one clock monitor each time that somebody asks; every sample has the label ``source``."""

    def __init__(self, state: Callable[[], ClockState], *, source: str, max_error: float) -> None:
        """``state`` is :meth:`cspd.timekeeping.monitor.ClockMonitor.state`; ``max_error`` is in seconds."""
        self._state = state
        self._source = source
        self._max_error = max_error

    def describe(self) -> Iterator[Metric]:
        """The names, without asking for the state (:class:`prometheus_client.CollectorRegistry` wants them first)."""
        return iter([*self._of_verdict(None), *self._of_answer(None, None)])

    def collect(self) -> Iterator[Metric]:
        """See :class:`prometheus_client.registry.Collector`; before the first answer its metrics have no samples."""
        state = self._state()
        yield from self._of_verdict(state)
        yield from self._of_answer(state.tracking, state.answer_age)

    def _of_verdict(self, state: ClockState | None) -> Iterator[Metric]:
        trusted = self._gauge("trusted", "1 while tokens may carry the time of the system clock, otherwise 0.")
        limit = self._gauge("max_error_seconds", "The largest tolerated offset.")
        polls = CounterMetricFamily(
            "cspd_clock_polls", "How often the time source was asked.", labels=["source", "outcome"]
        )
        steps = CounterMetricFamily("cspd_clock_steps", "Steps of the system clock that were seen.", labels=["source"])
        if state is not None:
            trusted.add_metric([self._source], float(state.trusted))
            limit.add_metric([self._source], self._max_error)
            polls.add_metric([self._source, "succeeded"], state.polls_succeeded)
            polls.add_metric([self._source, "failed"], state.polls_failed)
            steps.add_metric([self._source], state.steps)
        yield from (trusted, limit, polls, steps)

    def _of_answer(self, tracking: Tracking | None, age: float | None) -> Iterator[Metric]:
        offset = self._gauge("offset_seconds", "How far the system clock is ahead of true time; negative: behind.")
        bound = self._gauge("error_bound_seconds", "The largest possible distance of the system clock from true time.")
        stratum = self._gauge("stratum", "Servers between a reference clock and us; 0: not synchronised.")
        leap = GaugeMetricFamily(
            "cspd_clock_leap", "1 for the leap status that the source announces.", labels=["source", "status"]
        )
        answer_age = self._gauge("answer_age_seconds", "Since the time source answered.")
        if tracking is not None and age is not None:
            offset.add_metric([self._source], tracking.offset)
            bound.add_metric([self._source], tracking.error_bound)
            stratum.add_metric([self._source], tracking.stratum)
            for status in LeapStatus:
                leap.add_metric([self._source, status.value], float(status is tracking.leap))
            answer_age.add_metric([self._source], age)
        yield from (offset, bound, stratum, leap, answer_age)

    def _gauge(self, name: str, documentation: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"cspd_clock_{name}", documentation, labels=["source"])
