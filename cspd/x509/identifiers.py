"""Key identifiers (RFC 7093) and digests of public keys."""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY_IDENTIFIER_OCTETS = 20


def subject_key_identifier(public_key: CertificatePublicKeyTypes) -> bytes:
    """The key identifier of a public key: RFC 7093, section 2, method 1 (R-PRO-017).

    Returns the leftmost 160 bits of the SHA-256 of the subjectPublicKey BIT STRING's value.
    """
    return key_identifier_of(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def key_identifier_of(public_key_der: bytes) -> bytes:
    """The same for a SubjectPublicKeyInfo in DER that a parser has accepted already."""
    algorithm_at, _ = _content(public_key_der, 0)
    _, bit_string_at = _content(public_key_der, algorithm_at)
    value_at, end = _content(public_key_der, bit_string_at)
    return sha256(public_key_der[value_at + 1 : end]).digest()[:KEY_IDENTIFIER_OCTETS]  # + 1: the unused-bits octet


def _content(der: bytes, offset: int) -> tuple[int, int]:
    """Where the content of the element at ``offset`` begins and ends."""
    length = der[offset + 1]
    start = offset + 2
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(der[start : start + octets], "big")
        start += octets
    return start, start + length
