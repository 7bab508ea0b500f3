"""What is said to and by the web service; the same in SOAP and JSON, where names are written ``likeThis``.

::

    -> ListDigitalIDs                                  <- DigitalIDList
    -> CreateChallenge     digital ID, variables       <- ChallengeCreated      the device then enrolls by SCEP
    -> IssuePKCS12         digital ID, variables       <- PKCS12Issued          with a key that was made here
    -> IssueCertificate    digital ID, variables, CSR  <- CertificateIssued
    -> GetCACertificates   digital ID                  <- CACertificates
    -> FindCertificates    of a user or device         <- CertificateList
    -> GetCertificate      CA, serial number           <- CertificateDescription
    -> RevokeCertificate, HoldCertificate, ReleaseCertificate               <- CertificateDescription
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from cspd.authority.values import Requester, RevocationReason
from cspd.digital_ids.rdn_format import MAX_VALUE
from cspd.digital_ids.values import Delivery
from cspd.keys.values import KeyType

PROTOCOL = "mdm"
"""In records and audit."""
MAX_BODY = 64 * 1024
MAX_VARIABLES = 64
"""Of an order; those that the format does not have do not count."""
MAX_NAMES = 16
MIN_PASSWORD = 8
MAX_PASSWORD = 128

_ON_THE_WIRE = ConfigDict(alias_generator=to_camel, extra="forbid", hide_input_in_errors=True)


def _octets(value: bytes | str) -> bytes:
    """JSON has base64 (RFC 4648, 4); SOAP has read it already."""
    return b64decode(value, validate=True) if isinstance(value, str) else value


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


Base64 = Annotated[
    bytes,
    BeforeValidator(_octets),
    PlainSerializer(_base64, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
DigitalIDName = Annotated[str, Field(max_length=64)]
Variables = Annotated[
    Mapping[
        Annotated[str, Field(min_length=1, max_length=64)],
        # A value that is too long is refused by the format, in its words, if it has the variable at all.
        Annotated[str, Field(max_length=4 * MAX_VALUE)],
    ],
    Field(max_length=MAX_VARIABLES),
]
CAName = Annotated[str, Field(max_length=64)]
SerialNumber = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{1,40}$")]


class Version(Enum):
    """Versions of the protocol that products speak (R-CEG-098); operations are the same in all of them."""

    V8 = "8"
    V9 = "9"
    V11 = "11"


class NameKind(Enum):
    """What a name in subjectAltName is."""

    EMAIL = "email"
    DNS = "dns"
    URI = "uri"
    IP = "ip"
    UPN = "upn"
    """A userPrincipalName of Active Directory."""


class State(Enum):
    """What a certificate is worth now."""

    GOOD = "good"
    HELD = "held"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternativeName:
    """One name of a certificate beside its subject."""

    __pydantic_config__ = _ON_THE_WIRE

    kind: NameKind
    value: Annotated[str, Field(max_length=1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDigitalIDs:
    """Asks for the digital IDs there are, and the variables that each needs."""

    __pydantic_config__ = _ON_THE_WIRE


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalIDDescription:
    """A digital ID."""

    __pydantic_config__ = _ON_THE_WIRE

    name: str
    ca: str
    profile: str
    rdn_format: str
    variables: tuple[str, ...]
    parent_dn: str
    """RFC 4514; empty for none."""
    allows_pkcs12: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalIDList:
    """All of them, in the order of conf."""

    __pydantic_config__ = _ON_THE_WIRE

    digital_ids: tuple[DigitalIDDescription, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateChallenge:
    """Orders a challenge that one device enrolls with once, by SCEP."""

    __pydantic_config__ = _ON_THE_WIRE

    digital_id: DigitalIDName
    variables: Variables
    subject_alt_names: Annotated[tuple[AlternativeName, ...], Field(max_length=MAX_NAMES)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeCreated:
    """What a device needs to enroll."""

    __pydantic_config__ = _ON_THE_WIRE

    challenge: str = field(repr=False)
    expires_at: datetime
    lifetime_seconds: int
    scep_url: str
    """Plain http: what devices of Apple need."""
    scep_https_url: str
    ca_fingerprint: str
    """SHA-256 of the CA's certificate, hexadecimal."""
    subject: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuePKCS12:
    """Orders a certificate with a key that the server makes, gives out and does not keep."""

    __pydantic_config__ = _ON_THE_WIRE

    digital_id: DigitalIDName
    variables: Variables
    subject_alt_names: Annotated[tuple[AlternativeName, ...], Field(max_length=MAX_NAMES)] = ()
    password: Annotated[str | None, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)] = field(
        default=None, repr=False
    )
    """One is made if there is none."""
    key_type: KeyType = KeyType.RSA_2048
    legacy_encryption: bool = False
    """3DES and SHA-1, for devices that read nothing better; only where conf allows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateDescription:
    """A certificate of a user or device."""

    __pydantic_config__ = _ON_THE_WIRE

    ca: str
    serial_number: str
    """Hexadecimal, lower case."""
    digital_id: str
    user_id: str
    delivery: Delivery
    subject: str
    not_before: datetime
    not_after: datetime
    state: State
    revocation_reason: RevocationReason | None = None
    revoked_at: datetime | None = None
    certificate: Base64
    """DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PKCS12Issued:
    """A key and its certificate."""

    __pydantic_config__ = _ON_THE_WIRE

    pkcs12: Base64 = field(repr=False)
    password: str = field(repr=False)
    certificate: CertificateDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCertificate:
    """Orders a certificate for a key that somebody else has made."""

    __pydantic_config__ = _ON_THE_WIRE

    digital_id: DigitalIDName
    variables: Variables
    subject_alt_names: Annotated[tuple[AlternativeName, ...], Field(max_length=MAX_NAMES)] = ()
    csr: Base64
    """PKCS#10, DER; its subject and subjectAltName do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssued:
    """A certificate and its chain."""

    __pydantic_config__ = _ON_THE_WIRE

    certificate: CertificateDescription
    chain: tuple[Base64, ...]
    """DER: the issuer first, the root last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCACertificates:
    """Asks for the CA of a digital ID and those above it."""

    __pydantic_config__ = _ON_THE_WIRE

    digital_id: DigitalIDName


