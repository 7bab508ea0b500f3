"""``cspctl org``: organizations and their administrators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, NoArguments, Operation
from cspd.authority.organizations import Organizations


class OrganizationName(Arguments):
    """Which organization."""

    name: str


class Administrators(OrganizationName):
    """Whom to add."""

    users: tuple[str, ...]


class OrganizationOperations:
    """Runs the operations on organizations."""

    def __init__(self, organizations: Organizations) -> None:
        self._organizations = organizations

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="organization-create", arguments=OrganizationName, run=self.create),
            Operation(name="organization-join", arguments=OrganizationName, run=self.join),
            Operation(name="organization-leave", arguments=OrganizationName, run=self.leave),
            Operation(name="organization-add-administrators", arguments=Administrators, run=self.add_administrators),
            Operation(name="organization-list", arguments=NoArguments, run=self.list, only_reads=True),
        )

    async def create(self, arguments: OrganizationName, caller: Caller) -> Any:
        """Make one; the caller becomes its administrator."""
        return views.organization(await self._organizations.create(arguments.name, caller.requester))

    async def join(self, arguments: OrganizationName, caller: Caller) -> Any:
        """Become an administrator of an existing one."""
        return views.organization(await self._organizations.join(arguments.name, caller.requester))

    async def leave(self, arguments: OrganizationName, caller: Caller) -> Any:
        """Be its administrator no longer."""
        await self._organizations.leave(arguments.name, caller.requester)
        return {"name": arguments.name}

    async def add_administrators(self, arguments: Administrators, caller: Caller) -> Any:
        """Make other users its administrators."""
        return views.organization(
            await self._organizations.add_administrators(arguments.name, arguments.users, caller.requester)
        )

    async def list(self, arguments: NoArguments, caller: Caller) -> Any:
        """All of them."""
        return [views.organization(each) for each in await self._organizations.list()]
