"""The ``jobs`` table: which moment of a job ran last, and who runs it now.

free, moment due    --claim-->   leased: owner, until         (one node wins: the UPDATE compares what it has read)
leased              --renew-->   leased: later until          (while the work goes on)
leased              --release->  free                         (with the outcome)
leased, until past  --claim-->   leased by another node       (the owner died; it runs the same moment again)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cspd.store.tables import jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A row of the table."""

    name: str
    last_due: datetime
    lease_owner: str | None
    lease_until: datetime | None

    def is_held(self, now: datetime) -> bool:
        """Whether somebody runs it."""
        return self.lease_owner is not None and self.lease_until is not None and self.lease_until > now

    @property
    def was_abandoned(self) -> bool:
        """Whether, when it is not held, its last run never ended."""
        return self.lease_owner is not None


def find_or_create(connection: Connection, name: str, now: datetime) -> JobRecord:
    """The job's row. A job that was never seen before counts as done up to ``now``."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(jobs).values(name=name, last_due=now).on_conflict_do_nothing())
    row = connection.execute(
        select(jobs.c.name, jobs.c.last_due, jobs.c.lease_owner, jobs.c.lease_until).where(jobs.c.name == name)
    ).one()
    return JobRecord(
        name=row.name, last_due=row.last_due or now, lease_owner=row.lease_owner, lease_until=row.lease_until
    )


def claim(
    connection: Connection, seen: JobRecord, *, owner: str, due: datetime, now: datetime, until: datetime
) -> bool:
    """Take the lease for the moment ``due``, unless the row is no longer what was ``seen``."""
    claimed = connection.execute(
        update(jobs)
        .where(
            jobs.c.name == seen.name,
            jobs.c.last_due.is_not_distinct_from(seen.last_due),
            jobs.c.lease_owner.is_not_distinct_from(seen.lease_owner),
            jobs.c.lease_until.is_not_distinct_from(seen.lease_until),
        )
        .values(last_due=due, lease_owner=owner, lease_until=until, last_started=now)
    )
    return claimed.rowcount == 1


def renew(connection: Connection, name: str, *, owner: str, until: datetime) -> bool:
    """Keep the lease for longer; False when it is somebody else's by now."""
    renewed = connection.execute(
        update(jobs).where(jobs.c.name == name, jobs.c.lease_owner == owner).values(lease_until=until)
    )
    return renewed.rowcount == 1


def release(connection: Connection, name: str, *, owner: str, now: datetime, outcome: str) -> None:
    """Give the lease back, if it is still ours, and note how the run ended."""
    connection.execute(
        update(jobs)
        .where(jobs.c.name == name, jobs.c.lease_owner == owner)
        .values(lease_owner=None, lease_until=None, last_finished=now, last_outcome=outcome)
    )
