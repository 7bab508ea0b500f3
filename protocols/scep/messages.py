"""What is said in the Simple Certificate Enrolment Protocol, in the words of RFC 8894.

``..._der`` is DER.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509.certificate_fields import fields_of
from cspd.x509.cms.values import SignedData, SignerInfo
from cspd.x509.csr import CertificationRequest


class MessageType(Enum):
    """RFC 8894, 3.2.1.2; values are the numbers that are sent as text."""

    CERT_REP = 3
    """The answer to each of the others."""
    RENEWAL_REQ = 17
    UPDATE_REQ = 18
    """draft-nourse-pkix-scep-23, where it renews a certificate of another CA; RFC 8894 has it no more."""
    PKCS_REQ = 19
    CERT_POLL = 20
    """GetCertInitial in the drafts."""
    GET_CERT = 21
    GET_CRL = 22

    @property
    def is_enrollment(self) -> bool:
        """Whether it carries a request for a certificate."""
        return self in (MessageType.PKCS_REQ, MessageType.RENEWAL_REQ, MessageType.UPDATE_REQ)


class PKIStatus(Enum):
    """RFC 8894, 3.2.1.3."""

    SUCCESS = 0
    FAILURE = 2
    PENDING = 3


class FailInfo(Enum):
    """RFC 8894, 3.2.1.4."""

    BAD_ALG = 0
    """Unrecognized or unsupported algorithm."""
    BAD_MESSAGE_CHECK = 1
    """Integrity check (signature verification of the CMS message) failed."""
    BAD_REQUEST = 2
    """Transaction not permitted or supported."""
    BAD_TIME = 3
    """The signing time is not close enough to the time here."""
    BAD_CERT_ID = 4
    """No certificate fits what was asked for."""


@dataclass(frozen=True, slots=True)
class IssuerAndSubject:
    """What a CertPoll asks for (RFC 8894, 3.3.3): Names."""

    issuer_der: bytes
    subject_der: bytes


@dataclass(frozen=True, slots=True)
class IssuerAndSerialNumber:
    """What a GetCert or GetCRL asks for (RFC 8894, 3.3.4 and 3.3.5; RFC 5652, 10.2.4)."""

    issuer_der: bytes
    serial_number: int


@dataclass(frozen=True, slots=True)
class PKCS10Request:
    """What a PKCSReq, RenewalReq or UpdateReq asks for (RFC 8894, 3.3.1)."""

    csr_der: bytes = field(repr=False)
    csr: CertificationRequest = field(compare=False)
    """``csr_der`` as it was read; its signature is verified."""


@dataclass(frozen=True, slots=True)
class CertsOnly:
    """What a CertRep gives: certificates, or a CRL (RFC 8894, 3.4)."""

    certificates_der: tuple[bytes, ...] = ()
    crls_der: tuple[bytes, ...] = ()


MessageData = PKCS10Request | IssuerAndSubject | IssuerAndSerialNumber | CertsOnly


@dataclass(frozen=True, slots=True, kw_only=True)
class PKIMessage:
    """A pkiMessage without its signature (RFC 8894, 3.2); ValueError for a combination that the RFC does not have."""

    message_type: MessageType
    transaction_id: str
    sender_nonce: bytes
    recipient_nonce: bytes | None = None
    """Echoes the senderNonce of the message that is answered."""
    pki_status: PKIStatus | None = None
    """Of a CertRep, and of nothing else."""
    fail_info: FailInfo | None = None
    """Of a failure, and of nothing else."""
    fail_info_text: str | None = None
    signing_time: datetime | None = None
    """UTC, in whole seconds."""
    pkcs_pki_envelope: bytes | None = field(default=None, repr=False)
    """A ContentInfo with EnvelopedData or AuthEnvelopedData, BER or DER; None with nothing to give."""

    def __post_init__(self) -> None:
        if (self.message_type is MessageType.CERT_REP) != (self.pki_status is not None):
            raise ValueError("a pkiStatus belongs to a CertRep and to nothing else")
        if (self.pki_status is PKIStatus.FAILURE) != (self.fail_info is not None):
            raise ValueError("a failInfo belongs to a failure and to nothing else")
        if self.fail_info_text is not None and self.fail_info is None:
            raise ValueError("a failInfoText without failInfo")
        # A GetCRL that is refused, a certificate that is pending: the envelope MUST be omitted (3.3.2.2, 3.3.2.3).
        if self.pki_status in (PKIStatus.FAILURE, PKIStatus.PENDING) and self.pkcs_pki_envelope is not None:
            raise ValueError("an envelope in an answer that gives nothing")
        if self.pki_status not in (PKIStatus.FAILURE, PKIStatus.PENDING) and self.pkcs_pki_envelope is None:
            raise ValueError("no pkcsPKIEnvelope")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A pkiMessage as it was read; :func:`protocols.scep.verification.verify` says whether it may be believed."""

    message: PKIMessage
    signer_info: SignerInfo
    signer_certificate: x509.Certificate
    """Self-signed for who has no certificate yet (RFC 8894, 2.3)."""
    signed_data: SignedData = field(repr=False)

    @property
    def is_self_signed(self) -> bool:
        """Whether the signer's certificate names itself as its issuer; who made it, only its key can tell."""
        fields = fields_of(self.signer_certificate.public_bytes(Encoding.DER))
        return fields.issuer == fields.subject
