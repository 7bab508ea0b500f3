"""The health of all parts together."""

from __future__ import annotations

from dataclasses import dataclass

from cspd.health import Health, HealthState

_WORST_FIRST = (HealthState.FAILED, HealthState.DEGRADED)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What the parts said about themselves at one moment."""

    parts: tuple[Health, ...]

    @property
    def state(self) -> HealthState:
        """The worst state of all parts."""
        found = {part.state for part in self.parts}
        return next((state for state in _WORST_FIRST if state in found), HealthState.OK)

    @property
    def troubles(self) -> tuple[Health, ...]:
        """The parts that are not OK."""
        return tuple(part for part in self.parts if part.state is not HealthState.OK)

    def of(self, system: str) -> HealthReport:
        """One part, or all whose names begin with the words of ``system``: ``keys`` has ``keys-software``."""
        return HealthReport(
            tuple(part for part in self.parts if part.part == system or part.part.startswith(f"{system}-"))
        )
