"""A wall clock that moves only when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FrozenClock:
    """Implements :class:`cspd.clock.Clock`."""

    def __init__(self, moment: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)) -> None:
        self._moment = moment

    def now(self) -> datetime:
        """The moment it stands at."""
        return self._moment

    def advance(self, span: timedelta) -> None:
        """Move forward (or back)."""
        self._moment += span
