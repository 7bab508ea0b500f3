"""What the key service asks of whoever keeps keys: the software key store, a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cspd.keys.inspection import KeyInspection
from cspd.keys.threads import SigningPool
from cspd.keys.values import KeyDescription, KeyReference, KeyType, PrivateKey, PublicKey

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """What is known about a provider without asking it now."""

    name: str
    available: bool
    reason: str = ""
    """Why it is not available; for operators."""


class Provider(KeyInspection, Protocol):
    """Keeps keys. Its methods raise as those of :class:`cspd.keys.interfaces.Keys`."""

    name: str
    pool: SigningPool

    async def start(self) -> None:
        """Make ready. A token that does not answer is no reason to raise; :meth:`health` tells it."""
        ...

    async def stop(self) -> None:
        """Finish what was begun and let go."""
        ...

    async def generate(self, key_type: KeyType, label: str, *, decrypts: bool = False) -> KeyReference:
        """Make a key; durable when it returns."""
        ...

    async def public_key(self, identifier: str) -> PublicKey:
        """The public half."""
        ...

    async def sign(self, identifier: str, work: Callable[[PrivateKey], T]) -> T:
        """Run ``work`` with the private key."""
        ...

    async def delete(self, identifier: str) -> None:
        """Destroy the key."""
        ...

    async def list(self) -> Sequence[KeyDescription]:
        """All keys of ours."""
        ...

    async def check(self) -> ProviderHealth:
        """Ask the provider now whether it can sign."""
        ...

    def health(self) -> ProviderHealth:
        """What the last use or check of it has shown."""
        ...


__all__ = ["Provider", "ProviderHealth"]
