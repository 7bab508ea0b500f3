"""What a token tells of its slots and key objects, read in a session of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pkcs11
from pkcs11 import Attribute, ObjectClass, TokenFlag
from pkcs11 import KeyType as TokenKeyType
from pkcs11.exceptions import AttributeSensitive, AttributeTypeInvalid

from cspd.keys.inspection import KeyHalf, KeyObject, Slot
from cspd.keys.pkcs11 import objects
from cspd.keys.pkcs11.tokens import TokenSession
from cspd.keys.values import PublicKey

_CLASSES: Mapping[KeyHalf, ObjectClass] = {
    KeyHalf.PUBLIC: ObjectClass.PUBLIC_KEY,
    KeyHalf.PRIVATE: ObjectClass.PRIVATE_KEY,
}
_USAGES: tuple[tuple[Attribute, str], ...] = (
    (Attribute.ENCRYPT, "encrypt"),
    (Attribute.DECRYPT, "decrypt"),
    (Attribute.SIGN, "sign"),
    (Attribute.VERIFY, "verify"),
    (Attribute.WRAP, "wrap"),
    (Attribute.UNWRAP, "unwrap"),
    (Attribute.DERIVE, "derive"),
)
_NOT_TOLD = "not reported"


def read_slots(session: TokenSession) -> Sequence[Slot]:
    """The slots of the session's module, the session's own among them; raises PKCS11Error."""
    own = session.raw.token.slot.slot_id
    return tuple(_slot(slot, token, is_current=slot.slot_id == own) for slot, token in session.tokens())


def read_objects(session: TokenSession, *, our_octets: int) -> Sequence[KeyObject]:
    """The key objects that the user of the session sees; raises PKCS11Error.

    ``our_octets`` is the length of the CKA_ID of keys that we made.
    """
    session.require_login()
    found = {half: objects.find(session.raw, kind) for half, kind in _CLASSES.items()}
    public_keys: dict[bytes, PublicKey] = {}
    for each in found[KeyHalf.PUBLIC]:
        if (public_key := _public_key(each)) is not None:
            public_keys[_attribute(each, Attribute.ID, b"")] = public_key
    read = [
        _object(half, each, public_keys.get(_attribute(each, Attribute.ID, b"")), our_octets)
        for half, those in found.items()
        for each in those
    ]
    return tuple(sorted(read, key=lambda each: (each.label, each.identifier, each.half is KeyHalf.PRIVATE)))


def destroy_objects(session: TokenSession, identifier: bytes) -> Sequence[KeyHalf]:
    """Destroy what has this CKA_ID, and tell which halves that were; raises PKCS11Error."""
    session.require_login()
    halves = []
    for half, kind in _CLASSES.items():
        those = objects.find(session.raw, kind, identifier)
        for each in those:
            each.destroy()
        if those:
            halves.append(half)
    return tuple(halves)


def _slot(slot: Any, token: Any, *, is_current: bool) -> Slot:
    return Slot(
        number=slot.slot_id,
        label=token.label,
        serial_number=_text(token.serial),
        model=_text(token.model),
        firmware_version=_version(token.firmware_version),
        configuration=", ".join(_flags(token.flags)),
        description=_text(slot.slot_description),
        fm_hardware_status=_NOT_TOLD,
        is_current=is_current,
    )


def _flags(flags: Any) -> Iterator[str]:
    for flag in TokenFlag:
        if flags & flag:
            yield flag.name.lower().replace("_", " ") if flag.name else str(flag.value)


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip(" \0")


def _version(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('major', 0)}.{value.get('minor', 0)}"
    return ".".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def _object(half: KeyHalf, found: Any, public_key: PublicKey | None, our_octets: int) -> KeyObject:
    identifier = _attribute(found, Attribute.ID, b"")
    return KeyObject(
        half=half,
        kind=_kind(found, public_key),
        label=_attribute(found, Attribute.LABEL, ""),
        identifier=identifier.hex(),
        usage=tuple(word for attribute, word in _USAGES if _attribute(found, attribute, False)),
        public_key=public_key,
        is_ours=len(identifier) == our_octets and public_key is not None,
    )


def _kind(found: Any, public_key: PublicKey | None) -> str:
    kind = _attribute(found, Attribute.KEY_TYPE, None)
    if kind == TokenKeyType.RSA:
        modulus = _attribute(found, Attribute.MODULUS, b"")
        return f"RSA {int.from_bytes(modulus).bit_length()} bits"
    if kind == TokenKeyType.EC:
        bits = getattr(public_key, "key_size", None)
        return "EC" if bits is None else f"EC {bits} bits"
    return str(getattr(kind, "name", kind))


def _public_key(found: Any) -> PublicKey | None:
    try:
        return objects.public_key_of(found)
    except (ValueError, AttributeSensitive, AttributeTypeInvalid):  # of another type, or somebody made half a key
        return None


def _attribute(found: Any, attribute: Attribute, otherwise: Any) -> Any:
    """An attribute, or what stands for it where the object has none or keeps it to itself."""
    try:
        value = found[attribute]
    except (AttributeSensitive, AttributeTypeInvalid, pkcs11.exceptions.AttributeValueInvalid):
        return otherwise
    return otherwise if value is None else value


__all__ = ["destroy_objects", "read_objects", "read_slots"]
