"""Commands that work outside the daemon, with a token of their own or on files, and yet stand in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from cspd.admin.operations.values import Arguments, Caller, Operation
from cspd.audit.events import AuditEvent, AuditLog, Outcome


class CommandRun(Arguments):
    """What ran and how it ended."""

    command: Annotated[str, Field(pattern=r"^[a-z][a-z -]{0,63}$")]
    arguments: Annotated[str, Field(max_length=8192)]
    """JSON, without secrets."""
    exit_status: Annotated[int, Field(ge=0, le=255)]


class CommandRecords:
    """Takes the word of a command about itself; who ran it is the operating system's word."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def operations(self) -> Sequence[Operation]:
        """The one; it reads nothing and changes nothing, and the event is its own."""
        return (Operation(name="command-record", arguments=CommandRun, run=self.record, only_reads=True),)

    async def record(self, arguments: CommandRun, caller: Caller) -> Any:
        """Append the event."""
        await self._audit.record(
            AuditEvent(
                event="command-run",
                actor=f"cspctl:{caller.user}",
                outcome=Outcome.SUCCESS if arguments.exit_status == 0 else Outcome.FAILED,
                fields={
                    "operation": arguments.command,
                    "arguments": arguments.arguments,
                    "exit_status": arguments.exit_status,
                    "request_id": caller.request_id,
                },
            )
        )
        return {}
