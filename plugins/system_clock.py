"""The machine's clock as its own judge, for the demonstration and for trying out.

It vouches for whatever the clock says, so that production refuses it (``unverified-clock``). Steps of the clock between
two questions are noticed even so.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from cspd.clock import Clock, SystemClock
from cspd.plugin import ConnectorDeclaration
from cspd.timekeeping.values import LeapStatus, Tracking

system_clock = ConnectorDeclaration(
    kind="time-source",
    name="system",
    summary="the machine's clock, which nobody verifies",
    factory="plugins.system_clock:build",
)


def build(address: str, *, timeout: timedelta, reactor: Any, random: Random) -> SystemTimeSource:
    """See :class:`cspd.timekeeping.interfaces.TimeSourceFactory`; there is nobody to ask, at whatever address."""
    return SystemTimeSource(SystemClock())


class SystemTimeSource:
    """Implements :class:`cspd.timekeeping.interfaces.TimeSource`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def tracking(self) -> Tracking:
        """No offset, measured now."""
        return Tracking(
            offset=0.0,
            root_delay=0.0,
            root_dispersion=0.0,
            leap=LeapStatus.NORMAL,
            stratum=1,
            reference_id="unverified",
            reference_time=self._clock.now(),
        )