@dataclass(frozen=True, slots=True, kw_only=True)
class CACertificates:
    """What devices have to trust."""

    __pydantic_config__ = _ON_THE_WIRE

    certificates: tuple[Base64, ...]
    """DER: the CA first, the root last."""
    ca_fingerprint: str
    """SHA-256 of the first, hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindCertificates:
    """Asks for what a user or device has: by its id, or by a digital ID and the variables of an order."""

    __pydantic_config__ = _ON_THE_WIRE

    user_id: Annotated[str | None, Field(pattern=r"^[0-9a-f]{32}$")] = None
    digital_id: DigitalIDName | None = None
    variables: Variables | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateList:
    """The certificates of a user or device, the latest first; 200 at most."""

    __pydantic_config__ = _ON_THE_WIRE

    user_id: str
    subject: str
    certificates: tuple[CertificateDescription, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetCertificate:
    """Asks for one certificate and its state."""

    __pydantic_config__ = _ON_THE_WIRE

    ca: CAName
    serial_number: SerialNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeCertificate:
    """Revokes a certificate for good."""

    __pydantic_config__ = _ON_THE_WIRE

    ca: CAName
    serial_number: SerialNumber
    reason: RevocationReason = RevocationReason.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCertificate:
    """Puts a certificate on hold: a device is lost and may be found again."""

    __pydantic_config__ = _ON_THE_WIRE

    ca: CAName
    serial_number: SerialNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCertificate:
    """Takes a certificate off hold."""

    __pydantic_config__ = _ON_THE_WIRE

    ca: CAName
    serial_number: SerialNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and for which tenant."""

    tenant: str
    user: str
    address: str = ""
    request_id: str = ""

    @property
    def requester(self) -> Requester:
        """The same, for records and audit."""
        return Requester(protocol=PROTOCOL, identity=self.user, address=self.address, request_id=self.request_id)


Order = CreateChallenge | IssuePKCS12 | IssueCertificate


@dataclass(frozen=True, slots=True)
class Operation:
    """A message that the web service takes, and its answer."""

    request: type
    answer: type

    @property
    def name(self) -> str:
        """On the wire."""
        return self.request.__name__


OPERATIONS: tuple[Operation, ...] = (
    Operation(ListDigitalIDs, DigitalIDList),
    Operation(CreateChallenge, ChallengeCreated),
    Operation(IssuePKCS12, PKCS12Issued),
    Operation(IssueCertificate, CertificateIssued),
    Operation(GetCACertificates, CACertificates),
    Operation(FindCertificates, CertificateList),
    Operation(GetCertificate, CertificateDescription),
    Operation(RevokeCertificate, CertificateDescription),
    Operation(HoldCertificate, CertificateDescription),
    Operation(ReleaseCertificate, CertificateDescription),
)
