"""The TLS certificates of the listeners: when they end (R-PLAT-030)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.clock import Clock
from cspd.health import Health, HealthState


class WatchedCertificate(Protocol):
    """What :class:`cspd.http.tls.ServerTLS` is to us."""

    @property
    def expires(self) -> datetime:
        """When the certificate or one of its chain ends."""
        ...

    def expires_soon(self, now: datetime) -> bool:
        """Whether it is time to warn."""
        ...


class TLSSource:
    """The certificates that the listeners of one configuration show, by the listener's name."""

    def __init__(self, certificates: Mapping[str, WatchedCertificate], clock: Clock) -> None:
        self._certificates = dict(certificates)
        self._clock = clock
        self.metrics: Sequence[Collector] = (self,)

    def health(self) -> Sequence[Health]:
        """The part ``tls``: failed once a certificate has ended, degraded from its listener's warning time on."""
        now = self._clock.now()
        ended = [name for name, each in self._certificates.items() if each.expires <= now]
        ending = [name for name, each in self._certificates.items() if each.expires > now and each.expires_soon(now)]
        reasons = [f"the certificate of the listener {name} has expired" for name in ended]
        reasons += [
            f"the certificate of the listener {name} ends on {self._certificates[name].expires:%Y-%m-%d}"
            for name in ending
        ]
        state = HealthState.FAILED if ended else HealthState.DEGRADED if ending else HealthState.OK
        return (Health(part="tls", state=state, reason="; ".join(reasons)),)

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        ends = GaugeMetricFamily(
            "cspd_tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of the listener's chain ends.",
            labels=["listener"],
        )
        for name, certificate in self._certificates.items():
            ends.add_metric([name], certificate.expires.timestamp())
        yield ends
