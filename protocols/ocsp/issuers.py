"""Which key of a CA a CertID names (RFC 6960, 4.1.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cspd.authority.values import CACertificate
from cspd.x509 import tlv
from protocols.ocsp.codec import HASH_ALGORITHMS
from protocols.ocsp.messages import CertID, HashAlgorithm

_VERSION = 0xA0


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One key of a CA, and what CertIDs hash of it."""

    certificate: CACertificate
    """The CA's newest certificate of that key."""
    name_der: bytes = field(repr=False)
    """The CA's subject as its certificate has it; a re-encoded name could have other string types."""
    public_key: bytes = field(repr=False)
    """The value of the BIT STRING subjectPublicKey, without the octet that counts unused bits."""

    @classmethod
    def of(cls, certificate: CACertificate) -> Issuer:
        """The issuer with that CA certificate; raises DERError for bytes that are no certificate."""
        name_der, public_key = _subject_and_key(certificate.certificate_der)
        return cls(certificate=certificate, name_der=name_der, public_key=public_key)


class Issuers:
    """Finds the issuer that a CertID names among those that one URL answers for.

    The hashes of an algorithm are made when a client first uses it.
    """

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        self._issuers = tuple(issuers)
        self._by_hashes: dict[bytes, dict[tuple[bytes, bytes], Issuer]] = {}

    def find(self, cert_id: CertID) -> Issuer | None:
        """The issuer whose name and key have the CertID's hashes; None for a foreign one, or a hash we do not know."""
        found = self._by_hashes.get(cert_id.algorithm_der)
        if found is None:
            algorithm = HASH_ALGORITHMS.get(cert_id.algorithm_der)
            if algorithm is None:
                return None
            found = self._by_hashes[cert_id.algorithm_der] = {
                (_hash(algorithm, issuer.name_der), _hash(algorithm, issuer.public_key)): issuer
                for issuer in self._issuers
            }
        return found.get((cert_id.issuer_name_hash, cert_id.issuer_key_hash))


def _hash(algorithm: HashAlgorithm, octets: bytes) -> bytes:
    # SHA-1 names things here and protects nothing.
    return hashlib.new(algorithm.value, octets, usedforsecurity=False).digest()


def key_hash(certificate_der: bytes) -> bytes:
    """The SHA-1 of a certificate's public key: KeyHash of a ResponderID (RFC 6960, 4.2.1)."""
    return _hash(HashAlgorithm.SHA1, _subject_and_key(certificate_der)[1])


def _subject_and_key(certificate_der: bytes) -> tuple[bytes, bytes]:
    """Cut subject and public key out of a certificate (RFC 5280, 4.1)."""
    position, end = tlv.read(certificate_der, 0, len(certificate_der), tlv.SEQUENCE)
    position, end = tlv.read(certificate_der, position, end, tlv.SEQUENCE)
    identifier, _, stop = tlv.read_any(certificate_der, position, end)
    if identifier == _VERSION:
        position = stop
    for skipped in (tlv.INTEGER, tlv.SEQUENCE, tlv.SEQUENCE, tlv.SEQUENCE):  # serial, signature, issuer, validity
        _, position = tlv.read(certificate_der, position, end, skipped)
    _, subject_end = tlv.read(certificate_der, position, end, tlv.SEQUENCE)
    algorithm, key_end = tlv.read(certificate_der, subject_end, end, tlv.SEQUENCE)
    _, algorithm_end = tlv.read(certificate_der, algorithm, key_end, tlv.SEQUENCE)
    start, stop = tlv.read(certificate_der, algorithm_end, key_end, tlv.BIT_STRING)
    return certificate_der[position:subject_end], certificate_der[start + 1 : stop]
