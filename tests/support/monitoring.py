"""A monitor that says what a test wants to hear."""

from __future__ import annotations

from cspd.health import Health
from cspd.monitoring.exposition import PLAIN, Exposition
from cspd.monitoring.report import HealthReport


class StillMonitor:
    """Implements :class:`cspd.monitoring.interfaces.Monitor`."""

    def __init__(self, *parts: Health) -> None:
        self.parts = parts
        self.accepted: list[str] = []

    async def health(self) -> HealthReport:
        """The parts it was given."""
        return HealthReport(tuple(self.parts))

    async def metrics(self, accept: str) -> Exposition:
        """A page of one metric."""
        self.accepted.append(accept)
        return Exposition(b"cspd_page 1.0\n", PLAIN)
