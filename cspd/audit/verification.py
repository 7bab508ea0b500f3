"""Reading the audit log: checking the hash chains, showing the latest events, exporting all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import Connection, select

from cspd.audit.chain import START, Head, event_hash
from cspd.store.tables import audit_events

_ROWS_AT_ONCE = 1000


class BreakKind(Enum):
    """What is wrong at a place of a chain."""

    MISSING = "missing"
    """Events between this one and the one before it are gone; or, at a chain's end, a known head is."""
    CHANGED = "changed"
    """The event does not have the hash it carries."""
    UNLINKED = "unlinked"
    """The event is whole, but another event than the one before it was there when it was written."""


@dataclass(frozen=True, slots=True)
class Break:
    """One place where a chain does not hold."""

    chain: str
    sequence: int
    kind: BreakKind
    explanation: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check."""

    events: int
    heads: Mapping[str, Head]
    """The end of each chain; publish these elsewhere to make a later truncation show."""
    breaks: tuple[Break, ...]
    """The first :data:`BREAK_LIMIT` of them."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, as far as a chain can show (see :mod:`cspd.audit.chain`)."""
        return not self.breaks


BREAK_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An audit event as stored."""

    chain: str
    sequence: int
    recorded_at: datetime
    event: str
    actor: str
    outcome: str
    fields: str
    """Canonical JSON of :attr:`AuditEvent.fields`."""
    previous_hash: str
    hash: str


def verify(
    connection: Connection, chain: str | None = None, *, known_heads: Mapping[str, Head] | None = None
) -> Report:
    """Check one chain, or all, from the first event to the last, in constant memory.

    ``known_heads`` are heads published earlier, by chain: each must still be in its chain, which is how a truncation or
    a rewritten chain shows.
    """
    breaks: list[Break] = []
    heads: dict[str, Head] = {}
    expected = {name: known for name, known in (known_heads or {}).items() if chain in (None, name)}
    events = 0
    for row in _rows(connection, chain):
        events += 1
        previous = heads.get(row.chain, Head(0, START))
        breaks += _breaks(row, previous)
        known = expected.get(row.chain)
        if known is not None and known.sequence == row.sequence:
            del expected[row.chain]
            if known.hash != row.hash:
                breaks.append(_break(row, BreakKind.CHANGED, "is not the event that was published as the head"))
        heads[row.chain] = Head(row.sequence, row.hash)
        del breaks[BREAK_LIMIT:]
    for name, known in expected.items():
        last = heads.get(name, Head(0, START)).sequence
        breaks.append(
            Break(name, known.sequence, BreakKind.MISSING, f"was published as the head; the chain now ends at {last}")
        )
    return Report(events=events, heads=heads, breaks=tuple(breaks))


def tail(connection: Connection, count: int) -> list[RecordedEvent]:
    """The latest events of all chains, oldest first."""
    newest_first = (
        select(audit_events)
        .order_by(audit_events.c.recorded_at.desc(), audit_events.c.chain, audit_events.c.sequence.desc())
        .limit(count)
    )
    return [_event(row) for row in reversed(connection.execute(newest_first).all())]


def export(connection: Connection, chain: str | None = None) -> Iterator[RecordedEvent]:
    """All events, chain by chain, in order, in constant memory; use within the work that gave ``connection``."""
    return map(_event, _rows(connection, chain))


def _rows(connection: Connection, chain: str | None) -> Iterator[Any]:
    query = select(audit_events).order_by(audit_events.c.chain, audit_events.c.sequence)
    if chain is not None:
        query = query.where(audit_events.c.chain == chain)
    yield from connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))


def _event(row: Any) -> RecordedEvent:
    return RecordedEvent(**row._mapping)


def _breaks(row: Any, previous: Head) -> Iterator[Break]:
    if event_hash(row._mapping) != row.hash:
        yield _break(row, BreakKind.CHANGED, "does not have the hash it carries")
    if row.sequence != previous.sequence + 1:
        yield _break(row, BreakKind.MISSING, f"follows number {previous.sequence}: what was between is gone")
    elif row.previous_hash != previous.hash:
        yield _break(row, BreakKind.UNLINKED, f"was written after another event than the present {previous.sequence}")


def _break(row: Any, kind: BreakKind, explanation: str) -> Break:
    return Break(row.chain, row.sequence, kind, explanation)
