"""Keys in memory, used at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from cspd.keys.generation import kind_of
from cspd.keys.inspection import KeyHalf, KeyObject, Slot
from cspd.keys.values import KeyDescription, KeyReference, KeyType, PrivateKey, PublicKey
from cspd.refusals import NotFound

T = TypeVar("T")

_MAKERS: dict[KeyType, Callable[[], PrivateKey]] = {
    KeyType.RSA_2048: lambda: rsa.generate_private_key(65537, 2048),
    KeyType.RSA_3072: lambda: rsa.generate_private_key(65537, 3072),
    KeyType.RSA_4096: lambda: rsa.generate_private_key(65537, 4096),
    KeyType.EC_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyType.EC_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyType.EC_P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyType.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyType.ED448: ed448.Ed448PrivateKey.generate,
    KeyType.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyType.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyType.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}


class InlineKeys:
    """Implements :class:`cspd.keys.interfaces.Keys`."""

    def __init__(self) -> None:
        self.private_keys: dict[KeyReference, PrivateKey] = {}
        self.decrypting: set[KeyReference] = set()
        """Those that were made to decrypt too."""
        self._descriptions: dict[KeyReference, KeyDescription] = {}

    async def generate(
        self, key_type: KeyType, *, label: str, provider: str | None = None, decrypts: bool = False
    ) -> KeyReference:
        """Make a key and keep it in the clear."""
        reference = KeyReference(provider or "software", uuid4().hex)
        self.private_keys[reference] = _MAKERS[key_type]()
        if decrypts:
            self.decrypting.add(reference)
        self._descriptions[reference] = KeyDescription(reference=reference, key_type=key_type, label=label)
        return reference

    async def public_key(self, reference: KeyReference) -> PublicKey:
        """The public half."""
        return self._private(reference).public_key()

    async def sign(self, reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
        """Run ``work`` at once."""
        return work(self._private(reference))

    async def delete(self, reference: KeyReference) -> None:
        """Forget the key."""
        self._private(reference)
        del self.private_keys[reference], self._descriptions[reference]

    async def list(self) -> Sequence[KeyDescription]:
        """All keys."""
        return tuple(self._descriptions.values())

    def inspection(self, provider: str) -> InlineKeys:
        """Itself, whatever the provider."""
        return self

    async def slots(self) -> Sequence[Slot]:
        """None."""
        return ()

    async def objects(self) -> Sequence[KeyObject]:
        """Both halves of all keys."""
        return tuple(
            KeyObject(
                half=half,
                kind=kind_of(private_key.public_key()),
                label=self._descriptions[reference].label,
                identifier=reference.identifier,
                usage=("verify",) if half is KeyHalf.PUBLIC else ("sign",),
                public_key=private_key.public_key(),
                is_ours=True,
            )
            for reference, private_key in self.private_keys.items()
            for half in KeyHalf
        )

    async def destroy(self, identifier: str) -> Sequence[KeyHalf]:
        """Forget the key."""
        reference = next(each for each in self.private_keys if each.identifier == identifier)
        await self.delete(reference)
        return tuple(KeyHalf)

    def _private(self, reference: KeyReference) -> PrivateKey:
        try:
            return self.private_keys[reference]
        except KeyError:
            raise NotFound(f"no key {reference}") from None
