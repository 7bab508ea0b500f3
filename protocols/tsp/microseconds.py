"""Moments as whole microseconds since 1970-01-01 UTC: exact, unlike floats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def from_datetime(moment: datetime) -> int:
    """Of an aware datetime."""
    return (moment - EPOCH) // _MICROSECOND


def to_datetime(microseconds: int) -> datetime:
    """An aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=microseconds)
