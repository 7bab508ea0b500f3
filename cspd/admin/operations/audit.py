"""``cspctl audit``: checking and reading the audit log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, Operation
from cspd.audit.chain import Head
from cspd.audit.verification import tail, verify
from cspd.store.interfaces import Database


class KnownHead(Arguments):
    """A head that was published earlier."""

    sequence: int
    hash: str


class AuditCheck(Arguments):
    """Which chain to check, and which heads it must still hold."""

    chain: str | None = None
    known_heads: dict[str, KnownHead] = Field(default_factory=dict)


class AuditTail(Arguments):
    """How many events to show."""

    count: int = Field(default=20, ge=1, le=10_000)


class AuditOperations:
    """Runs the operations on the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="audit-verify", arguments=AuditCheck, run=self.verify, only_reads=True),
            Operation(name="audit-tail", arguments=AuditTail, run=self.tail, only_reads=True),
        )

    async def verify(self, arguments: AuditCheck, caller: Caller) -> Any:
        """Check the hash chains."""
        known = {name: Head(head.sequence, head.hash) for name, head in arguments.known_heads.items()}
        report = await self._database.read(lambda connection: verify(connection, arguments.chain, known_heads=known))
        return {
            "sound": report.is_sound,
            "events": report.events,
            "heads": {name: {"sequence": head.sequence, "hash": head.hash} for name, head in report.heads.items()},
            "breaks": [
                {
                    "chain": each.chain,
                    "sequence": each.sequence,
                    "kind": each.kind.value,
                    "explanation": each.explanation,
                }
                for each in report.breaks
            ],
        }

    async def tail(self, arguments: AuditTail, caller: Caller) -> Any:
        """The latest events, oldest first."""
        events = await self._database.read(lambda connection: tail(connection, arguments.count))
        return [
            {
                "recorded_at": views.moment(each.recorded_at),
                "event": each.event,
                "actor": each.actor,
                "outcome": each.outcome,
                "fields": json.loads(each.fields),
                "chain": each.chain,
                "sequence": each.sequence,
            }
            for each in events
        ]
