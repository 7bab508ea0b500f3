"""What to ask a token so that it decrypts as ``cryptography`` was asked to, and taking off the padding. Pure functions.

A token that takes off PKCS #1 v1.5 padding tells whether it fitted, by its return code, its time, or both: what
Bleichenbacher's attack needs. Some (SoftHSM) also say CKR_GENERAL_ERROR then, as when they are broken. So a token that
has the bare RSA operation (CKM_RSA_X_509) does that alone, whose time and outcome do not depend on the padding, and the
padding is taken off here, with the same steps whatever is found.

Python promises no constant time; but there is no way out of these functions before their end, and what they give is
treated alike by whoever asked (a content key at random takes the place of one that did not decrypt).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pkcs11 import MGF, Mechanism

_SHORTEST_FILLING = 8  # octets of PS (RFC 8017, 7.2.1)

_HASHES = {
    "sha1": (Mechanism.SHA_1, MGF.SHA1),
    "sha224": (Mechanism.SHA224, MGF.SHA224),
    "sha256": (Mechanism.SHA256, MGF.SHA256),
    "sha384": (Mechanism.SHA384, MGF.SHA384),
    "sha512": (Mechanism.SHA512, MGF.SHA512),
}


@dataclass(frozen=True, slots=True)
class DecryptionRequest:
    """What a token is to decrypt: with the bare operation if it has it, or else with this mechanism."""

    mechanism: Mechanism
    parameter: Any
    data: bytes
    unpad: Callable[[bytes], bytes | None]
    """Takes the padding off what the bare operation gives; None if it does not fit."""


@dataclass(frozen=True, slots=True)
class Decrypted:
    """What came of it."""

    octets: bytes | None
    """None: the token found that the padding does not fit."""
    is_padded: bool
    """The token did the bare operation."""


def decryption_request(
    ciphertext: bytes, scheme: padding.AsymmetricPadding, public_key: rsa.RSAPublicKey
) -> DecryptionRequest:
    """For ``RSAPrivateKey.decrypt``.

    Raises ValueError for octets that are no ciphertext of the key, which everybody can see (RFC 8017, 5.1.2), and
    UnsupportedAlgorithm for anything but PKCS #1 v1.5, and OAEP with SHA-1 or SHA-2 and no label.
    """
    octets = (public_key.key_size + 7) // 8
    if len(ciphertext) != octets or int.from_bytes(ciphertext) >= public_key.public_numbers().n:
        raise ValueError("not a ciphertext of this key")
    if isinstance(scheme, padding.PKCS1v15):
        return DecryptionRequest(
            Mechanism.RSA_PKCS, None, ciphertext, lambda encoded: unpad_pkcs1(encoded.rjust(octets, b"\0"))
        )
    if not isinstance(scheme, padding.OAEP) or scheme._label:
        raise UnsupportedAlgorithm(f"decryption with {scheme.name}")
    mechanism, _ = _hash_of(scheme._algorithm)
    _, mgf = _hash_of(scheme.mgf._algorithm)
    digest, mask_digest = scheme._algorithm.name, scheme.mgf._algorithm.name
    return DecryptionRequest(
        Mechanism.RSA_PKCS_OAEP,
        (mechanism, mgf, None),
        ciphertext,
        lambda encoded: unpad_oaep(encoded.rjust(octets, b"\0"), digest, mask_digest),
    )


def unpad_pkcs1(encoded: bytes) -> bytes | None:
    """The message of EM = 00 02 PS 00 M (RFC 8017, 7.2.2); None for anything else."""
    is_bad = encoded[0] | (encoded[1] ^ 0x02)
    is_found = 0
    start = 0
    for position in range(2, len(encoded)):
        is_zero = (encoded[position] - 1) >> 8 & 1
        start |= position * (is_zero & ~is_found & 1)
        is_found |= is_zero
    is_bad |= 1 - is_found
    is_bad |= (start - 2 - _SHORTEST_FILLING) >> 31 & 1
    message = encoded[start + 1 :]
    return None if is_bad else message


def unpad_oaep(encoded: bytes, digest: str, mask_digest: str) -> bytes | None:
    """The message of EM = 00 maskedSeed maskedDB with an empty label (RFC 8017, 7.1.2); None for anything else."""
    label_hash = hashlib.new(digest, b"", usedforsecurity=False).digest()
    octets = len(label_hash)
    if len(encoded) < 2 * octets + 2:  # of the key and the hash alone
        return None
    masked_seed, masked_block = encoded[1 : 1 + octets], encoded[1 + octets :]
    seed = _xor(masked_seed, _mgf1(masked_block, octets, mask_digest))
    block = _xor(masked_block, _mgf1(seed, len(masked_block), mask_digest))
    is_bad = encoded[0] | (1 - hmac.compare_digest(block[:octets], label_hash))
    is_found = 0
    start = 0
    for position in range(octets, len(block)):
        is_one = ((block[position] ^ 0x01) - 1) >> 8 & 1
        is_zero = (block[position] - 1) >> 8 & 1
        start |= position * (is_one & ~is_found & 1)
        is_bad |= (1 - is_zero) & (1 - is_one) & (1 - is_found)
        is_found |= is_one
    is_bad |= 1 - is_found
    message = block[start + 1 :]
    return None if is_bad else message


def _mgf1(seed: bytes, length: int, digest: str) -> bytes:
    """RFC 8017, B.2.1."""
    mask = b""
    counter = 0
    while len(mask) < length:
        mask += hashlib.new(digest, seed + counter.to_bytes(4), usedforsecurity=False).digest()
        counter += 1
    return mask[:length]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _hash_of(algorithm: hashes.HashAlgorithm) -> tuple[Mechanism, MGF]:
    try:
        return _HASHES[algorithm.name]
    except KeyError:
        raise UnsupportedAlgorithm(f"{algorithm.name} is not for decryption here") from None


__all__ = ["Decrypted", "DecryptionRequest", "decryption_request", "unpad_oaep", "unpad_pkcs1"]
