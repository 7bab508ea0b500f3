"""Leap seconds: where an announced one lies, and what it does to the system clock.

A time source announces the leap second for the end of the present UTC day (RFC 5905, 7.3). What the system clock does
there depends on its keeper: Linux repeats 23:59:59 for an inserted second (and leaves it out for a deleted one);
``leapsecmode slew`` of chrony spreads the second over the following ones. Nobody outside can tell the moments apart in
which the same reading comes twice; so the neighbourhood, a second either side of midnight as the clock reads it, is
never passed off as ordinary time. Servers that smear the second over a day announce nothing, and serve a time that is
up to half a second from UTC meanwhile: a timestamping authority must not follow them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cspd.timekeeping.values import LeapStatus

MARGIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class LeapSecond:
    """An announced leap second."""

    midnight: datetime
    """The beginning of the next UTC day."""
    inserted: bool
    """False: a second is left out."""

    @property
    def begins(self) -> datetime:
        """The first moment of its neighbourhood."""
        return self.midnight - MARGIN

    @property
    def ends(self) -> datetime:
        """The first moment after its neighbourhood."""
        return self.midnight + MARGIN

    @property
    def step(self) -> float:
        """By how many seconds the system clock steps where it is not slewed."""
        return -1.0 if self.inserted else 1.0

    def is_near(self, moment: datetime) -> bool:
        """Whether the moment, as the system clock reads it, lies in the neighbourhood."""
        return self.begins <= moment < self.ends


def announced(leap: LeapStatus, moment: datetime) -> LeapSecond | None:
    """The leap second that a source announces at this moment, if any."""
    if leap not in (LeapStatus.INSERT_SECOND, LeapStatus.DELETE_SECOND):
        return None
    today = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return LeapSecond(today + timedelta(days=1), leap is LeapStatus.INSERT_SECOND)
