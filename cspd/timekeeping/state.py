"""What a clock monitor shows of itself."""

from __future__ import annotations

from dataclasses import dataclass

from cspd.timekeeping.values import Tracking


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """The verdict now, and what it rests on."""

    trusted: bool
    reason: str
    """Why the clock is not trusted; empty if it is."""
    tracking: Tracking | None
    """The last answer of the time source, good or bad; None before the first."""
    answer_age: float | None
    """Seconds since then."""
    polls_succeeded: int
    """How many were answered, good or bad."""
    polls_failed: int
    steps: int
    """How often the system clock was seen to step."""
