"""Rows of what Intune has yet to hear.

A row belongs to whoever sends it now until ``next_attempt_at``; from then on anybody may claim it.

insert   -> the process that issued sends it, for FIRST_CLAIM
due      -> claim, by moving next_attempt_at on: one node wins, the UPDATE compares what was read
sent     -> delete
not sent -> postpone
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from protocols.scep.intune.tables import scep_intune_notifications as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A row."""

    id: str
    ca: str
    transaction_id: str
    csr_der: bytes = field(repr=False)
    authority_id: str | None = None
    serial: int | None = None
    """Of the certificate; None if there is none, and then ``reason`` says why."""
    reason: str | None = None
    attempts: int = 0
    next_attempt_at: datetime
    created_at: datetime


def add_issued(connection: Connection, notification: Notification) -> None:
    """Add it. A failure of the same transaction that was not told yet is told no more: the device tried again."""
    connection.execute(
        delete(table).where(
            table.c.ca == notification.ca,
            table.c.transaction_id == notification.transaction_id,
            table.c.serial.is_(None),
        )
    )
    add(connection, notification)


def add(connection: Connection, notification: Notification) -> None:
    """Add it."""
    values = {column.name: getattr(notification, column.name) for column in table.c}
    connection.execute(insert(table).values(values))


def find(connection: Connection, ca: str, serial: int) -> Notification | None:
    """That of a certificate."""
    row = connection.execute(select(table).where(table.c.ca == ca, table.c.serial == serial)).one_or_none()
    return None if row is None else _notification(row)


def due(connection: Connection, cas: Collection[str], now: datetime, limit: int) -> Sequence[Notification]:
    """Those that nobody sends now, the longest due first."""
    rows = connection.execute(
        select(table)
        .where(table.c.ca.in_(cas), table.c.next_attempt_at <= now)
        .order_by(table.c.next_attempt_at)
        .limit(limit)
    )
    return [_notification(row) for row in rows]


def claim(connection: Connection, seen: Notification, until: datetime) -> bool:
    """Whether it is ours to send until then; False if somebody else was quicker, or it has been sent."""
    claimed = connection.execute(
        update(table)
        .where(table.c.id == seen.id, table.c.next_attempt_at == seen.next_attempt_at)
        .values(next_attempt_at=until)
    )
    return claimed.rowcount == 1


def postpone(connection: Connection, notification: Notification, until: datetime) -> None:
    """It could not be sent."""
    connection.execute(
        update(table)
        .where(table.c.id == notification.id)
        .values(attempts=notification.attempts + 1, next_attempt_at=until)
    )


def remove(connection: Connection, notification: Notification) -> None:
    """It was sent, or given up."""
    connection.execute(delete(table).where(table.c.id == notification.id))


def oldest(connection: Connection, cas: Collection[str]) -> tuple[int, datetime | None]:
    """How many there are, and since when the oldest waits."""
    count, since = connection.execute(
        select(func.count(), func.min(table.c.created_at)).where(table.c.ca.in_(cas))
    ).one()
    return count, since


def _notification(row: Row[tuple[object, ...]]) -> Notification:
    return Notification(**row._asdict())
