"""What the rest of the house asks of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from cspd.keys.values import KeyDescription, KeyReference, KeyType, PrivateKey, PublicKey

T = TypeVar("T")


class Keys(Protocol):
    """Makes, finds and uses private keys, wherever they live.

    Every method raises :class:`cspd.refusals.Unavailable` when the token or the store does not answer, and
    :class:`cspd.refusals.NotFound` for a key that does not exist.
    """

    async def generate(
        self, key_type: KeyType, *, label: str, provider: str | None = None, decrypts: bool = False
    ) -> KeyReference:
        """Make a key; ``provider`` None takes the configured default. Durable when it returns.

        ``decrypts``: an RSA key that also decrypts, which a token has to be told when the key is made.
        Raises :class:`cspd.refusals.Rejected` for a key type that the provider does not have.
        """
        ...

    async def public_key(self, reference: KeyReference) -> PublicKey:
        """The public half."""
        ...

    async def sign(self, reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
        """Run ``work`` with the private key where that key may be used, and give what it returns.

        ``work`` builds and signs one structure (``lambda key: builder.sign(key, algorithm)``). A fast software key
        runs it in the caller's thread at the end of the reactor's turn, or at once where there is no reactor; RSA,
        ML-DSA and token keys run it in a signing thread. Once begun it is not cancelled when the caller goes away.
        """
        ...

    async def delete(self, reference: KeyReference) -> None:
        """Destroy the private key for good."""
        ...

    async def list(self) -> Sequence[KeyDescription]:
        """All keys of all providers that answer."""
        ...
