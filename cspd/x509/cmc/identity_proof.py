"""Proof of identity by a shared secret (RFC 5272, 6.2.1)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.constant_time import bytes_eq

from cspd.x509 import tlv
from cspd.x509.cmc.messages import IdentityProofV2
from cspd.x509.signatures import Algorithm, SignatureError, hash_of

_MACS: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.2.8": hashes.SHA224(),
    "1.2.840.113549.2.9": hashes.SHA256(),
    "1.2.840.113549.2.10": hashes.SHA384(),
    "1.2.840.113549.2.11": hashes.SHA512(),
}


class IdentityProofAlgorithmError(ValueError):
    """The hash or the MAC of a proof is not known, or is SHA-1."""


def witness_of(hash_algorithm: Algorithm, mac_algorithm: Algorithm, secret: bytes, req_sequence_der: bytes) -> bytes:
    """The MAC of a reqSequence, tag and length included, by the hash of a secret.

    Raises :class:`IdentityProofAlgorithmError`.
    """
    try:
        hash_ = hash_of(hash_algorithm.oid)
    except SignatureError as error:
        raise IdentityProofAlgorithmError(str(error)) from error
    mac_hash = _MACS.get(mac_algorithm.oid)
    if mac_hash is None or isinstance(hash_, hashes.SHA1):
        raise IdentityProofAlgorithmError("an identity proof needs SHA-2 or SHA-3 and HMAC with SHA-2")
    if any(each.parameters_der not in (b"", tlv.NULL) for each in (hash_algorithm, mac_algorithm)):
        raise IdentityProofAlgorithmError("hash and HMAC have no parameters")
    key = hashes.Hash(hash_)
    key.update(secret)
    mac = hmac.HMAC(key.finalize(), mac_hash)
    mac.update(req_sequence_der)
    return mac.finalize()


def is_proved(proof: IdentityProofV2, secret: bytes, req_sequence_der: bytes) -> bool:
    """Whether the proof was made with this secret over this reqSequence, compared in constant time.

    Raises :class:`IdentityProofAlgorithmError`.
    """
    return bytes_eq(witness_of(proof.hash_algorithm, proof.mac_algorithm, secret, req_sequence_der), proof.witness)
