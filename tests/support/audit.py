"""An audit log that remembers."""

from __future__ import annotations

from sqlalchemy import Connection

from cspd.audit.events import AuditEvent


class RecordingAuditLog:
    """Implements :class:`cspd.audit.events.AuditLog`."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def append(self, connection: Connection, event: AuditEvent) -> None:
        """Remember the event."""
        self.events.append(event)

    async def record(self, event: AuditEvent) -> None:
        """Remember the event."""
        self.events.append(event)
