"""What a directory knows, as values: accounts, groups, certificate templates, enrollment services, trusted CAs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, IntFlag
from uuid import UUID

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.security_descriptors import SecurityDescriptor


class AccountKind(Enum):
    """What an account stands for."""

    USER = "user"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user or a machine as its own domain describes it.

    Only accounts that may log on get here: neither disabled, nor locked, nor expired.
    """

    kind: AccountKind
    domain: str
    """DNS name, in lower case."""
    netbios_domain: str
    account_name: str
    """sAMAccountName; that of a machine ends with ``$``."""
    distinguished_name: str
    """As the directory writes it, the most specific part first (RFC 4514)."""
    common_name: str
    sid: str
    """objectSid, ``S-1-5-21-...``."""
    guid: UUID
    """objectGUID."""
    user_principal_name: str
    """userPrincipalName; ``account_name@domain`` for an account that has none ([MS-ADTS] 5.1.1.1.1)."""
    mail: str | None = None
    dns_host_name: str | None = None
    service_principal_names: tuple[str, ...] = ()
    group_sids: frozenset[str] = frozenset()
    """All groups that it is in, also through groups, Everyone and Authenticated Users among them; and its own SID."""

    def __str__(self) -> str:
        return f"{self.netbios_domain}\\{self.account_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A security group."""

    domain: str
    account_name: str
    distinguished_name: str
    sid: str


class NameFlag(IntFlag):
    """msPKI-Certificate-Name-Flag ([MS-CRTD] 2.28): where subject and subjectAltName come from."""

    ENROLLEE_SUPPLIES_SUBJECT = 0x1
    OLD_CERT_SUPPLIES_SUBJECT_AND_ALT_NAME = 0x8
    ENROLLEE_SUPPLIES_SUBJECT_ALT_NAME = 0x0001_0000
    SUBJECT_ALT_REQUIRE_DOMAIN_DNS = 0x0040_0000
    SUBJECT_ALT_REQUIRE_SPN = 0x0080_0000
    SUBJECT_ALT_REQUIRE_DIRECTORY_GUID = 0x0100_0000
    SUBJECT_ALT_REQUIRE_UPN = 0x0200_0000
    SUBJECT_ALT_REQUIRE_EMAIL = 0x0400_0000
    SUBJECT_ALT_REQUIRE_DNS = 0x0800_0000
    SUBJECT_REQUIRE_DNS_AS_CN = 0x1000_0000
    SUBJECT_REQUIRE_EMAIL = 0x2000_0000
    SUBJECT_REQUIRE_COMMON_NAME = 0x4000_0000
    SUBJECT_REQUIRE_DIRECTORY_PATH = 0x8000_0000


class EnrollmentFlag(IntFlag):
    """msPKI-Enrollment-Flag ([MS-CRTD] 2.26)."""

    INCLUDE_SYMMETRIC_ALGORITHMS = 0x1
    PEND_ALL_REQUESTS = 0x2
    PUBLISH_TO_DS = 0x8
    AUTO_ENROLLMENT = 0x20
    PREVIOUS_APPROVAL_VALIDATE_REENROLLMENT = 0x40
    USER_INTERACTION_REQUIRED = 0x100
    NO_SECURITY_EXTENSION = 0x0008_0000
    """The certificate has no SID in it, so that domain controllers do not accept it (AD CS "ESC9")."""


class PrivateKeyFlag(IntFlag):
    """msPKI-Private-Key-Flag ([MS-CRTD] 2.27), the ones that a CA acts on."""

    REQUIRE_PRIVATE_KEY_ARCHIVAL = 0x1
    EXPORTABLE_KEY = 0x10
    REQUIRE_ALTERNATE_SIGNATURE_ALGORITHM = 0x40
    REQUIRE_SAME_KEY_RENEWAL = 0x80
    ATTEST_PREFERRED = 0x1000
    ATTEST_REQUIRED = 0x2000


