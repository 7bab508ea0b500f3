"""What the rest of the house asks of timekeeping, and what timekeeping asks of a time source."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any, Protocol

from cspd.timekeeping.values import Tracking, TrustedTime


class TimeSource(Protocol):
    """Knows how far the system clock is off: chrony's daemon, for example."""

    async def tracking(self) -> Tracking:
        """Ask now; raises :class:`cspd.refusals.Unavailable` when no sensible answer comes in time."""
        ...


class TimeSourceFactory(Protocol):
    """What a connector of the kind ``time-source`` names as its factory."""

    def __call__(self, address: str, *, timeout: timedelta, reactor: Any, random: Random) -> TimeSource:
        """A source that is asked at ``address`` (the source says in which form) and answers within ``timeout``.

        ``reactor`` is an IReactorTime and IReactorFDSet. Does no I/O. Raises :class:`cspd.refusals.Refused`, whose
        reason says what would be right.
        """
        ...


class TrustedClock(Protocol):
    """The system clock while it may be trusted."""

    def now(self) -> TrustedTime:
        """The present moment; raises :class:`cspd.timekeeping.values.BadClock`. Never waits."""
        ...

    async def settled(self) -> None:
        """Wait until the time source was asked once, with or without success; later it returns at once.

        For whoever :meth:`now` has refused: after a start or a reload, requests arrive while the first question is
        under way.
        """
        ...
