"""The CAs: how long their certificates go on, and how fresh their CRLs are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.authority.crl import CRLState, Scope, read_states
from cspd.authority.crl_issuing import signers
from cspd.authority.interfaces import Authorities
from cspd.authority.polling import Timers
from cspd.authority.values import Authority, AuthorityState
from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.monitoring.probe import Probe
from cspd.store.interfaces import Database

FRESH_SECONDS = 5.0
EXPIRY_WARNING = timedelta(days=30)
"""How long before the end of a CA's certificate somebody should renew it."""
LATE = 0.05
"""The share of a CRL's life that is left when it is late: nextUpdate allows it a tenth of its interval more."""

_SERVING = (AuthorityState.ACTIVE, AuthorityState.DISABLED)


class AuthoritySource:
    """Reads, every few seconds at most, the numbers and times of the CRLs; the CAs are in memory."""

    def __init__(self, authorities: Authorities, database: Database, *, clock: Clock, reactor: Timers) -> None:
        self._authorities = authorities
        self._database = database
        self._clock = clock
        self._known: Sequence[Authority] = ()
        self._crls: Mapping[tuple[Scope, bool], CRLState] = {}
        self.probe = Probe(self._ask, reactor=reactor, what="the CAs", fresh=FRESH_SECONDS)
        self.metrics: Sequence[Collector] = (self,)

    def health(self) -> Sequence[Health]:
        """The parts ``authorities`` and ``crls``, by what was last read; whether the store answers is its own part."""
        now = self._clock.now()
        ending = [
            f"the certificate of {authority.reference} ends on {end:%Y-%m-%d}"
            for authority, end in self._certificates()
            if now < end < now + EXPIRY_WARNING
        ]
        crls = list(self._scheduled_crls(now))
        expired = [f"that of {name} has expired" for name, crl in crls if crl.next_update <= now]
        late = [f"that of {name} is late" for name, crl in crls if crl.next_update > now and _is_late(crl, now)]
        crl_state = HealthState.FAILED if expired else HealthState.DEGRADED if late else HealthState.OK
        return (
            Health(
                part="authorities",
                state=HealthState.DEGRADED if ending else HealthState.OK,
                reason="; ".join(ending),
            ),
            Health(part="crls", state=crl_state, reason="; ".join(expired + late)),
        )

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        ends = GaugeMetricFamily(
            "cspd_ca_certificate_expiry_timestamp_seconds", "When the CA's certificate ends.", labels=["ca"]
        )
        for authority, end in self._certificates():
            ends.add_metric([str(authority.reference)], end.timestamp())
        yield ends
        yield from self._crl_families()

    def _crl_families(self) -> Iterable[Metric]:
        labels = ["ca", "key", "kind"]
        this_update = GaugeMetricFamily(
            "cspd_crl_this_update_timestamp_seconds", "thisUpdate of the CRL.", labels=labels
        )
        next_update = GaugeMetricFamily(
            "cspd_crl_next_update_timestamp_seconds", "nextUpdate of the CRL.", labels=labels
        )
        number = GaugeMetricFamily("cspd_crl_number", "The number of the CRL.", labels=labels)
        entries = GaugeMetricFamily("cspd_crl_entries", "Certificates that the CRL lists.", labels=labels)
        warning = GaugeMetricFamily(
            "cspd_crl_expiration_warning", "1 if a CRL with a schedule has missed it or has expired.", labels=labels
        )
        names = {authority.id: str(authority.reference) for authority in self._known}
        for (scope, is_delta), crl in self._crls.items():
            if scope.authority_id in names:
                values = [names[scope.authority_id], str(scope.key_index), "delta" if is_delta else "full"]
                this_update.add_metric(values, crl.this_update.timestamp())
                next_update.add_metric(values, crl.next_update.timestamp())
                number.add_metric(values, crl.number)
                entries.add_metric(values, crl.entries)
        now = self._clock.now()
        for authority, scope, is_delta, crl in self._scheduled(now):
            values = [str(authority.reference), str(scope.key_index), "delta" if is_delta else "full"]
            warning.add_metric(values, _is_late(crl, now))
        return (this_update, next_update, number, entries, warning)

    def _certificates(self) -> Iterator[tuple[Authority, datetime]]:
        for authority in self._known:
            if authority.state in _SERVING and authority.certificate is not None:
                yield authority, authority.certificate.not_valid_after_utc

    def _scheduled(self, now: datetime) -> Iterator[tuple[Authority, Scope, bool, CRLState]]:
        """The CRLs that are made by a schedule and that relying parties still need."""
        for authority in self._known:
            if authority.crl_days is None or authority.state not in _SERVING:
                continue
            for signer in signers(authority, now):
                scope = Scope(authority.id, signer.key_index)
                for is_delta in (False, True) if authority.delta_crl_hours is not None else (False,):
                    crl = self._crls.get((scope, is_delta))
                    if crl is not None:  # the first one is made within a minute
                        yield authority, scope, is_delta, crl

    def _scheduled_crls(self, now: datetime) -> Iterator[tuple[str, CRLState]]:
        for authority, scope, is_delta, crl in self._scheduled(now):
            key = f", key {scope.key_index}" if scope.key_index else ""
            yield f"{authority.reference}{key}{' (delta)' if is_delta else ''}", crl

    async def _ask(self) -> None:
        self._known = await self._authorities.list()
        self._crls = await self._database.read(read_states)


def _is_late(crl: CRLState, now: datetime) -> bool:
    return now > crl.next_update - (crl.next_update - crl.this_update) * LATE
