"""Following ``status_changes`` of all nodes.

Sequence numbers are given when a row is written and seen when its transaction commits, so that on PostgreSQL number 11
may be seen before number 10. A reader that only remembers the highest number would miss 10 for ever; this one waits for
the numbers that are missing until they come or are too old to come. CRLs, which no reader lives along with, say how far
they are complete (:func:`complete_sequence`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from cspd.authority.values import CertificateState, CertificateStatus, RevocationReason, StatusChange
from cspd.store.tables import certificates, status_changes

GAP_LIFETIME = timedelta(seconds=60)
"""How long a transaction between its number and its commit is waited for; a rolled back one never comes."""

COMMIT_DELAY = timedelta(minutes=5)
"""The same for what CRLs contain: they last, and looking again is cheap."""

COMMIT_WINDOW = 1000
"""How many numbers up to the last are looked at for missing ones."""

LOOK_BACK = 100
"""How many numbers before the first look count as missing: their transactions may still run."""

MAX_MISSING = 10_000
BATCH = 5000
"""Rows read in one turn; more come in the next one."""


class SequenceFollower:
    """Knows which sequence numbers to ask for; pure, told the time."""

    def __init__(self, highest: int, now: datetime, *, gap_lifetime: timedelta = GAP_LIFETIME) -> None:
        self._gap_lifetime = gap_lifetime
        self._highest = highest
        self._missing: dict[int, datetime] = {}
        self._expect(max(1, highest - LOOK_BACK), highest + 1, now)

    @property
    def highest(self) -> int:
        """The highest number seen: ask for all above."""
        return self._highest

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers below the highest that may still come: ask for these too."""
        return tuple(self._missing)

    def unseen(self, numbers: Iterable[int], now: datetime) -> frozenset[int]:
        """Those of ``numbers`` that are new; they count as seen from now on."""
        new = set()
        for number in sorted(numbers):
            if number > self._highest:
                self._expect(max(self._highest + 1, number - MAX_MISSING), number, now)
                self._highest = number
                new.add(number)
            elif self._missing.pop(number, None) is not None:
                new.add(number)
        self._missing = {number: since for number, since in self._missing.items() if now - since < self._gap_lifetime}
        return frozenset(new)

    def _expect(self, first: int, end: int, now: datetime) -> None:
        for number in range(first, end):
            self._missing[number] = now


@dataclass(frozen=True, slots=True)
class Change:
    """A row of ``status_changes``, with what the certificate's row says now."""

    sequence: int
    change: StatusChange


def last_sequence(connection: Connection, authority_id: str | None = None) -> int:
    """The highest sequence number committed, of one CA or of all; 0 if there is none."""
    query = select(func.coalesce(func.max(status_changes.c.sequence), 0))
    if authority_id is not None:
        query = query.where(status_changes.c.authority_id == authority_id)
    return int(connection.execute(query).scalar_one())


def complete_sequence(connection: Connection, authority_id: str | None = None, *, now: datetime) -> int:
    """The number up to which no change of a CA, or of all, can come any more.

    It is :func:`last_sequence`, or lower while a number below that is missing whose transaction may still commit.
    """
    last = last_sequence(connection, authority_id)
    highest = last if authority_id is None else last_sequence(connection)
    floor = max(0, highest - COMMIT_WINDOW)
    present = select(func.count()).where(status_changes.c.sequence > floor)
    if connection.execute(present).scalar_one() == highest - floor:  # the usual case, in a tenth of the time
        return last
    window = (
        select(
            status_changes.c.sequence,
            status_changes.c.changed_at,
            func.lag(status_changes.c.sequence, 1, floor).over(order_by=status_changes.c.sequence).label("previous"),
        )
        .where(status_changes.c.sequence > floor)
        .subquery()
    )
    before_gap = select(func.min(window.c.previous)).where(
        window.c.sequence > window.c.previous + 1, window.c.changed_at >= now - COMMIT_DELAY
    )
    complete = connection.execute(before_gap).scalar_one()
    return last if complete is None else min(last, int(complete))


def read_changes(connection: Connection, after: int, missing: Sequence[int] = ()) -> Sequence[Change]:
    """The changes above a sequence number (oldest first, at most :data:`BATCH`), and the missing ones that came.

    The status is the one of the certificate's row, not the one of that moment: several changes of one serial may be
    applied in any order.
    """
    wanted = status_changes.c.sequence > after
    if missing:
        wanted |= status_changes.c.sequence.in_(missing[-500:])  # SQLite allows few parameters
    query = (
        select(
            status_changes.c.sequence,
            status_changes.c.authority_id,
            status_changes.c.serial,
            certificates.c.state,
            certificates.c.revoked_at,
            certificates.c.revocation_reason,
        )
        .join(
            certificates,
            (certificates.c.authority_id == status_changes.c.authority_id)
            & (certificates.c.serial == status_changes.c.serial),
        )
        .where(wanted)
        .order_by(status_changes.c.sequence)
        .limit(BATCH)
    )
    return [
        Change(
            row.sequence,
            StatusChange(
                authority_id=row.authority_id,
                serial=row.serial,
                status=status_of(row.state, row.revoked_at, row.revocation_reason),
            ),
        )
        for row in connection.execute(query)
    ]


def status_of(state: str, revoked_at: datetime | None, reason: str | None) -> CertificateStatus:
    """The status that those columns of ``certificates`` mean."""
    return CertificateStatus(
        state=CertificateState(state), revoked_at=revoked_at, reason=RevocationReason(reason) if reason else None
    )
