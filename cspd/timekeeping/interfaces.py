"""What the rest of the house asks of timekeeping, and what timekeeping asks of a time source."""

from __future__ import annotations

from typing import Protocol

from cspd.timekeeping.values import Tracking, TrustedTime


class TimeSource(Protocol):
    """Knows how far the system clock is off: chrony's daemon, for example."""

    async def tracking(self) -> Tracking:
        """Ask now; raises :class:`cspd.refusals.Unavailable` when no sensible answer comes in time."""
        ...


class TrustedClock(Protocol):
    """The system clock while it may be trusted."""

    def now(self) -> TrustedTime:
        """The present moment; raises :class:`cspd.timekeeping.values.BadClock`. Never waits."""
        ...
