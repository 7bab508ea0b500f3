"""What ``cspctl tsa`` asks of the running authority: its clock, and its issuers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509

from cspd.admin import views
from cspd.admin.operations.values import Caller, NoArguments, Operation
from cspd.clock import Clock
from cspd.health import HealthState
from cspd.refusals import Unavailable
from cspd.timekeeping.assessment import objection
from cspd.timekeeping.interfaces import TimeSource
from cspd.timekeeping.settings import ClockSettings
from cspd.x509.names import format_name
from protocols.tsp.config import IssuerConfig
from protocols.tsp.units import Units


class AuthorityOperations:
    """Runs them."""

    def __init__(
        self,
        *,
        clock: Clock,
        source: TimeSource,
        settings: ClockSettings,
        issuers: Sequence[IssuerConfig],
        units: Units,
        base_url: str,
    ) -> None:
        self._clock = clock
        self._source = source
        self._settings = settings
        self._issuers = issuers
        self._units = units
        self._base_url = base_url

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="tsa-check-clock", arguments=NoArguments, run=self.check_clock, only_reads=True),
            Operation(name="tsa-list", arguments=NoArguments, run=self.list, only_reads=True),
        )

    async def check_clock(self, arguments: NoArguments, caller: Caller) -> Any:
        """Ask the time source now (R-TSA-081); raises Unavailable when it does not answer, or the clock is bad."""
        tracking = await self._source.tracking()
        reason = objection(tracking, self._clock.now(), self._settings)
        if reason is not None:
            raise Unavailable(reason, code="bad-clock")
        return {
            "offset_seconds": tracking.offset,
            "error_bound_seconds": tracking.error_bound,
            "stratum": tracking.stratum,
            "reference": tracking.reference_id,
            "leap": tracking.leap.value,
        }

    async def list(self, arguments: NoArguments, caller: Caller) -> Any:
        """Each issuer with its URL, policy, certificate and health."""
        return [
            self._issuer(issuer, health.state, health.reason)
            for issuer, health in zip(self._issuers, self._units.health(), strict=True)
        ]

    def _issuer(self, issuer: IssuerConfig, state: HealthState, reason: str) -> dict[str, Any]:
        row = {
            "issuer": issuer.id,
            "url": f"{self._base_url}/tsa/{issuer.id}",
            "policy": issuer.profile.policy,
            "certificate": None,
            "signs_until": None,
            "health": state.value,
            "reason": reason,
        }
        try:
            unit = self._units.current(issuer.id)
        except Unavailable:
            return row
        certificate: x509.Certificate = unit.certificate
        return {
            **row,
            "certificate": format_name(certificate.subject),
            "key": str(unit.key),
            "signs_until": views.moment(unit.sign_until),
        }
