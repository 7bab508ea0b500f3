"""The hashes of message imprints and signatures: identifiers, lengths, and how they are computed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives import hashes

from cspd.keys.signer import SignatureHash
from cspd.x509 import tlv
from protocols.tsp.messages import HashAlgorithm

OBJECT_IDENTIFIERS: Mapping[HashAlgorithm, str] = {
    HashAlgorithm.SHA1: "1.3.14.3.2.26",
    HashAlgorithm.SHA224: "2.16.840.1.101.3.4.2.4",
    HashAlgorithm.SHA256: "2.16.840.1.101.3.4.2.1",
    HashAlgorithm.SHA384: "2.16.840.1.101.3.4.2.2",
    HashAlgorithm.SHA512: "2.16.840.1.101.3.4.2.3",
    HashAlgorithm.SHA3_224: "2.16.840.1.101.3.4.2.7",
    HashAlgorithm.SHA3_256: "2.16.840.1.101.3.4.2.8",
    HashAlgorithm.SHA3_384: "2.16.840.1.101.3.4.2.9",
    HashAlgorithm.SHA3_512: "2.16.840.1.101.3.4.2.10",
}
"""Dotted (RFC 3370, 2.1; RFC 5754, 2; RFC 9688, 2)."""

ALGORITHM_IDENTIFIERS: Mapping[HashAlgorithm, bytes] = {
    algorithm: tlv.sequence(tlv.object_identifier(oid)) for algorithm, oid in OBJECT_IDENTIFIERS.items()
}
"""As we write them, DER: without parameters (RFC 5754, 2; RFC 9688, 2)."""

HASH_ALGORITHMS: Mapping[bytes, HashAlgorithm] = {
    tlv.sequence(tlv.object_identifier(oid), parameters): algorithm
    for algorithm, oid in OBJECT_IDENTIFIERS.items()
    for parameters in (b"", tlv.NULL)
}
"""The AlgorithmIdentifiers, DER, that we read: parameters are absent, or NULL as most clients write them."""


def _hashlib_name(algorithm: HashAlgorithm) -> str:
    return algorithm.value.replace("-", "_")


DIGEST_OCTETS: Mapping[HashAlgorithm, int] = {
    algorithm: hashlib.new(_hashlib_name(algorithm)).digest_size for algorithm in HashAlgorithm
}

SIGNATURE_HASHES: Mapping[HashAlgorithm, SignatureHash] = {
    HashAlgorithm.SHA1: hashes.SHA1(),  # noqa: S303  # only where the configuration lists it
    HashAlgorithm.SHA224: hashes.SHA224(),
    HashAlgorithm.SHA256: hashes.SHA256(),
    HashAlgorithm.SHA384: hashes.SHA384(),
    HashAlgorithm.SHA512: hashes.SHA512(),
    HashAlgorithm.SHA3_224: hashes.SHA3_224(),
    HashAlgorithm.SHA3_256: hashes.SHA3_256(),
    HashAlgorithm.SHA3_384: hashes.SHA3_384(),
    HashAlgorithm.SHA3_512: hashes.SHA3_512(),
}
"""The same, for :class:`cspd.keys.signer.Signer`."""

Digest = Callable[[bytes], bytes]


def digest_function(algorithm: HashAlgorithm) -> Digest:
    """The function that gives the digest of some octets."""
    new = getattr(hashlib, _hashlib_name(algorithm))
    return lambda octets: new(octets).digest()
