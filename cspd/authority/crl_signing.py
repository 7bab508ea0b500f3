"""Signing a to-be-signed CRL with whatever key a CA has (R-CA-025)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from cspd.authority.crl_encoding import encode_algorithm
from cspd.keys.values import PrivateKey, PublicKey
from cspd.x509.algorithms import signature_hash

_ECDSA = {"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3", "sha512": "1.2.840.10045.4.3.4"}
_RSA = {"sha256": "1.2.840.113549.1.1.11", "sha512": "1.2.840.113549.1.1.13"}
_HASHING_BY_THEMSELVES: tuple[tuple[type, str], ...] = (
    (ed25519.Ed25519PublicKey, "1.3.101.112"),
    (ed448.Ed448PublicKey, "1.3.101.113"),
    (mldsa.MLDSA44PublicKey, "2.16.840.1.101.3.4.3.17"),
    (mldsa.MLDSA65PublicKey, "2.16.840.1.101.3.4.3.18"),
    (mldsa.MLDSA87PublicKey, "2.16.840.1.101.3.4.3.19"),
)


def signature_algorithm(public_key: PublicKey) -> bytes:
    """DER of the AlgorithmIdentifier of signatures that this key verifies (RFC 5758, RFC 4055, RFC 8410, RFC 9881)."""
    algorithm = signature_hash(public_key)
    if algorithm is not None:
        is_rsa = isinstance(public_key, rsa.RSAPublicKey)
        return encode_algorithm((_RSA if is_rsa else _ECDSA)[algorithm.name], null_parameters=is_rsa)
    for key_class, oid in _HASHING_BY_THEMSELVES:
        if isinstance(public_key, key_class):
            return encode_algorithm(oid, null_parameters=False)
    raise ValueError(f"no signature algorithm for {type(public_key).__name__}")


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature over ``data`` by the algorithm of :func:`signature_algorithm`."""
    algorithm = signature_hash(key.public_key())
    if isinstance(key, rsa.RSAPrivateKey):
        assert algorithm is not None
        return key.sign(data, padding.PKCS1v15(), algorithm)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        assert algorithm is not None
        return key.sign(data, ec.ECDSA(algorithm))
    return key.sign(data)
