"""What ``cspctl scep ra`` asks: which registration authorities there are, and to renew them now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from cspd.admin import views
from cspd.admin.operations.values import Arguments, Caller, NoArguments, Operation
from cspd.certified_keys.following import CertifiedKeys
from cspd.certified_keys.values import CertifiedKey
from cspd.health import Health
from cspd.refusals import NotFound
from cspd.x509.names import format_name
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig, Role
from protocols.scep.registration_authority_keys import RegistrationAuthorityKeys, holder_of


class WhichCA(Arguments):
    """Whose registration authority."""

    ca: str = Field(max_length=40)


class RegistrationAuthorityOperations:
    """Runs them."""

    def __init__(
        self,
        entries: Sequence[RegistrationAuthorityConfig],
        *,
        keys: RegistrationAuthorityKeys,
        certified: CertifiedKeys,
    ) -> None:
        self._entries: Mapping[str, RegistrationAuthorityConfig] = {entry.ca: entry for entry in entries}
        self._keys = keys
        self._certified = certified

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="scep-ra-list", arguments=NoArguments, run=self.list, only_reads=True),
            Operation(name="scep-ra-renew", arguments=WhichCA, run=self.renew),
        )

    async def list(self, arguments: NoArguments, caller: Caller) -> Any:
        """Each certificate with its key, end and health; the registration authorities in the order of conf."""
        await self._certified.look()
        return [
            self._row(entry.ca, role, profile, health)
            for entry, health in zip(self._entries.values(), self._keys.health(), strict=True)
            for role, profile in entry.profiles.items()
        ]

    async def renew(self, arguments: WhichCA, caller: Caller) -> Any:
        """Make a new key and certificate now; the previous key goes on to decrypt for its grace."""
        entry = self._entries.get(arguments.ca)
        if entry is None:
            raise NotFound(f"{arguments.ca} has no registration authority in conf")
        await self._certified.renew([holder_of(entry.ca, role) for role in entry.profiles])
        return {"ca": entry.ca}

    def _row(self, ca: str, role: Role, profile: str, health: Health) -> dict[str, Any]:
        key = self._key(ca, role)
        return {
            "ca": ca,
            "role": role.value,
            "profile": profile,
            "subject": None if key is None else format_name(key.certificate.subject),
            "serial": None if key is None else f"{key.certificate.serial_number:x}",
            "key": None if key is None else str(key.key),
            "not_after": None if key is None else views.moment(key.not_after),
            "health": health.state.value,
            "reason": health.reason,
        }

    def _key(self, ca: str, role: Role) -> CertifiedKey | None:
        held = self._keys.held(ca)
        if held is None:
            return None
        return held.encryption if role is Role.ENCRYPTION else held.signing


__all__ = ["RegistrationAuthorityOperations", "WhichCA"]
