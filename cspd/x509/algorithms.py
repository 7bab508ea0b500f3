"""Which signature algorithm goes with which key (R-PRO-004, R-CA-025)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def signature_hash(public_key: object) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash that the owner of this key signs with; None for EdDSA and ML-DSA, which hash by themselves.

    P-256, RSA 2048 and 3072: SHA-256; P-384: SHA-384; P-521 and RSA 4096 and larger: SHA-512.
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if public_key.key_size <= 256:
            return hashes.SHA256()
        return hashes.SHA384() if public_key.key_size <= 384 else hashes.SHA512()
    if isinstance(public_key, rsa.RSAPublicKey):
        return hashes.SHA512() if public_key.key_size >= 4096 else hashes.SHA256()
    return None
