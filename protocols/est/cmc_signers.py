"""Who signed a full PKI request (RFC 5272, 3.2.1 and 6.2): a certificate of ours, or a key that asks for one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.interfaces import CertificateStore
from cspd.authority.values import Authority, CertificateRecord, CertificateState
from cspd.clock import Clock
from cspd.refusals import NotFound
from cspd.x509.cmc.messages import CMCFailInfo
from cspd.x509.cms.signed import certificates_of, find_certificate, verify_signer
from cspd.x509.cms.values import CMSError, SignedData, SignerInfo
from cspd.x509.identifiers import key_identifier_of
from cspd.x509.public_keys import PublicKeyError, load_public_key
from protocols.est.cmc_errors import CMCFailure


@dataclass(frozen=True, slots=True)
class VerifiedSigner:
    """Whose signature a message has; it has been verified."""

    public_key_der: bytes
    """SubjectPublicKeyInfo."""
    certificate: x509.Certificate | None = None
    """Issued by the CA, valid and not revoked; None for a key that asks for its first certificate."""
    record: CertificateRecord | None = None


class Signers:
    """Verifies signatures of full PKI requests to CAs whose certificates ``certificates`` has."""

    def __init__(self, clock: Clock, certificates: CertificateStore) -> None:
        self._clock = clock
        self._certificates = certificates

    async def verify(
        self, signed_data: SignedData, authority: Authority, requested_keys: Iterable[bytes]
    ) -> VerifiedSigner:
        """Verify the one signature of a message; ``requested_keys`` are the SubjectPublicKeyInfos that it may be by.

        Raises :class:`CMCFailure`: ``badMessageCheck`` for a signature that does not fit or by nobody we know,
        ``badIdentity`` for a certificate that is not valid now, ``badRequest`` unless there is one signature.
        """
        if len(signed_data.signers) != 1:
            raise CMCFailure(CMCFailInfo.BAD_REQUEST, "a full PKI request has one signature")
        signer = signed_data.signers[0]
        record = await self._find(signed_data, signer, authority)
        if record is None or record.certificate_der is None:
            return VerifiedSigner(_verify_by_requested_key(signed_data, signer, requested_keys))
        certificate = x509.load_der_x509_certificate(record.certificate_der)
        _verify(signed_data, signer, certificate.public_key())
        if record.status.state is not CertificateState.GOOD:
            raise CMCFailure(CMCFailInfo.BAD_IDENTITY, "the signer's certificate is revoked")
        if not record.not_before <= self._clock.now() <= record.not_after:
            raise CMCFailure(CMCFailInfo.BAD_IDENTITY, "the signer's certificate is not valid now")
        public_key_der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return VerifiedSigner(public_key_der, certificate, record)

    async def _find(
        self, signed_data: SignedData, signer: SignerInfo, authority: Authority
    ) -> CertificateRecord | None:
        """The signer's certificate if this CA issued it: the one in the message, or the one with that number."""
        try:
            try:
                certificate = find_certificate(signer, certificates_of(signed_data))
            except CMSError:
                if signer.serial_number is None or signer.issuer_der != authority.subject.public_bytes():
                    return None
                return await self._certificates.find(authority.id, signer.serial_number)
            record = await self._certificates.find_by_der(certificate.public_bytes(Encoding.DER))
        except NotFound:
            return None
        return record if record.authority_id == authority.id else None


def _verify_by_requested_key(signed_data: SignedData, signer: SignerInfo, requested_keys: Iterable[bytes]) -> bytes:
    """The key, of those that ask for a certificate, that the signer's identifier names; of one key, that one.

    (Clients make the identifier by SHA-1 or SHA-256, or take any that they put into an extension of the request.)
    """
    keys = list(dict.fromkeys(requested_keys))
    if len(keys) > 1:
        keys = [key for key in keys if signer.subject_key_identifier in _key_identifiers(key)]
    if len(keys) != 1:
        raise CMCFailure(CMCFailInfo.BAD_MESSAGE_CHECK, "the signer is not known")
    try:
        public_key = load_public_key(keys[0])
    except PublicKeyError as error:
        raise CMCFailure(CMCFailInfo.BAD_ALG, str(error)) from error
    _verify(signed_data, signer, public_key)
    return keys[0]


def _key_identifiers(public_key_der: bytes) -> tuple[bytes, ...]:
    try:
        public_key = load_public_key(public_key_der)
    except PublicKeyError:
        return ()
    of_sha1 = x509.SubjectKeyIdentifier.from_public_key(public_key).digest  # type: ignore[arg-type]  # any key will do
    return of_sha1, key_identifier_of(public_key_der)


def _verify(signed_data: SignedData, signer: SignerInfo, public_key: object) -> None:
    try:
        verify_signer(signer, public_key, content_type=signed_data.content_type, content=signed_data.content or b"")
    except CMSError as error:
        raise CMCFailure(CMCFailInfo.BAD_MESSAGE_CHECK, f"the signature does not fit: {error}") from error
