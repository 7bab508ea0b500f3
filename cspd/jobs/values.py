"""A job: a name, a schedule, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that runs at each moment of ``schedule``, once over all nodes."""

    name: str
    """Unique; lower-case words joined by hyphens, with the protocol first: ``acme-delete-expired-orders``."""
    schedule: str
    """Six cron fields, seconds first, UTC (``cspd.jobs.cron``)."""
    run: Callable[[], Awaitable[None]]
    """Logs nothing on success; what it raises is logged and counted, and does not end the schedule."""


@dataclass(slots=True)
class JobHistory:
    """What became of a job's runs in this process."""

    runs: int = 0
    """Those that have ended, failed ones included."""
    failures: int = 0
    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_run_failed: bool = False
