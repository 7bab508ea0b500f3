"""Verifying signatures whatever the key."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa


def verify_signature(
    public_key: object, signature: bytes, signed: bytes, algorithm: hashes.HashAlgorithm | None
) -> None:
    """Raise InvalidSignature unless the key made the signature over ``signed``."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        assert algorithm is not None
        public_key.verify(signature, signed, ec.ECDSA(algorithm))
    elif isinstance(public_key, rsa.RSAPublicKey):
        assert algorithm is not None
        public_key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    else:
        assert isinstance(public_key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
        public_key.verify(signature, signed)
