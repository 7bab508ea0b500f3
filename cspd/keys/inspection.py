"""What a provider holds, keys of others included: an ability beside making and using our own keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cspd.keys.values import PublicKey


class KeyHalf(Enum):
    """Which half of a key pair an object is; values are for people."""

    PUBLIC = "public"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place for a token, and the token in it (CK_SLOT_INFO, CK_TOKEN_INFO; PKCS#11 v2.40, 3.2)."""

    number: int
    label: str
    serial_number: str
    model: str
    firmware_version: str
    configuration: str
    """What the token says of itself: its flags, by name."""
    description: str
    fm_hardware_status: str
    """Of functionality modules, which only Luna has; PKCS#11 does not tell."""
    is_current: bool
    """Whether it is the one that the provider uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyObject:
    """One half of a key, whoever made it."""

    half: KeyHalf
    kind: str
    """``RSA 2048 bits``, ``EC 256 bits``, ``ed25519``; the name in PKCS#11 for what we do not know."""
    label: str
    identifier: str
    """As the provider has it, hexadecimal: CKA_ID of a token, which may be empty."""
    usage: tuple[str, ...]
    """``sign``, ``verify``, ``decrypt``, ``wrap``, ..."""
    public_key: PublicKey | None
    """None if the object does not tell, or is of a type that is not ours."""
    is_ours: bool
    """Whether the identifier is one that we make."""


class KeyInspection(Protocol):
    """Looks at a provider. Its methods raise :class:`cspd.refusals.Unavailable` when it does not answer."""

    async def slots(self) -> Sequence[Slot]:
        """All slots with a token that its module reaches."""
        ...

    async def objects(self) -> Sequence[KeyObject]:
        """All halves of keys, those of one identifier together, the public one first."""
        ...

    async def destroy(self, identifier: str) -> Sequence[KeyHalf]:
        """Destroy both halves of a key for good, ours or not; gives those that were there, the public one first.

        Raises :class:`cspd.refusals.NotFound` if none was.
        """
        ...


__all__ = ["KeyHalf", "KeyInspection", "KeyObject", "Slot"]
