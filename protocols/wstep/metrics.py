"""What became of requests, for ``/metrics``: WSTEP says every no in a fault of HTTP status 500."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.refusals import Malformed, Refused, Unauthorized, Unavailable
from protocols.wstep.messages import Mode


class RequestOutcome(StrEnum):
    """What became of a request."""

    ISSUED = "issued"
    """A certificate, a new one or, for QueryTokenStatus, one from before."""
    MALFORMED = "malformed"
    """No message of WSTEP, or no request in it."""
    UNAUTHENTICATED = "unauthenticated"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    """Directory, CA or store could not answer."""
    FAILED = "failed"
    """An error of ours."""


class AnsweredRequests(Collector):
    """Counts requests; the first leg of a Kerberos exchange is none."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Mode, RequestOutcome]] = Counter()

    def note(self, mode: Mode, outcome: RequestOutcome) -> None:
        """One more answer."""
        self._counts[mode, outcome] += 1

    def collect(self) -> Iterable[Metric]:
        """For prometheus-client."""
        family = CounterMetricFamily("cspd_wstep_requests", "WSTEP requests answered", labels=("mode", "outcome"))
        for (mode, outcome), count in sorted(self._counts.items()):
            family.add_metric((mode.value, outcome.value), count)
        yield family


def outcome_of(refusal: Refused) -> RequestOutcome:
    """What a refusal counts as."""
    match refusal:
        case Malformed():
            return RequestOutcome.MALFORMED
        case Unauthorized():
            return RequestOutcome.UNAUTHENTICATED
        case Unavailable():
            return RequestOutcome.UNAVAILABLE
    return RequestOutcome.REFUSED
