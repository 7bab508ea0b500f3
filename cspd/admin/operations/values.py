"""What an administrator can ask of the daemon: named operations with JSON arguments and JSON results.

The daemon serves them on its Unix socket (:mod:`cspd.admin.endpoint`); ``cspctl`` runs the same ones in its own process
when the daemon is down. Each group of operations lives in a module of its own beside the service it drives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cspd.authority.values import Requester
from cspd.refusals import Malformed, NotFound


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


class Operations:
    """All operations of the daemon, by name."""

    def __init__(self, operations: Iterable[Operation]) -> None:
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
        if operation is None:
            raise NotFound(f"there is no operation {name!r}")
        try:
            checked = operation.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise Malformed("; ".join(_sentence(problem) for problem in error.errors())) from error
        return await operation.run(checked, caller)


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "arguments"
    message: str = problem["msg"]
    return f"{place}: {message.removeprefix('Value error, ')}"
