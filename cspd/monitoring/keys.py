"""The providers of keys: whether each can sign, and what it signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.authority.polling import Timers
from cspd.health import Health, HealthState
from cspd.keys.providers import ProviderHealth
from cspd.keys.service import Counters
from cspd.monitoring.probe import Probe


class WatchedKeys(Protocol):
    """What :class:`cspd.keys.service.KeyService` is to us."""

    counters: Mapping[str, Counters]

    async def check(self) -> Sequence[ProviderHealth]:
        """Ask every provider now whether it can sign."""
        ...

    def health(self) -> Sequence[ProviderHealth]:
        """What the last use or check of each has shown."""
        ...

    def queue_length(self, provider: str) -> int:
        """How many signatures wait for a thread of this provider."""
        ...


class KeySource:
    """Asks the providers to log in if need be; a signature that failed since shows without asking."""

    def __init__(self, keys: WatchedKeys, reactor: Timers) -> None:
        self._keys = keys
        self.probe = Probe(self._ask, reactor=reactor, what="the keys")
        self.metrics: Sequence[Collector] = (self,)

    def health(self) -> Sequence[Health]:
        """A part for each provider: ``keys-software``, ``keys-<name of the token's section>``.

        A provider that works by its last use, while the check waits behind many signatures, is degraded by the delay.
        """
        parts = []
        for provider in self._keys.health():
            part = f"keys-{provider.name.lower()}"
            if provider.available:
                parts.append(self.probe.health(part))
            else:
                parts.append(Health(part=part, state=HealthState.FAILED, reason=provider.reason))
        return parts

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        signatures = CounterMetricFamily("cspd_key_signatures", "Signatures that were made.", labels=["provider"])
        failures = CounterMetricFamily("cspd_key_failures", "Signatures that failed.", labels=["provider"])
        seconds = CounterMetricFamily(
            "cspd_key_signing_seconds", "Time of all signatures that were made, waiting included.", labels=["provider"]
        )
        longest = GaugeMetricFamily(
            "cspd_key_longest_signing_seconds", "The slowest signature since the start.", labels=["provider"]
        )
        waiting = GaugeMetricFamily("cspd_key_queue_length", "Signatures that wait for a thread.", labels=["provider"])
        for name, counted in self._keys.counters.items():
            signatures.add_metric([name], counted.signatures)
            failures.add_metric([name], counted.failures)
            seconds.add_metric([name], counted.seconds)
            longest.add_metric([name], counted.longest)
            waiting.add_metric([name], self._keys.queue_length(name))
        return (signatures, failures, seconds, longest, waiting)

    async def _ask(self) -> None:
        await self._keys.check()
