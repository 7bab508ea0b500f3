"""Signing octets with one key and one algorithm, as OCSP responses, CMS and tokens need it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PrivateKey, PublicKey
from cspd.x509 import tlv
from cspd.x509.algorithms import signature_hash

SignatureHash = (
    hashes.SHA1
    | hashes.SHA224
    | hashes.SHA256
    | hashes.SHA384
    | hashes.SHA512
    | hashes.SHA3_224
    | hashes.SHA3_256
    | hashes.SHA3_384
    | hashes.SHA3_512
)

_ECDSA_WITH = {
    "sha1": "1.2.840.10045.4.1",
    "sha224": "1.2.840.10045.4.3.1",
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
    "sha3-224": "2.16.840.1.101.3.4.3.9",  # RFC 9688
    "sha3-256": "2.16.840.1.101.3.4.3.10",
    "sha3-384": "2.16.840.1.101.3.4.3.11",
    "sha3-512": "2.16.840.1.101.3.4.3.12",
}
_RSA_WITH = {
    "sha1": "1.2.840.113549.1.1.5",
    "sha224": "1.2.840.113549.1.1.14",
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
    "sha3-224": "2.16.840.1.101.3.4.3.13",
    "sha3-256": "2.16.840.1.101.3.4.3.14",
    "sha3-384": "2.16.840.1.101.3.4.3.15",
    "sha3-512": "2.16.840.1.101.3.4.3.16",
}
_WITHOUT_HASH: tuple[tuple[type, str], ...] = (
    (ed25519.Ed25519PublicKey, "1.3.101.112"),  # RFC 8410
    (ed448.Ed448PublicKey, "1.3.101.113"),
    (mldsa.MLDSA44PublicKey, "2.16.840.1.101.3.4.3.17"),  # RFC 9881
    (mldsa.MLDSA65PublicKey, "2.16.840.1.101.3.4.3.18"),
    (mldsa.MLDSA87PublicKey, "2.16.840.1.101.3.4.3.19"),
)


class Signer:
    """Signs with one key; what the signatures have in common is made once."""

    def __init__(
        self, keys: Keys, reference: KeyReference, public_key: PublicKey, hash_: SignatureHash | None = None
    ) -> None:
        """``hash_`` None takes the one that fits the key; keys that hash by themselves (EdDSA, ML-DSA) ignore it."""
        self.reference = reference
        self._keys = keys
        self._algorithm, self._sign = _way_to_sign(public_key, hash_ or signature_hash(public_key))

    @property
    def algorithm_der(self) -> bytes:
        """The AlgorithmIdentifier of the signatures, DER (RFC 3279, 4055, 5758, 8410, 9688, 9881)."""
        return self._algorithm

    async def sign(self, octets: bytes) -> bytes:
        """The signature of these octets, as the octets of the BIT STRING or OCTET STRING that carries it.

        Raises :class:`cspd.refusals.NotFound` for a key that has gone and :class:`cspd.refusals.Unavailable` when it
        cannot be used now.
        """
        return await self._keys.sign(self.reference, lambda key: self._sign(key, octets))


def _way_to_sign(
    public_key: PublicKey, hash_: SignatureHash | None
) -> tuple[bytes, Callable[[PrivateKey, bytes], bytes]]:
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        assert hash_ is not None
        ecdsa = ec.ECDSA(hash_)
        algorithm_der = tlv.sequence(tlv.object_identifier(_ECDSA_WITH[hash_.name]))
        # A cast, because isinstance with an abstract class costs a microsecond of each signature.
        return algorithm_der, lambda key, octets: cast(ec.EllipticCurvePrivateKey, key).sign(octets, ecdsa)
    if isinstance(public_key, rsa.RSAPublicKey):
        assert hash_ is not None
        pkcs1, rsa_hash = padding.PKCS1v15(), hash_
        algorithm_der = tlv.sequence(tlv.object_identifier(_RSA_WITH[hash_.name]), tlv.NULL)
        return algorithm_der, lambda key, octets: cast(rsa.RSAPrivateKey, key).sign(octets, pkcs1, rsa_hash)
    for kind, oid in _WITHOUT_HASH:
        if isinstance(public_key, kind):
            algorithm_der = tlv.sequence(tlv.object_identifier(oid))
            return algorithm_der, lambda key, octets: cast(ed25519.Ed25519PrivateKey, key).sign(octets)
    raise TypeError(f"no signature algorithm for {type(public_key).__name__}")


__all__ = ["SignatureHash", "Signer"]
