"""CA certificates among what their root issued, so that its CRL and OCSP answer for them (R-CA-052)."""

from __future__ import annotations

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from cspd.authority.certificates import complete_reserved, insert_certificate
from cspd.authority.certification import SUBORDINATE_PROFILE, PreparedCertificate
from cspd.authority.values import Authority, CertificateRecord, CertificateState, CertificateStatus, Requester
from cspd.x509.names import format_name


def reserve(
    connection: Connection,
    root: Authority,
    prepared: PreparedCertificate,
    requester: Requester,
    *,
    profile: str = SUBORDINATE_PROFILE,
) -> None:
    """Record that a signature is about to be made (``record_before_signing``); the caller commits."""
    _insert(connection, root, prepared, None, requester, profile)


def record(
    connection: Connection,
    root: Authority,
    prepared: PreparedCertificate,
    certificate: x509.Certificate,
    requester: Requester,
    *,
    profile: str = SUBORDINATE_PROFILE,
) -> None:
    """Record the certificate, reserved before or not; the caller commits."""
    certificate_der = certificate.public_bytes(Encoding.DER)
    if root.record_before_signing:
        complete_reserved(connection, root.id, prepared.serial, certificate_der)
    else:
        _insert(connection, root, prepared, certificate_der, requester, profile)


def _insert(
    connection: Connection,
    root: Authority,
    prepared: PreparedCertificate,
    certificate_der: bytes | None,
    requester: Requester,
    profile: str,
) -> None:
    assert root.certificate_id is not None
    public_key_der = prepared.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    state = CertificateState.RESERVED if certificate_der is None else CertificateState.GOOD
    issued = CertificateRecord(
        authority_id=root.id,
        serial=prepared.serial,
        certificate_der=certificate_der,
        issuer_certificate_id=root.certificate_id,
        profile=profile,
        subject=format_name(prepared.subject),
        names=(),
        not_before=prepared.not_before,
        not_after=prepared.not_after,
        issued_at=prepared.not_before,
        protocol=requester.protocol,
        requester=requester.identity,
        status=CertificateStatus(state=state),
    )
    insert_certificate(connection, issued, public_key_sha256=sha256(public_key_der).hexdigest())
