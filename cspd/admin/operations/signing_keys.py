"""Operations on the signing keys of one provider, whoever certifies them: ``cspctl tsa create-key`` and its like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Field

from cspd.admin.operations.values import Arguments, Caller, Operation
from cspd.keys.administration import KeyAdministration, RequestedKey, key_id_of
from cspd.keys.config import ProviderName
from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import BadName, Conflict
from cspd.x509.names import NameSyntaxError, parse_name

KeyID = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{1,256}$")]


class Place(Arguments):
    """Which provider."""

    provider: ProviderName


class NewKey(Place):
    """What to make."""

    key_type: KeyType
    label: Annotated[str, Field(min_length=1, max_length=64)]
    subject: str | None = None
    """A distinguished name; ``CN=<key id>`` if absent."""


class KeyName(Place):
    """Which key."""

    key_id: KeyID


class NewRequest(KeyName):
    """What to request."""

    subject: str | None = None


class SigningKeyOperations:
    """Runs them."""

    def __init__(
        self, administration: KeyAdministration, owners: Callable[[KeyReference], Awaitable[Sequence[str]]]
    ) -> None:
        """``owners`` names the CAs that need a key."""
        self._administration = administration
        self._owners = owners

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(name="key-create", arguments=NewKey, run=self.create),
            Operation(name="key-request", arguments=NewRequest, run=self.request),
            Operation(name="key-delete", arguments=KeyName, run=self.delete),
            Operation(name="key-objects", arguments=Place, run=self.objects, only_reads=True),
            Operation(name="key-slots", arguments=Place, run=self.slots, only_reads=True),
        )

    async def create(self, arguments: NewKey, caller: Caller) -> Any:
        """A key and a certificate request."""
        subject = _subject(arguments.subject)
        return _requested(
            await self._administration.create(
                arguments.provider, arguments.key_type, label=arguments.label, subject=subject
            )
        )

    async def request(self, arguments: NewRequest, caller: Caller) -> Any:
        """A certificate request for a key that there is."""
        subject = _subject(arguments.subject)
        return _requested(await self._administration.request(arguments.provider, arguments.key_id, subject=subject))

    async def delete(self, arguments: KeyName, caller: Caller) -> Any:
        """Destroy a key that no CA needs."""
        found = await self._administration.find(arguments.provider, arguments.key_id)
        owners = await self._owners(KeyReference(arguments.provider, found.identifier))
        if owners:
            raise Conflict(f"the key {arguments.key_id} is that of {', '.join(owners)}", code="key-in-use")
        destroyed = await self._administration.delete(arguments.provider, arguments.key_id)
        return {"key_id": destroyed.key_id, "deleted": [half.value for half in destroyed.halves]}

    async def objects(self, arguments: Place, caller: Caller) -> Any:
        """Every half of every key."""
        return [
            {
                "object": each.half.value,
                "kind": each.kind,
                "label": each.label,
                "key_id": key_id_of(each),
                "usage": list(each.usage),
                "reference": str(KeyReference(arguments.provider, each.identifier)) if each.is_ours else None,
            }
            for each in await self._administration.objects(arguments.provider)
        ]

    async def slots(self, arguments: Place, caller: Caller) -> Any:
        """Every slot with a token."""
        return [
            {
                "slot": each.number,
                "label": each.label,
                "serial_number": each.serial_number,
                "model": each.model,
                "firmware_version": each.firmware_version,
                "configuration": each.configuration,
                "description": each.description,
                "fm_hardware_status": each.fm_hardware_status,
                "is_current": each.is_current,
            }
            for each in await self._administration.slots(arguments.provider)
        ]


def _subject(text: str | None) -> x509.Name | None:
    if text is None:
        return None
    try:
        name = parse_name(text)
    except NameSyntaxError as error:
        raise BadName(str(error)) from error
    if not name.rdns:
        raise BadName("the subject is empty")
    return name


def _requested(requested: RequestedKey) -> dict[str, Any]:
    csr = x509.load_der_x509_csr(requested.csr_der)
    return {
        "key_id": requested.key_id,
        "reference": str(requested.reference),
        "csr": csr.public_bytes(Encoding.PEM).decode("ascii"),
    }
