"""The hash chain: every audit event carries the SHA-256 of itself and of the event before it.

What a check can show, and what it cannot:

- changed, removed, inserted or reordered events break the hashes or the numbering; :mod:`cspd.audit.verification` names
  the place.
- events removed from the *end* leave a shorter chain that is sound in itself. It shows only against a :class:`Head`
  kept elsewhere: every head that was published (to a SIEM, a printed report, another node's log) fixes all events up
  to it.
- who can write the table can compute a whole new chain; a head kept elsewhere shows that as well. Without one, the
  chain proves consistency, not authorship.

Each process slot has a chain of its own, so that nodes do not wait for each other; the start of a chain is its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from cspd.audit.events import AuditEvent
from cspd.clock import Clock
from cspd.refusals import Unavailable
from cspd.store.interfaces import Database
from cspd.store.tables import audit_events

START = "0" * 64
"""``previous_hash`` of the first event of a chain."""
APPEND_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: fixes it and everything before it."""

    sequence: int
    hash: str


class HashChain:
    """Implements :class:`cspd.audit.events.AuditLog`: appends to the chain of one process slot."""

    def __init__(self, database: Database, clock: Clock, chain_name: str) -> None:
        self._database = database
        self._clock = clock
        self._chain = chain_name
        # A guess that each INSERT checks; wrong after a rollback, or when another process writes this chain.
        self._head: Head | None = None

    def append(self, connection: Connection, event: AuditEvent) -> None:
        """See :class:`AuditLog`. Raises Unavailable when other processes keep appending to this same chain."""
        row: dict[str, Any] = {
            "chain": self._chain,
            "recorded_at": self._clock.now(),
            "event": event.event,
            "actor": _storable(event.actor),
            "outcome": event.outcome.value,
            "fields": canonical_json(event.fields),
        }
        insertion = _INSERTIONS[connection.dialect.name]
        for _ in range(APPEND_ATTEMPTS):
            previous = self._head or head(connection, self._chain) or Head(0, START)
            row["sequence"] = previous.sequence + 1
            row["previous_hash"] = previous.hash
            row["hash"] = event_hash(row)
            if connection.execute(insertion, row | {"before": previous.sequence}).rowcount == 1:
                self._head = Head(row["sequence"], row["hash"])
                return
            self._head = None
        raise Unavailable("the audit log is busy", detail=f"chain {self._chain} is written by another process")

    async def record(self, event: AuditEvent) -> None:
        """See :class:`AuditLog`."""
        await self._database.write(lambda connection: self.append(connection, event))


def head(connection: Connection, chain: str) -> Head | None:
    """The end of a chain as the transaction sees it, to publish elsewhere; None for an empty chain."""
    found = connection.execute(_HEAD, {"chain": chain}).first()
    return None if found is None else Head(found.sequence, found.hash)


def event_hash(row: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON array of a row's columns without ``hash``."""
    moment: datetime = row["recorded_at"]
    hashed = [
        row["chain"],
        row["sequence"],
        moment.astimezone(UTC).isoformat(timespec="microseconds"),
        row["event"],
        row["actor"],
        row["outcome"],
        row["fields"],
        row["previous_hash"],
    ]
    return hashlib.sha256(canonical_json(hashed).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no blanks and ASCII only: the same text for the same value, everywhere."""
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, sort_keys=True, separators=(",", ":"))


def _storable(text: str) -> str:
    """The text without what PostgreSQL's UTF-8 cannot hold: NUL and lone surrogates, both from hostile clients."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


_HEAD = (
    select(audit_events.c.sequence, audit_events.c.hash)
    .where(audit_events.c.chain == bindparam("chain"))
    .order_by(audit_events.c.sequence.desc())
    .limit(1)
)


def _insertion(dialect: Any) -> Any:
    """INSERT that takes effect only if the event before is there with its hash, and no event has this number yet.

    So a guessed head is enough: no query in front, and no error (which would cost PostgreSQL a savepoint) behind.
    """
    columns = [column.name for column in audit_events.columns]
    before = exists().where(
        audit_events.c.chain == bindparam("chain"),
        audit_events.c.sequence == bindparam("before", type_=BigInteger()),
        audit_events.c.hash == bindparam("previous_hash"),
    )
    is_first = bindparam("before", type_=BigInteger()) == 0
    values = select(*(bindparam(column.name, type_=column.type) for column in audit_events.columns))
    insertion = dialect.insert(audit_events).from_select(columns, values.where(before | is_first))
    return insertion.on_conflict_do_nothing().execution_options(preserve_rowcount=True)


_INSERTIONS = {"postgresql": _insertion(postgresql), "sqlite": _insertion(sqlite)}
