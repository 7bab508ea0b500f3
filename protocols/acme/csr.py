"""The CSR of a finalize: does it ask for the order, the whole order, and nothing else? (RFC 8555, 7.4)"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.x509.csr import CertificationRequest, CSRError, parse_csr
from cspd.x509.public_keys import PublicKeyError
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

    The CSR is signed by its key, and its names (dNSNames and common name) are exactly the order's. Of its subject only
    the common name is taken, for nothing else in it was proved; without one, the first of its names is taken
    (R-PLAT-146). Whether the key is good enough is the core's to say.
    """
    try:
        csr = parse_csr(csr_der)
    except (CSRError, PublicKeyError) as error:
        raise _bad_csr(f"the CSR cannot be used: {error}") from error
    common_names = [_dns_name(str(value.value)) for value in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    names = tuple(dict.fromkeys((*_alternative_names(csr), *common_names)))
    if frozenset(names) != as_names(identifiers):
        raise _bad_csr("the names in the CSR are not exactly the identifiers of the order")
    return RequestedCertificate(
        csr_der=csr_der,
        public_key_sha256=public_key_sha256(csr.public_key_der),
        subject=_subject((*common_names, *names)),
        subject_alt_names=tuple(x509.DNSName(name) for name in names),
    )


def public_key_sha256(public_key_der: bytes) -> str:
    """The fingerprint of a SubjectPublicKeyInfo, as the certificates table holds it."""
    return hashlib.sha256(public_key_der).hexdigest()


def _alternative_names(csr: CertificationRequest) -> list[str]:
    names: list[str] = []
    for name in csr.subject_alt_names:
        if not isinstance(name, x509.DNSName):
            raise _bad_csr("the CSR has a subjectAltName that is not a dNSName")
        names.append(_dns_name(name.value))
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
