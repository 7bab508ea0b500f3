"""What a time source says of the system clock, and what we make of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class LeapStatus(Enum):
    """What the time source announces for the end of the present UTC day (RFC 5905, 7.3: leap indicator)."""

    NORMAL = "normal"
    INSERT_SECOND = "insert-second"
    """The last minute of the day has 61 seconds."""
    DELETE_SECOND = "delete-second"
    """It has 59."""
    NOT_SYNCHRONISED = "not-synchronised"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """How the system clock stands to the time source."""

    offset: float
    """Seconds by which the system clock is ahead of true time; negative: it is behind."""
    root_delay: float
    """Round trip to the reference clock, in seconds (RFC 5905, 7.3)."""
    root_dispersion: float
    """Error accumulated since the reference clock, in seconds."""
    leap: LeapStatus
    stratum: int
    """0: not synchronised; 1: a reference clock; each server on the way adds one."""
    reference_id: str
    """The server that the source follows: an address or four characters; empty for none."""
    reference_time: datetime | None
    """When the source last heard of its server, UTC; None for never."""

    @property
    def error_bound(self) -> float:
        """The largest possible distance from true time, in seconds: offset, dispersion and half the delay."""
        return abs(self.offset) + self.root_dispersion + self.root_delay / 2


class BadClock(Exception):
    """The system clock may not be trusted now: it drifts, stepped, or nobody can tell. The text says which."""


@dataclass(frozen=True, slots=True)
class TrustedTime:
    """A moment that may be put into a token."""

    moment: datetime
    """UTC, with microseconds."""
    near_leap: bool = False
    """Within the neighbourhood of an announced leap second, when a second more of error is possible."""