class GeneralFlag(IntFlag):
    """``flags`` of a template ([MS-CRTD] 2.4)."""

    AUTO_ENROLLMENT = 0x20
    MACHINE_TYPE = 0x40
    IS_CA = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTemplate:
    """A pKICertificateTemplate ([MS-CRTD])."""

    name: str
    """``cn``: what requests for templates of version 1 say, and what conf maps."""
    display_name: str
    oid: str
    """msPKI-Cert-Template-OID, dotted; empty for a template of version 1 that has none."""
    schema_version: int = 1
    major_revision: int = 0
    minor_revision: int = 0
    general_flags: GeneralFlag = field(default=GeneralFlag(0))
    name_flags: NameFlag = field(default=NameFlag(0))
    enrollment_flags: EnrollmentFlag = field(default=EnrollmentFlag(0))
    private_key_flags: PrivateKeyFlag = field(default=PrivateKeyFlag(0))
    private_key_bits: int = 0
    """msPKI-Private-Key-Flag whole, with the versions of client and server in it, for whoever passes it on."""
    ra_signatures: int = 0
    """How many others have to sign a request."""
    minimal_key_size: int = 0
    """Bits; 0: no minimum."""
    key_usage: frozenset[KeyUsageBit] = frozenset()
    extended_key_usage: tuple[str, ...] = ()
    application_policies: tuple[str, ...] = ()
    """Dotted; what a certificate has in place of ``extended_key_usage`` if there are any (version 2 and later)."""
    critical_extensions: tuple[str, ...] = ()
    validity: timedelta = timedelta(0)
    renewal_overlap: timedelta = timedelta(0)
    key_spec: int = 0
    """pKIDefaultKeySpec: 1 for exchange, 2 for signatures; 0: not said."""
    crypto_providers: tuple[str, ...] = ()
    """Names of pKIDefaultCSPs, the preferred first."""
    superseded_templates: tuple[str, ...] = ()
    """Names of the templates whose certificates those of this one replace."""
    key_algorithm: str = ""
    """``RSA``, ``ECDSA_P256``, ... as Windows names it (version 3 and later, [MS-CRTD] 2.23.2); empty: not said."""
    hash_algorithm: str = ""
    """``SHA256``, ...; empty: not said."""
    security: SecurityDescriptor = field(default=SecurityDescriptor(()), repr=False)

    @property
    def is_for_machines(self) -> bool:
        """Whether machines, not users, enroll by it."""
        return GeneralFlag.MACHINE_TYPE in self.general_flags


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentService:
    """A pKIEnrollmentService: what clients are told of a CA ([MS-WCCE] 2.2.2.11.2)."""

    name: str
    dns_host_name: str
    certificate_templates: frozenset[str]
    """Names (``cn``) of the templates that are enrolled there."""
    enrollment_servers: tuple[str, ...] = ()
    """msPKI-Enrollment-Servers as stored."""
    ca_certificates_der: tuple[bytes, ...] = field(default=(), repr=False)
    security: SecurityDescriptor = field(default=SecurityDescriptor(()), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedAuthorities:
    """Certificates of CAs that members of a forest take from the directory, DER, in no order."""

    logons: tuple[bytes, ...] | None = None
    """NTAuthCertificates: CAs whose certificates are logons; None where there is no such entry."""
    roots: tuple[bytes, ...] = ()
    """Certification Authorities: trusted roots."""
    chains: tuple[bytes, ...] = ()
    """AIA: what chains are built from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whom a Kerberos ticket is of; the ticket was accepted."""

    name: str
    """``alice@EXAMPLE.COM``, ``WS1$@EXAMPLE.COM``."""
    sid: str | None = None
    """From the ticket's PAC, if that says so (MS-PAC 2.10); surer than the name, which may be given to another."""

    @property
    def account(self) -> str:
        """What stands before the realm."""
        return self.name.rpartition("@")[0]

    @property
    def realm(self) -> str:
        """The realm: the DNS name of a domain, in upper case."""
        return self.name.rpartition("@")[2]
