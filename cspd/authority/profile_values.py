"""What a certificate profile says, as checked values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cspd.authority.durations import CalendarDuration
from cspd.authority.values import AuthorityKind
from cspd.keys.values import KeyType


class IssuerKind(Enum):
    """Which CAs sign under the profile."""

    SELF = "self"
    ROOT = "root"
    ROOT_OR_ISSUING = "root-or-issuing"
    ISSUING = "issuing"


class ProfileCategory(Enum):
    """Who may use the profile: authority templates serve the CA itself and are never offered (R-PRO-002)."""

    AUTHORITY = "authority"
    EXTERNAL_SUBORDINATE = "external-subordinate"
    SUBSCRIBER = "subscriber"


class KeyUsageBit(Enum):
    """A bit of KeyUsage (RFC 5280, 4.2.1.3), by its name there."""

    DIGITAL_SIGNATURE = "digitalSignature"
    NON_REPUDIATION = "nonRepudiation"
    KEY_ENCIPHERMENT = "keyEncipherment"
    DATA_ENCIPHERMENT = "dataEncipherment"
    KEY_AGREEMENT = "keyAgreement"
    KEY_CERT_SIGN = "keyCertSign"
    CRL_SIGN = "cRLSign"


class ExtendedKeyUsageMode(Enum):
    """Where the extended key usage comes from (R-PRO-010)."""

    FIXED = "fixed"
    """The profile's, whatever is asked."""
    REQUEST = "request"
    """The requested one, absent where none is requested."""
    ABSENT = "absent"
    """Never written."""


class Presence(Enum):
    """When an extension is written."""

    ALWAYS = "always"
    WHEN_OCSP_ENABLED = "when-ocsp-enabled"
    NEVER = "never"


class EmptySubject(Enum):
    """What becomes of a request whose subject is empty and that names the holder in subjectAltName."""

    KEEP = "keep"
    """Issue with an empty subject; subjectAltName is then critical (RFC 5280, 4.1.2.6)."""
    FIRST_DNS_NAME = "first-dns-name"
    """The first dNSName becomes the common name where it fits into 64 characters, otherwise as KEEP (R-PLAT-146)."""
    REFUSE = "refuse"


class IssuanceMode(Enum):
    """How a certificate of the profile comes about."""

    CSR = "csr"
    P12 = "p12"
    """The server makes an RSA 2048 key, hands it out as PKCS#12 and keeps none of it (R-PRO-015)."""
    INTERNAL = "internal"
    """Only the server itself asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """How long certificates last; all of it ends with the issuer's certificate."""

    default: CalendarDuration
    maximum: CalendarDuration | None = None
    """What an explicit end is held against; None: only the issuer's own end limits it."""
    request_may_choose: bool = True
    """False: a requested notBefore or notAfter is refused."""
    capped_by_issuer: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRules:
    """What the subject must hold; any attribute is allowed beside it."""

    required: tuple[str, ...] = ()
    """Attribute types, dotted."""
    when_empty: EmptySubject = EmptySubject.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectAltNameRules:
    """What subjectAltName must hold."""

    required: bool = False
    critical: bool = False
    """An empty subject makes it critical whatever stands here."""
    fill_from_common_name: bool = False
    """Common names that are dNSNames and not among the names yet are added (P-12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedKeyUsageRules:
    """The extended key usage; a requested one keeps its own criticality (P-8)."""

    mode: ExtendedKeyUsageMode = ExtendedKeyUsageMode.ABSENT
    values: tuple[str, ...] = ()
    """KeyPurposeIds, dotted; only with mode ``fixed``."""
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicConstraints:
    """Always written and always critical (R-PRO-013)."""

    ca: bool = False
    path_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRules:
    """Certificate policies that the profile itself writes."""

    fixed: tuple[str, ...] = ()
    """Policy identifiers, dotted."""
    critical: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionPresence:
    """When the extensions that come from the issuer are written; subjectKeyIdentifier always is."""

    authority_info_access: Presence = Presence.WHEN_OCSP_ENABLED
    authority_key_identifier: Presence = Presence.ALWAYS
    crl_distribution_points: Presence = Presence.ALWAYS
    ocsp_no_check: Presence = Presence.NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class LintException:
    """A finding of a certificate linter that the profile itself demands."""

    finding: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A certificate profile: everything about a certificate that the requester does not decide."""

    id: str
    group: str
    category: ProfileCategory
    description: str
    issuer: IssuerKind
    protocols: frozenset[str]
    """Which protocols it was written for; for people, not enforced (P-10)."""
    modes: frozenset[IssuanceMode]
    validity: Validity
    subject: SubjectRules
    subject_alt_name: SubjectAltNameRules
    key_usage: frozenset[KeyUsageBit]
    """Written critical and exactly so, whatever is asked (R-PRO-009)."""
    extended_key_usage: ExtendedKeyUsageRules
    basic_constraints: BasicConstraints
    certificate_policies: PolicyRules
    request_extensions: frozenset[str]
    """Dotted; what else a request asks for is dropped and logged (P-14)."""
    extensions: ExtensionPresence
    key_types: frozenset[KeyType]
    """What the subject's key may be (R-PRO-003)."""
    lint_exceptions: tuple[LintException, ...] = ()

    def may_be_enabled_on(self, kind: AuthorityKind) -> bool:
        """Whether a CA of that kind may offer it (R-PRO-002)."""
        if self.category is ProfileCategory.AUTHORITY or kind is AuthorityKind.EXTERNAL_ROOT:
            return False
        fitting = IssuerKind.ROOT if kind is AuthorityKind.ROOT else IssuerKind.ISSUING
        return self.issuer in (fitting, IssuerKind.ROOT_OR_ISSUING)
