"""Counts the requests that were answered, and how long the answers took.

This stands on the hot path of every request: one dictionary look-up, one bisection, two additions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.http.message import Request, Response, Route
from cspd.http.request_log import RequestLog
from cspd.http.server import AccessLog

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper ends of the buckets, in seconds: from an answer out of memory to a timeout."""
_BUCKETS = (*(repr(bound) for bound in BOUNDS), "+Inf")
_NEVER = 1000

_Key = tuple[str, str, int]
_Cell = list[float]
"""Answers in each bucket, and last the seconds of all together."""


class _Cells(dict[_Key, _Cell]):
    """A cell comes into being with its first answer."""

    def __missing__(self, key: _Key) -> _Cell:
        cell = self[key] = [0.0] * (len(BOUNDS) + 2)
        return cell


class RequestCounters:
    """All answers since the start of this process, by listener, protocol, method and status."""

    health = None

    def __init__(self) -> None:
        self._listeners: dict[str, _Cells] = {}
        self.metrics: Sequence[Collector] = (self,)

    def recorder(self, listener: str, log: RequestLog | None) -> AccessLog:
        """What a listener calls after each answer; hands on to ``log`` what that wants to have."""
        cells = self._listeners.setdefault(listener, _Cells())
        first_logged = _NEVER if log is None else log.first_status

        def record(request: Request | None, response: Response, seconds: float, route: Route | None) -> None:
            status = response.status
            if route is None or request is None:
                cell = cells["none", "none", status]  # what clients make up must not become labels
            else:
                cell = cells[route.protocol, request.method, status]
            cell[bisect_left(BOUNDS, seconds)] += 1
            cell[-1] += seconds
            if status >= first_logged:
                assert log is not None
                log(request, response, seconds, route)

        return record

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        requests = CounterMetricFamily(
            "cspd_http_requests", "Requests answered.", labels=["listener", "protocol", "method", "status"]
        )
        durations = HistogramMetricFamily(
            "cspd_http_request_duration_seconds",
            "From the head of a request to its answer.",
            labels=["listener", "protocol"],
        )
        for listener, cells in self._listeners.items():
            counts: dict[tuple[str, str, str], float] = {}
            sums: dict[str, _Cell] = {}
            for (protocol, method, status), cell in cells.items():
                key = (protocol, method, f"{status // 100}xx")
                counts[key] = counts.get(key, 0) + sum(cell[:-1])
                known = sums.get(protocol)
                sums[protocol] = cell if known is None else [a + b for a, b in zip(known, cell, strict=True)]
            for key, count in counts.items():
                requests.add_metric([listener, *key], count)
            for protocol, cell in sums.items():
                buckets = list(zip(_BUCKETS, accumulate(cell[:-1]), strict=True))
                durations.add_metric([listener, protocol], buckets, cell[-1])
        return (requests, durations)
