"""The jobs of the present deployment on the scheduler."""

from __future__ import annotations

from collections.abc import Sequence

from cspd.jobs.scheduler import Scheduler
from cspd.jobs.values import Job


class Schedule:
    """Implements :class:`cspd.daemon.running.Jobs`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._names: list[str] = []
        self._started = False

    def replace(self, jobs: Sequence[Job]) -> None:
        """Run exactly these from now on; a run that is on ends as it began, under its lease."""
        for name in self._names:
            self._scheduler.remove(name)
        self._names = [job.name for job in jobs]
        for job in jobs:
            self._scheduler.add(job)
        if not self._started:
            self._started = True
            self._scheduler.start()

    async def stop(self) -> None:
        """Begin no more runs, and wait for those that are on."""
        await self._scheduler.stop()
