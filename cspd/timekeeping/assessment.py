"""Whether an answer of a time source makes the system clock good: rules without state."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from cspd.timekeeping.settings import ClockSettings
from cspd.timekeeping.values import LeapStatus, Tracking

MAX_STRATUM = 15  # RFC 5905, 7.3: 16 is unsynchronized


def objection(tracking: Tracking, moment: datetime, settings: ClockSettings) -> str | None:
    """Why the clock that read ``moment`` when the source was asked is bad; None if it is good.

    The offset alone is held against ``max_error`` (R-TSA-051: a difference at or below the limit does not block): the
    possible error beyond it, ``error_bound``, has a limit of its own.
    """
    return (
        _not_synchronised(tracking) or _too_far_off(tracking, settings) or _reference_lost(tracking, moment, settings)
    )


def _not_synchronised(tracking: Tracking) -> str | None:
    if tracking.leap is LeapStatus.NOT_SYNCHRONISED:
        return "the time source is not synchronised"
    if not 1 <= tracking.stratum <= MAX_STRATUM:
        return f"the time source is not synchronised: its stratum is {tracking.stratum}"
    if not tracking.reference_id:
        return "the time source follows no server now"
    return None


def _too_far_off(tracking: Tracking, settings: ClockSettings) -> str | None:
    if not math.isfinite(tracking.error_bound):
        return "the time source gave an offset that is no number"
    if abs(tracking.offset) > settings.max_error.total_seconds():
        where = "ahead of" if tracking.offset > 0 else "behind"
        limit = settings.max_error.total_seconds()
        return f"the system clock is {abs(tracking.offset):.6f} s {where} true time; {limit:g} s are allowed"
    bound = settings.max_error_bound
    if bound is not None and tracking.error_bound > bound.total_seconds():
        allowed = f"{bound.total_seconds():g} s are allowed"
        return f"the system clock may be {tracking.error_bound:.6f} s from true time; {allowed}"
    return None


def _reference_lost(tracking: Tracking, moment: datetime, settings: ClockSettings) -> str | None:
    if tracking.reference_time is None:
        return "the time source never heard of its server"
    age = moment - tracking.reference_time
    oldest = settings.max_reference_age
    if age > oldest:
        return f"the time source heard of its server {_seconds(age)} s ago; {_seconds(oldest)} s are allowed"
    # The source's own time may differ from ours by the offset, which is within the limit here. What is further ahead
    # was noted before somebody set the system clock back.
    if age < -2 * settings.max_error:
        return f"the system clock was set back: the time source heard of its server {_seconds(-age)} s in the future"
    return None


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():.0f}" if span >= timedelta(seconds=10) else f"{span.total_seconds():.3f}"
