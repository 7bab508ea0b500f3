"""Clients that prove who they are with a certificate: up to a trust anchor, and not revoked if it is one of ours.

That the client holds the private key was proved elsewhere: by TLS, or by the signature of its message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.authentication.values import Identity
from cspd.authority.interfaces import CertificateStore, Status
from cspd.authority.values import CertificateRecord, CertificateState, CertificateStatus
from cspd.refusals import Malformed, NotFound, Unauthorized
from cspd.x509.certificate_paths import UNREADABLE, PathError, find_path

_DER = Encoding.DER
METHOD = "certificate"
MAX_SENT = 16
"""Certificates that a client may send behind its own and have looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedClient:
    """A client with a certificate that counts."""

    identity: Identity
    certificate: x509.Certificate
    path: tuple[x509.Certificate, ...]
    """From the client's certificate to the trust anchor."""
    record: CertificateRecord | None
    """If one of our CAs issued it."""


class TrustAnchors:
    """The CAs whose clients are known."""

    def __init__(self, anchors: Sequence[x509.Certificate]) -> None:
        self._anchors = tuple(anchors)

    @classmethod
    def from_pem(cls, pem: bytes) -> TrustAnchors:
        """Those of a PEM file; raises Malformed if it has none, or others than certificates."""
        try:
            return cls(x509.load_pem_x509_certificates(pem))
        except UNREADABLE as error:
            raise Malformed("not a PEM file of certificates (-----BEGIN CERTIFICATE-----)") from error

    def path(
        self,
        certificate_der: bytes,
        sent_der: Sequence[bytes],
        at: datetime,
        usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> tuple[x509.Certificate, ...]:
        """From the client's certificate through those that it sent to an anchor, all valid at that time.

        An extendedKeyUsage, where there is one, has to allow ``usage``; None is for any.
        Raises Unauthorized, whose detail says what is lacking.
        """
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
            sent = [x509.load_der_x509_certificate(each) for each in sent_der[:MAX_SENT]]
            _check_usage(certificate, usage)
            return find_path(
                certificate,
                intermediates=sent,
                trust_anchors=self._anchors,
                at=at,
                usage=usage,
            )
        except (PathError, *UNREADABLE) as error:
            raise Unauthorized("the client's certificate is not trusted", detail=str(error)) from error


class ClientCertificates:
    """Says whom a certificate stands for."""

    def __init__(self, *, certificates: CertificateStore, status: Status) -> None:
        self._certificates = certificates
        self._status = status

    async def check(
        self,
        certificate_der: bytes,
        sent_der: Sequence[bytes],
        anchors: TrustAnchors,
        at: datetime,
        usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> CertifiedClient:
        """Check a client's certificate; ``sent_der`` are those that came with it, in any order.

        ``usage`` as in :meth:`TrustAnchors.path`.

        Raises Unauthorized for one that has no path to an anchor or is not for clients, or of which any of the path
        below the anchor was issued by us and is held or revoked; and Unavailable.
        """
        path = anchors.path(certificate_der, sent_der, at, usage)
        below_the_anchor = path[:-1] or path
        records = [await self.unrevoked(certificate.public_bytes(_DER)) for certificate in below_the_anchor]
        return CertifiedClient(
            identity=Identity(path[0].subject.rfc4514_string(), METHOD),
            certificate=path[0],
            path=path,
            record=records[0],
        )

    async def unrevoked(self, certificate_der: bytes) -> CertificateRecord | None:
        """The record of a certificate of ours, None for a stranger's; raises Unauthorized unless it is good."""
        try:
            record = await self._certificates.find_by_der(certificate_der)
        except NotFound:
            return None
        status = await self._status.status(record.authority_id, record.serial)
        if status is None or status.state is not CertificateState.GOOD:
            raise _revoked(record, status)
        return record


def require_good(record: CertificateRecord) -> None:
    """Raise Unauthorized unless a certificate of ours, just read from the store, is neither revoked nor held."""
    if record.status.state is not CertificateState.GOOD:
        raise _revoked(record, record.status)


def _revoked(record: CertificateRecord, status: CertificateStatus | None) -> Unauthorized:
    return Unauthorized("the client's certificate is revoked", detail=f"{record.subject}: {status}")


def _check_usage(certificate: x509.Certificate, usage: x509.ObjectIdentifier | None) -> None:
    """RFC 5280, 4.2.1.3 and 4.2.1.12: extensions that are there have to allow a client's signature."""
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage) and not value.digital_signature:
            raise PathError("the certificate is not for signatures, by its keyUsage")
        if (
            isinstance(value, x509.ExtendedKeyUsage)
            and usage is not None
            and not ({usage, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(value))
        ):
            raise PathError("the certificate is not for this use, by its extendedKeyUsage")
