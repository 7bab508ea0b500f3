"""Which key of a CA a CertID names (RFC 6960, 4.1.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cspd.authority.values import CACertificate
from cspd.x509.certificate_fields import fields_of
from protocols.ocsp.codec import HASH_ALGORITHMS
from protocols.ocsp.messages import CertID, HashAlgorithm


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
        fields = fields_of(certificate.certificate_der)
        return cls(certificate=certificate, name_der=fields.subject, public_key=fields.public_key)


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
    return _hash(HashAlgorithm.SHA1, fields_of(certificate_der).public_key)
