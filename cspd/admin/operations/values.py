"""What an administrator can ask of the daemon: named operations with JSON arguments and JSON results.

The daemon serves them on its Unix socket (:mod:`cspd.admin.endpoint`); ``cspctl`` runs the same ones in its own process
when the daemon is down. Each group of operations lives in a module of its own beside the service it drives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authority.values import Requester
from cspd.refusals import Malformed, NotFound, Refused, Unavailable


class Arguments(BaseModel):
    """The arguments of an operation: unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NoArguments(Arguments):
    """For operations that take none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs ``cspctl``: the operating system's word, not the client's."""

    user: str
    request_id: str = ""

    @property
    def requester(self) -> Requester:
        """For issuance, revocation and the audit trail."""
        return Requester(protocol="cspctl", identity=self.user, request_id=self.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing to ask."""

    name: str
    """Two words joined by a hyphen: ``ca-create``, ``certificate-revoke``."""
    arguments: type[Arguments]
    run: Callable[[Any, Caller], Awaitable[Any]]
    """Takes an instance of ``arguments``; gives JSON values; raises refusals."""
    only_reads: bool = False
    """Changes nothing: audited only when it is refused or fails."""


class Operations:
    """All operations, by name. Every one that is run is audited with its outcome (R-PLAT-080)."""

    _log = Logger()

    def __init__(self, operations: Iterable[Operation], audit: AuditLog) -> None:
        self._audit = audit
        self._by_name: dict[str, Operation] = {}
        for operation in operations:
            if operation.name in self._by_name:
                raise ValueError(f"two operations are named {operation.name}")
            self._by_name[operation.name] = operation

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return tuple(sorted(self._by_name))

    async def run(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> Any:
        """Check the arguments and run the operation; raises NotFound, Malformed, and what the operation raises."""
        operation = self._by_name.get(name)
        try:
            result = await self._run(name, operation, arguments, caller)
        except Refused as refusal:
            await self._record(name, caller, Outcome.REFUSED, refusal.reason)
            raise
        except Exception:
            await self._record(name, caller, Outcome.FAILED, "internal error")
            raise
        if operation is not None and not operation.only_reads:
            await self._record(name, caller, Outcome.SUCCESS, "")
        return result

    async def _run(self, name: str, operation: Operation | None, arguments: Mapping[str, Any], caller: Caller) -> Any:
        if operation is None:
            raise NotFound(f"there is no operation {name!r}")
        try:
            checked = operation.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise Malformed("; ".join(_sentence(problem) for problem in error.errors())) from error
        return await operation.run(checked, caller)

    async def _record(self, name: str, caller: Caller, outcome: Outcome, reason: str) -> None:
        event = AuditEvent(
            event="command-run",
            actor=f"cspctl:{caller.user}",
            outcome=outcome,
            fields={"operation": name, "reason": reason, "request_id": caller.request_id},
        )
        try:
            await self._audit.record(event)
        except Unavailable as refusal:  # what was done is done; the answer must not say otherwise
            self._log.error("audit of {operation} is lost: {reason}", operation=name, reason=refusal.reason)


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "arguments"
    message: str = problem["msg"]
    return f"{place}: {message.removeprefix('Value error, ')}"
