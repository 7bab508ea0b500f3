"""The CSR of a finalize: does it ask for the order, the whole order, and nothing else? (RFC 8555, 7.4)"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.identifiers import as_names, normalize_dns_name, split_wildcard
from protocols.acme.messages import Identifier

MAX_COMMON_NAME = 64
"""ub-common-name (RFC 5280, A.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedCertificate:
    """What a finalize asks the core for."""

    csr_der: bytes
    public_key_sha256: str
    """Of the SubjectPublicKeyInfo, hexadecimal."""
    subject: x509.Name
    subject_alt_names: tuple[x509.GeneralName, ...]


def read_csr(csr_der: bytes, identifiers: Collection[Identifier]) -> RequestedCertificate:
    """Compare a CSR with an order; raises badCSR.

    The names of the CSR (dNSNames and common name) are exactly the order's. Of its subject only the common name is
    taken, for nothing else in it was proved; without one, the first of its names is taken (R-PLAT-146). The signature
    and the key are the core's to check.
    """
    try:
        csr = x509.load_der_x509_csr(csr_der)
        public_key_der = csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        alternatives = _alternative_names(csr)
        common_names = [str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad_csr("the CSR is not a PKCS #10 request in DER that this server can read") from error
    dns_names = [_dns_name(value) for value in (*alternatives, *common_names)]
    if frozenset(dns_names) != as_names(identifiers):
        raise _bad_csr("the names in the CSR are not exactly the identifiers of the order")
    wished = [_dns_name(value) for value in common_names] + dns_names
    return RequestedCertificate(
        csr_der=csr_der,
        public_key_sha256=hashlib.sha256(public_key_der).hexdigest(),
        subject=_subject(wished),
        subject_alt_names=tuple(x509.DNSName(name) for name in dict.fromkeys(dns_names)),
    )


def public_key_sha256(public_key_der: bytes) -> str:
    """The fingerprint of a SubjectPublicKeyInfo, as the certificates table holds it."""
    return hashlib.sha256(public_key_der).hexdigest()


def _alternative_names(csr: x509.CertificateSigningRequest) -> list[str]:
    try:
        extension = csr.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    names: list[str] = []
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    for name in extension.value:
        if not isinstance(name, x509.DNSName):
            raise _bad_csr("the CSR has a subjectAltName that is not a dNSName")
        names.append(name.value)
    return names


def _dns_name(value: str) -> str:
    base, is_wildcard = split_wildcard(value.lower())
    try:
        name = normalize_dns_name(base)
    except ValueError as error:
        raise _bad_csr(f"a name in the CSR is not a DNS name: {error}") from error
    return f"*.{name}" if is_wildcard else name


def _subject(names: Collection[str]) -> x509.Name:
    for name in names:
        if len(name) <= MAX_COMMON_NAME:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.Name([])


def _bad_csr(detail: str) -> ACMEError:
    return ACMEError(ErrorType.BAD_CSR, detail)
