"""The certificates of a CA as people download them (R-CA-045), and those above an issued certificate."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from cspd.authority.interfaces import Authorities
from cspd.authority.values import Authority, CertificateRecord, Issued
from cspd.refusals import Conflict, NotFound


def chain_pem(authority: Authority) -> bytes:
    """The CA's certificate and its issuers, PEM, root last; raises Conflict while it has no certificate."""
    if authority.certificate_der is None:
        raise Conflict(f"{authority.reference} has no certificate yet")
    return pem_of((authority.certificate_der, *authority.chain_der))


def issuers_of(authority: Authority, record: CertificateRecord) -> tuple[bytes, ...]:
    """The CA certificate that signed it and those above, DER, root last; raises NotFound for a CA without one."""
    for previous in authority.previous:
        if previous.id == record.issuer_certificate_id:
            return (previous.certificate_der, *authority.chain_der)
    if authority.certificate_der is None:
        raise NotFound("the CA has no certificate")
    return (authority.certificate_der, *authority.chain_der)


def issued_of(authority: Authority, record: CertificateRecord) -> Issued:
    """What issuance gave for a certificate that is kept whole; raises NotFound for a CA without a certificate."""
    assert record.certificate_der is not None
    return Issued(
        certificate_der=record.certificate_der,
        chain_der=issuers_of(authority, record),
        serial=record.serial,
        not_before=record.not_before,
        not_after=record.not_after,
    )


async def root_of(authorities: Authorities, authority: Authority) -> Authority:
    """The root that a CA is under, as it is now; a root itself."""
    return authority if authority.issuer_id is None else await authorities.by_id(authority.issuer_id)


def pem_of(certificates_der: Iterable[bytes]) -> bytes:
    """Certificates in PEM (RFC 7468, 5.1), one after the other."""
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + _lines(base64.b64encode(der)) + b"-----END CERTIFICATE-----\n"
        for der in certificates_der
    )


def _lines(text: bytes) -> bytes:
    return b"".join(text[start : start + 64] + b"\n" for start in range(0, len(text), 64))
