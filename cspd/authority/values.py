"""The words of issuance: what protocols ask of the core and what they get."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from cryptography import x509

from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import Malformed


@dataclass(frozen=True, slots=True)
class CAReference:
    """A CA as URLs and conf name it: ``<organization>~<ca-id>`` (R-CA-061)."""

    organization: str
    ca_id: str

    def __str__(self) -> str:
        return f"{self.organization}~{self.ca_id}"

    @classmethod
    def parse(cls, text: str) -> CAReference:
        """Split the percent-decoded text; raises :class:`Malformed` unless it has exactly one ``~``."""
        organization, separator, ca_id = text.partition("~")
        if not separator or not organization or not ca_id or "~" in ca_id:
            raise Malformed("a CA reference has the form <organization>~<ca-id>")
        return cls(organization, ca_id)


class AuthorityKind(Enum):
    """``ca.md`` section 1."""

    ROOT = "root"
    EXTERNAL_ROOT = "external-root"
    ISSUING = "issuing"


class AuthorityState(Enum):
    """``ca.md`` section 6; ``expired`` is read off the certificate, not stored."""

    PENDING_CERTIFICATE = "pending-certificate"
    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"


class CertificateState(Enum):
    """State of an issued certificate; expiry is read off the certificate."""

    RESERVED = "reserved"
    """Recorded before signing; the signature has not been recorded (yet)."""
    GOOD = "good"
    HELD = "held"
    REVOKED = "revoked"


class RevocationReason(Enum):
    """CRLReason (RFC 5280, 5.3.1), by its name there."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    REMOVE_FROM_CRL = "removeFromCRL"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"

    @property
    def number(self) -> int:
        """The ENUMERATED value on the wire (7 is not used)."""
        return _REASON_NUMBERS[self]

    @classmethod
    def from_number(cls, number: int) -> RevocationReason:
        """The reason with that wire value; raises ValueError for 7 and anything above 10."""
        for reason, value in _REASON_NUMBERS.items():
            if value == number:
                return reason
        raise ValueError(f"no CRLReason {number}")


_REASON_NUMBERS = dict(zip(RevocationReason, (0, 1, 2, 3, 4, 5, 6, 8, 9, 10), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asked, for the audit trail and the certificate's record."""

    protocol: str
    """``acme``, ``est``, ``cspctl``, ..."""
    identity: str
    """What the protocol authenticated: an account URL, a subject, a user name."""
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedExtension:
    """An extension the client asks for, beside subjectAltName and keyUsage."""

    oid: str
    critical: bool
    value_der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentRequest:
    """Asks for one certificate. Exactly one of ``csr_der`` and ``public_key_der`` is given."""

    ca: CAReference
    profile: str
    requester: Requester
    csr_der: bytes | None = None
    """PKCS#10, DER; its signature is the proof of possession and is checked by the pipeline."""
    public_key_der: bytes | None = None
    """SubjectPublicKeyInfo, for protocols that proved possession themselves (CRMF, challenge, our own key)."""
    subject: x509.Name | None = None
    """Replaces the CSR's subject; None keeps it."""
    subject_alt_names: tuple[x509.GeneralName, ...] | None = None
    """Replaces the CSR's subjectAltName; None keeps it."""
    extensions: tuple[RequestedExtension, ...] | None = None
    """Replaces the CSR's other requested extensions; None keeps those."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    """An explicit end beyond the CA's own is refused, an absent one is capped (R-PRO-005)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate, durable in the store."""

    certificate_der: bytes
    chain_der: tuple[bytes, ...]
    """The issuer's certificate first, the root last."""
    serial: int
    not_before: datetime
    not_after: datetime
    names_as_asked: bool | None = field(default=None, compare=False)
    """Whether subject and subjectAltName are those of the request; None where that was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The request waits for a person or an upstream CA."""

    request_id: str
    retry_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRequest:
    """Asks to revoke (or hold, by its reason) one certificate."""

    ca: CAReference
    serial: int
    reason: RevocationReason
    requester: Requester
    invalidity_date: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """What the store knows about a serial number of one CA."""

    state: CertificateState
    revoked_at: datetime | None = None
    reason: RevocationReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """A certificate's state changed; durable when anybody hears of it."""

    authority_id: str
    serial: int
    status: CertificateStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCRL:
    """A CRL as it is served (RFC 5280, 5)."""

    authority_id: str
    key_index: int
    """Which key of the CA signed it; see :attr:`Authority.key_index`."""
    is_delta: bool
    number: int
    base_number: int | None
    this_update: datetime
    next_update: datetime
    status_sequence: int
    """No row of ``status_changes`` up to this one is missing; some above it may be contained."""
    entries: int
    crl_der: bytes = field(repr=False)
    entity_tag: str
    """Hexadecimal SHA-256 of the DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA as the services see it: its row and its current certificate, parsed once."""

    id: str
    """32 hexadecimal digits; the key of everything the CA owns."""
    reference: CAReference
    kind: AuthorityKind
    state: AuthorityState
    subject: x509.Name
    key_type: KeyType | None
    key: KeyReference | None
    """The current signing key; None for an external root."""
    certificate_id: str | None
    certificate: x509.Certificate | None
    """None while ``pending-certificate``."""
    certificate_der: bytes | None
    chain_der: tuple[bytes, ...]
    """The issuers of ``certificate``, nearest first, root last; empty for a root."""
    issuer_id: str | None
    ocsp_enabled: bool
    ocsp_key_type: KeyType | None
    crl_days: int | None
    delta_crl_hours: int | None
    profiles: frozenset[str]
    administrators: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()
    record_before_signing: bool = False
    created_at: datetime | None = None
    key_index: int = 0
    """0 for the first key, 1 after the first re-key, ...; it names the CRL of the certificates this key signs."""
    previous: tuple[CACertificate, ...] = field(default=())
    """Earlier CA certificates (renewal, re-key), newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CACertificate:
    """One certificate that a CA has or had."""

    id: str
    certificate_der: bytes
    key: KeyReference | None
    not_before: datetime
    not_after: datetime
    key_index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """An issued certificate as stored."""

    authority_id: str
    serial: int
    certificate_der: bytes | None
    issuer_certificate_id: str
    profile: str
    subject: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    protocol: str
    requester: str
    status: CertificateStatus
