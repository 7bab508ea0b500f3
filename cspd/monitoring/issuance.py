"""Counts the certificates that were issued."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.authority.values import CertificateRecord


class IssuanceCounters:
    """Certificates by protocol and profile, since the start of this process."""

    health = None

    def __init__(self) -> None:
        self._issued: Counter[tuple[str, str]] = Counter()
        self.metrics: Sequence[Collector] = (self,)

    def note(self, record: CertificateRecord) -> None:
        """A certificate was signed and stored (``IssuancePipeline.after_issue``)."""
        self._issued[record.protocol, record.profile] += 1

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        issued = CounterMetricFamily(
            "cspd_certificates_issued", "Certificates issued by the pipeline.", labels=["protocol", "profile"]
        )
        for labels, count in self._issued.items():
            issued.add_metric(labels, count)
        yield issued
