"""Wall-clock time, given to whoever needs it.

The one module (with ``app.py``) that may ask the operating system for the time; ruff's banned-api holds that line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; a test gives one that stands still."""

    def now(self) -> datetime:
        """The present moment, an aware datetime in UTC."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now(self) -> datetime:
        """See :class:`Clock`."""
        return datetime.now(UTC)  # noqa: TID251  # the one place that asks
