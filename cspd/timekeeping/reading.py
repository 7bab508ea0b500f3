"""Steps of the system clock: wall clock and monotonic clock read together, and compared with an earlier reading.

The kernel slews both alike (``adjtimex`` moves CLOCK_MONOTONIC and CLOCK_REALTIME by the same rate on Linux), so that
their difference stays while NTP corrects the clock gently, at 500 ppm or at chrony's 8 %. It changes when the wall
clock is set, and when the machine sleeps: both are steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cspd.clock import Clock


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks, read as nearly at once as a process can."""

    moment: datetime
    """Of the wall clock, UTC."""
    monotonic: float
    """After it."""
    lowest: float
    highest: float
    """Between these lies, in seconds, the difference of wall clock and monotonic clock."""

    def shift_since(self, earlier: Reading) -> float:
        """By how many seconds the wall clock certainly stepped since then; negative: backwards."""
        forwards, backwards = self.lowest - earlier.highest, self.highest - earlier.lowest
        return forwards if forwards > 0 else min(0.0, backwards)


def read(clock: Clock, monotonic: Callable[[], float]) -> Reading:
    """Read the clocks; the process may be interrupted in between, and the reading says by how much."""
    before = monotonic()
    moment = clock.now()
    after = monotonic()
    wall = moment.timestamp()
    return Reading(moment, after, wall - after, wall - before)
