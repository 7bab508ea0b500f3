"""``cspctl key``: the private keys, by their public facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cspd.admin import views
from cspd.admin.operations.values import Caller, NoArguments, Operation
from cspd.authority.interfaces import Authorities
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference


class KeyOperations:
    """Runs the operations on keys."""

    def __init__(self, keys: Keys, authorities: Authorities) -> None:
        self._keys = keys
        self._authorities = authorities

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (Operation(name="key-list", arguments=NoArguments, run=self.list, only_reads=True),)

    async def list(self, arguments: NoArguments, caller: Caller) -> Any:
        """All keys, and which CA signs with them, or did before a re-key: it goes on to sign their CRLs."""
        owners = await self._owners()
        return [views.key(each, owners[each.reference]) for each in await self._keys.list()]

    async def owners(self, key: KeyReference) -> Sequence[str]:
        """The CAs that sign with a key, or did before a re-key."""
        return (await self._owners())[key]

    async def _owners(self) -> Mapping[KeyReference | None, Sequence[str]]:
        owners: defaultdict[KeyReference | None, list[str]] = defaultdict(list)
        for authority in await self._authorities.list():
            for key in {authority.key, *(earlier.key for earlier in authority.previous)}:
                owners[key].append(str(authority.reference))
        return owners
