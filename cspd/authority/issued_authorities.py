"""CA certificates among what their root issued, so that its CRL and OCSP answer for them (R-CA-052)."""

from __future__ import annotations

from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, update

from cspd.authority.certification import SUBORDINATE_PROFILE, PreparedCertificate
from cspd.authority.values import Authority, CertificateState, Requester
from cspd.refusals import Unavailable
from cspd.store.tables import certificates


def reserve(connection: Connection, root: Authority, prepared: PreparedCertificate, requester: Requester) -> None:
    """Record that a signature is about to be made (``record_before_signing``)."""
    connection.execute(
        certificates.insert().values(
            authority_id=root.id,
            serial=prepared.serial,
            certificate_der=None,
            issuer_certificate_id=root.certificate_id,
            profile=SUBORDINATE_PROFILE,
            subject=prepared.subject.rfc4514_string(),
            names="",
            public_key_sha256=sha256(
                prepared.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ).hexdigest(),
            not_before=prepared.not_before,
            not_after=prepared.not_after,
            issued_at=prepared.not_before,
            protocol=requester.protocol,
            requester=requester.identity,
            state=CertificateState.RESERVED.value,
        )
    )


def record(
    connection: Connection,
    root: Authority,
    prepared: PreparedCertificate,
    certificate: x509.Certificate,
    requester: Requester,
) -> None:
    """Record the certificate, reserved before or not."""
    if not root.record_before_signing:
        reserve(connection, root, prepared, requester)
    changed = connection.execute(
        update(certificates)
        .where(
            certificates.c.authority_id == root.id,
            certificates.c.serial == prepared.serial,
            certificates.c.state == CertificateState.RESERVED.value,
        )
        .values(certificate_der=certificate.public_bytes(Encoding.DER), state=CertificateState.GOOD.value)
    )
    if changed.rowcount != 1:
        raise Unavailable("the record made before signing is gone")
