"""The unit that each issuer signs with now, and how each of them is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cspd.certified_keys.first_look import FirstLook
from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.refusals import Unavailable
from protocols.tsp.interfaces import TimeStampUnit
from protocols.tsp.unit_checks import EXPIRY_WARNING


class Units(Collector):
    """Implements :class:`protocols.tsp.interfaces.TimeStampUnits`; what finds and makes units puts them here."""

    def __init__(self, issuers: Iterable[str], *, clock: Clock) -> None:
        self._clock = clock
        self._units: dict[str, TimeStampUnit] = {}
        self._warn_at: dict[str, datetime] = {}
        self._troubles = dict.fromkeys(issuers, "")
        self._first_look = FirstLook(self._troubles)  # of each, so that no issuer waits for the token of another

    def current(self, issuer: str) -> TimeStampUnit:
        """See :class:`protocols.tsp.interfaces.TimeStampUnits`; less than a microsecond."""
        unit = self._units.get(issuer)
        if unit is None or self._clock.now() >= unit.sign_until:
            raise Unavailable("there is no key and certificate to sign with", detail=self._failure(issuer, unit))
        return unit

    async def settled(self, issuer: str) -> None:
        """See :class:`protocols.tsp.interfaces.TimeStampUnits`."""
        await self._first_look.settled(issuer)

    def put(self, issuer: str, unit: TimeStampUnit, *, warning: timedelta = EXPIRY_WARNING) -> None:
        """Let the issuer sign with this unit from now on; ``warning`` is how long before its end it is degraded."""
        self._units[issuer] = unit
        self._warn_at[issuer] = unit.sign_until - warning
        self.note(issuer, "")

    def take_away(self, issuer: str, trouble: str) -> None:
        """Let the issuer sign no more."""
        self._units.pop(issuer, None)
        self.note(issuer, trouble)

    def note(self, issuer: str, trouble: str) -> None:
        """Remember what hinders the issuer's unit, or its successor; empty: nothing any more."""
        self._troubles[issuer] = trouble
        self._first_look.looked_at(issuer)

    def give_up(self) -> None:
        """Let nobody wait any more for what was not looked for by now; for the end."""
        for issuer in self._first_look.give_up():
            self.note(issuer, "the timestamping authority was stopped")

    def health(self) -> Sequence[Health]:
        """One for each issuer: failed without a unit that may sign, degraded before its end or with a trouble."""
        now = self._clock.now()
        return tuple(self._health(issuer, now) for issuer in self._troubles)

    def collect(self) -> Iterable[Metric]:
        """When each unit has to stop signing, in seconds since 1970; none for an issuer that has no unit."""
        ends = GaugeMetricFamily(
            "cspd_tsp_certificate_not_after_seconds",
            "When the certificate of the time-stamp unit ends, or its private key usage period",
            labels=["issuer"],
        )
        for issuer, unit in self._units.items():
            ends.add_metric([issuer], unit.sign_until.timestamp())
        yield ends

    def _health(self, issuer: str, now: datetime) -> Health:
        part = f"tsp-unit-{issuer}"
        unit = self._units.get(issuer)
        if unit is None or now >= unit.sign_until:
            return Health(part=part, state=HealthState.FAILED, reason=self._failure(issuer, unit))
        reasons = [self._troubles[issuer]] if self._troubles[issuer] else []
        if now >= self._warn_at[issuer]:
            reasons.append(f"its certificate signs until {_moment(unit.sign_until)} only")
        if reasons:
            return Health(part=part, state=HealthState.DEGRADED, reason="; ".join(reasons))
        return Health(part=part, state=HealthState.OK)

    def _failure(self, issuer: str, unit: TimeStampUnit | None) -> str:
        trouble = self._troubles.get(issuer, "no such issuer")
        if unit is None:
            return trouble or "its key has not been looked for yet"
        over = f"its certificate signed until {_moment(unit.sign_until)}"
        return f"{over}; {trouble}" if trouble else over


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


__all__ = ["Units"]
