"""``cspctl profile``: the certificate profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, NoArguments, Operation
from cspd.authority.profile_values import Profile
from cspd.refusals import NotFound


class ProfileName(Arguments):
    """Which profile."""

    id: str


class ProfileOperations:
    """Runs the operations on profiles."""

    def __init__(self, profiles: Callable[[], Mapping[str, Profile]]) -> None:
        """``profiles`` gives those of the configuration that is active."""
        self._profiles = profiles

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="profile-list", arguments=NoArguments, run=self.list, only_reads=True),
            Operation(name="profile-show", arguments=ProfileName, run=self.show, only_reads=True),
        )

    async def list(self, arguments: NoArguments, caller: Caller) -> Any:
        """All profiles."""
        return [views.profile_row(each) for each in self._profiles().values()]

    async def show(self, arguments: ProfileName, caller: Caller) -> Any:
        """One profile."""
        found = self._profiles().get(arguments.id)
        if found is None:
            raise NotFound(f"there is no profile {arguments.id!r}")
        return views.profile(found)
