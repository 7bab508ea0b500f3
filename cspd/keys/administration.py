"""What an administrator does with signing keys: make one with a certificate request, request again, list, destroy.

Here a key has a *key id* of 40 hexadecimal digits: the key identifier of RFC 7093, section 2, method 1, the same that
the subjectKeyIdentifier of its certificates has. A key that somebody else put on a token is called by its CKA_ID.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cspd.keys.inspection import KeyHalf, KeyInspection, KeyObject, Slot
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import Conflict, NotFound, Rejected
from cspd.x509.algorithms import signature_hash
from cspd.x509.identifiers import subject_key_identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedKey:
    """A key and a certificate request for it."""

    key_id: str
    reference: KeyReference
    csr_der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyedKey:
    """What was destroyed."""

    key_id: str
    halves: Sequence[KeyHalf]


class KeyAdministration:
    """Works on one provider of keys."""

    def __init__(self, keys: Keys, inspection: Callable[[str], KeyInspection]) -> None:
        """``inspection`` gives that of the named provider; raises NotFound."""
        self._keys = keys
        self._inspection = inspection

    async def create(self, provider: str, key_type: KeyType, *, label: str, subject: x509.Name | None) -> RequestedKey:
        """Make a key and a request with that subject, ``CN=<key id>`` if None (R-TSA-073).

        Raises Rejected for a type that the provider does not make. No key is left when the request fails.
        """
        reference = await self._keys.generate(key_type, label=label, provider=provider)
        try:
            return await self._requested(reference, subject)
        except BaseException:
            await self._keys.delete(reference)
            raise

    async def request(self, provider: str, key_id: str, *, subject: x509.Name | None) -> RequestedKey:
        """Another request for a key that :meth:`create` made (R-TSA-076).

        Raises NotFound, and Rejected for a key of others.
        """
        found = await self.find(provider, key_id)
        if not found.is_ours:
            raise Rejected(f"the key {key_id} was not made here", code="foreign-key")
        return await self._requested(KeyReference(provider, found.identifier), subject)

    async def delete(self, provider: str, key_id: str) -> DestroyedKey:
        """Destroy both halves of a key, ours or not (R-TSA-077); raises NotFound."""
        found = await self.find(provider, key_id)
        halves = await self._inspection(provider).destroy(found.identifier)
        return DestroyedKey(key_id=key_id_of(found), halves=halves)

    async def objects(self, provider: str) -> Sequence[KeyObject]:
        """Every half of every key (R-TSA-078)."""
        return await self._inspection(provider).objects()

    async def slots(self, provider: str) -> Sequence[Slot]:
        """Every slot that the provider's module reaches (R-TSA-080)."""
        return await self._inspection(provider).slots()

    async def find(self, provider: str, key_id: str) -> KeyObject:
        """The key with that id, or with that identifier of ours; raises NotFound, and Conflict if several have it."""
        wanted = key_id.lower()
        matching = [
            each for each in await self.objects(provider) if wanted and wanted in (key_id_of(each), each.identifier)
        ]
        if not matching:
            raise NotFound(f"there is no key with the id {key_id}", code="no-such-key")
        if len({each.identifier for each in matching}) > 1:
            raise Conflict(f"several keys have the id {key_id}", code="ambiguous-key")
        return matching[0]

    async def _requested(self, reference: KeyReference, subject: x509.Name | None) -> RequestedKey:
        key_id = subject_key_identifier(await self._keys.public_key(reference)).hex()
        name = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key_id)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = await self._keys.sign(
            reference, lambda private: builder.sign(private, signature_hash(private.public_key()))
        )
        return RequestedKey(key_id=key_id, reference=reference, csr_der=signed.public_bytes(Encoding.DER))


def key_id_of(found: KeyObject) -> str:
    """What to call a key: see the text of this module."""
    if found.is_ours and found.public_key is not None:
        return subject_key_identifier(found.public_key).hex()
    return found.identifier


__all__ = ["DestroyedKey", "KeyAdministration", "RequestedKey", "key_id_of"]
