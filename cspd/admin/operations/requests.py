"""``cspctl request``: requests that wait for an approval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, Operation
from cspd.authority.approvals import Approvals, RequestState

MAX_LISTED = 1000


class RequestName(Arguments):
    """Which request."""

    id: str = Field(max_length=64)


class RequestDenial(RequestName):
    """Why not; the client is told."""

    reason: str = Field(min_length=1, max_length=200)


class RequestFilter(Arguments):
    """Which requests to list."""

    state: RequestState | None = RequestState.WAITING
    limit: int = Field(default=100, ge=1, le=MAX_LISTED)


class RequestOperations:
    """Runs the operations on requests."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="request-list", arguments=RequestFilter, run=self.list, only_reads=True),
            Operation(name="request-show", arguments=RequestName, run=self.show, only_reads=True),
            Operation(name="request-approve", arguments=RequestName, run=self.approve),
            Operation(name="request-deny", arguments=RequestDenial, run=self.deny),
        )

    async def list(self, arguments: RequestFilter, caller: Caller) -> Any:
        """The oldest first."""
        kept = await self._approvals.list(state=arguments.state, limit=arguments.limit)
        return [views.enrollment_request_row(each) for each in kept]

    async def show(self, arguments: RequestName, caller: Caller) -> Any:
        """One request."""
        return views.enrollment_request(await self._approvals.find(arguments.id))

    async def approve(self, arguments: RequestName, caller: Caller) -> Any:
        """Issue its certificate."""
        issued = await self._approvals.approve(arguments.id, caller.requester)
        kept = await self._approvals.find(arguments.id)
        return {**views.enrollment_request(kept), "not_after": views.moment(issued.not_after)}

    async def deny(self, arguments: RequestDenial, caller: Caller) -> Any:
        """Tell its client no."""
        await self._approvals.deny(arguments.id, caller.requester, arguments.reason)
        return views.enrollment_request(await self._approvals.find(arguments.id))
