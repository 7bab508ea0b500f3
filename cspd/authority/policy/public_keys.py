"""The subject's public key (R-PRO-003, R-CEG-117)."""

from __future__ import annotations

from collections.abc import Container
from typing import cast

from cspd.authority.profile_values import Profile
from cspd.keys.values import KeyType, PublicKey
from cspd.refusals import BadPublicKey
from cspd.x509.public_keys import PublicKeyError, check_strength, key_type_name

_KEY_TYPES = {key_type.value: key_type for key_type in KeyType}


def check_public_key(
    profile: Profile, public_key: object, public_key_der: bytes, authority_keys: Container[bytes]
) -> PublicKey:
    """Check type, size and strength, and that the key is no CA's; raises :class:`BadPublicKey`.

    ``authority_keys`` are the SubjectPublicKeyInfo of every CA of this server: whoever certified one again could pass a
    CA's signatures off as a subscriber's. Returns the key as one of the types we know.
    """
    name = key_type_name(public_key)
    if _KEY_TYPES.get(name) not in profile.key_types:
        allowed = ", ".join(sorted(key_type.value for key_type in profile.key_types))
        raise BadPublicKey(f"profile {profile.id} does not take a key of type {name}, but: {allowed}")
    try:
        check_strength(public_key)
    except PublicKeyError as error:
        raise BadPublicKey(str(error)) from error
    if public_key_der in authority_keys:
        raise BadPublicKey("the key belongs to a certification authority of this server")
    return cast(PublicKey, public_key)
