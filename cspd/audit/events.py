"""Audit events: who did what to what, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from sqlalchemy import Connection


class Outcome(Enum):
    """How an audited operation ended."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One entry of the audit log; ``fields`` are JSON values without secrets."""

    event: str
    """Past tense, with hyphens: ``certificate-issued``, ``certificate-revoked``, ``ca-created``, ``crl-published``."""
    actor: str
    """``protocol:identity``, for example ``acme:https://.../acct/1`` or ``cspctl:root``."""
    outcome: Outcome = Outcome.SUCCESS
    fields: Mapping[str, str | int | bool | None] = field(default_factory=dict)


class AuditLog(Protocol):
    """Appends to this process's hash chain."""

    def append(self, connection: Connection, event: AuditEvent) -> None:
        """Append inside the caller's transaction, so that the record and its audit event are durable together.

        Call only in a work of :meth:`cspd.store.interfaces.Database.write`.
        """
        ...

    async def record(self, event: AuditEvent) -> None:
        """Append in a transaction of its own (refusals, reads worth noting)."""
        ...
