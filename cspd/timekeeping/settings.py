"""What is demanded of the system clock before it may be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

LONGEST_SILENCE = timedelta(seconds=8 * 1024)
"""Eight polls of 1,024 s: the reach register of a server that is asked that seldom is empty (RFC 5905, 9.2 and 13)."""


class LeapRule(Enum):
    """What :meth:`cspd.timekeeping.monitor.ClockMonitor.now` does in the neighbourhood of an announced leap second."""

    REFUSE = "refuse"
    """The clock is bad there."""
    MARK = "mark"
    """The time is given, with ``near_leap``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSettings:
    """How often the time source is asked, and which answers are good enough."""

    poll_interval: timedelta
    connect_timeout: timedelta = timedelta(seconds=1)
    """How long an answer may take."""
    max_error: timedelta
    """The largest offset from the source, either way, that is tolerated; also the largest step between two polls."""
    max_error_bound: timedelta | None = None
    """The largest ``Tracking.error_bound`` that is tolerated, for example the accuracy that tokens promise.

    The offset is the best guess; the bound adds what the source itself does not know. None: it is not limited.
    """
    max_reference_age: timedelta = LONGEST_SILENCE
    """How long ago the source may have heard of its server."""
    leap: LeapRule = LeapRule.REFUSE

    @property
    def expiry(self) -> timedelta:
        """How long a good answer holds: until the next must have come, and two seconds of grace for a busy process."""
        return self.poll_interval + self.connect_timeout + timedelta(seconds=2)
