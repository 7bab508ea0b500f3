"""Certificate requests as CMP and CMC carry them, in the words of RFC 4211.

What belongs to another syntax stays DER and is named so: an EnvelopedData (RFC 5652), an EncryptedValue, a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from cryptography import x509

from cspd.x509.signatures import Algorithm


class CRMFError(ValueError):
    """The bytes are not the DER of a certificate request message, or more than the limits allow."""


@dataclass(frozen=True, slots=True)
class AttributeTypeAndValue:
    """A control or registration information that this package does not know (RFC 4211, 3)."""

    type: str
    """Dotted."""
    value_der: bytes


@dataclass(frozen=True, slots=True)
class OptionalValidity:
    """The validity that is asked for (RFC 4211, 5); at least one of them, both aware UTC."""

    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of the certificate (RFC 5280, 4.1)."""

    extn_id: str
    """Dotted."""
    critical: bool
    extn_value: bytes
    """What the OCTET STRING holds, DER by its definition; not read here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertTemplate:
    """What is known of the certificate; to ask for one, to name one (RFC 4211, 5)."""

    version: int | None = None
    """2 is v3."""
    serial_number: int | None = None
    signing_alg: Algorithm | None = None
    issuer: x509.Name | None = None
    validity: OptionalValidity | None = None
    subject: x509.Name | None = None
    """A name without attributes is another thing than none."""
    public_key_der: bytes | None = None
    """SubjectPublicKeyInfo; its BIT STRING may be empty, where the server is asked to make the key."""
    issuer_uid: bytes | None = None
    """Contents of the BIT STRING, its first octet the number of unused bits."""
    subject_uid: bytes | None = None
    extensions: tuple[Extension, ...] | None = None


@dataclass(frozen=True, slots=True)
class CertId:
    """Names a certificate (RFC 4211, 6.5)."""

    issuer: x509.GeneralName
    serial_number: int


@dataclass(frozen=True, slots=True)
class RegToken:
    """A one-time secret that lets the client in (RFC 4211, 6.1)."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A long-term secret of the client (RFC 4211, 6.2)."""

    authenticator: str = field(repr=False)


class PublicationAction(IntEnum):
    """``action`` of PKIPublicationInfo."""

    DONT_PUBLISH = 0
    PLEASE_PUBLISH = 1


class PublicationMethod(IntEnum):
    """``pubMethod`` of SinglePubInfo."""

    DONT_CARE = 0
    X500 = 1
    WEB = 2
    LDAP = 3


@dataclass(frozen=True, slots=True)
class SinglePubInfo:
    """One place where to publish (RFC 4211, 6.3)."""

    pub_method: PublicationMethod
    pub_location: x509.GeneralName | None = None


@dataclass(frozen=True, slots=True)
class PKIPublicationInfo:
    """Whether and where to publish the certificate (RFC 4211, 6.3)."""

    action: PublicationAction
    pub_infos: tuple[SinglePubInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class EncryptedKey:
    """A private key in an EnvelopedData, or in the EncryptedValue of old (RFC 4211, 2.2 and 6.4)."""

    der: bytes = field(repr=False)
    """The SEQUENCE, without the tag of the choice."""
    is_enveloped_data: bool = True


@dataclass(frozen=True, slots=True)
class KeyGenParameters:
    """Lets the private key be archived as what it is made of again (RFC 4211, 6.4)."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PKIArchiveOptions:
    """Whether the private key is to be archived, and the key (RFC 4211, 6.4)."""

    option: EncryptedKey | KeyGenParameters | bool
    """A bool is archiveRemGenPrivKey: whether a key that the server makes is to be archived."""


@dataclass(frozen=True, slots=True)
class OldCertID:
    """The certificate that the asked one is to replace (RFC 4211, 6.5)."""

    cert_id: CertId


@dataclass(frozen=True, slots=True)
class ProtocolEncrKey:
    """The key that the answer is to be encrypted for (RFC 4211, 6.6)."""

    public_key_der: bytes
    """SubjectPublicKeyInfo."""


Control = (
    RegToken
    | Authenticator
    | PKIPublicationInfo
    | PKIArchiveOptions
    | OldCertID
    | ProtocolEncrKey
    | AttributeTypeAndValue
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertRequest:
    """Asks for a certificate (RFC 4211, 5)."""

    cert_req_id: int
    cert_template: CertTemplate
    controls: tuple[Control, ...] = ()
    encoded: bytes = field(default=b"", repr=False, compare=False)
    """What was read, tag and length included; a proof of possession signs these octets. Empty if nothing was read."""


@dataclass(frozen=True, slots=True)
class PKMACValue:
    """A MAC by a shared secret (RFC 4211, 4.4)."""

    algorithm: Algorithm
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class POPOSigningKeyInput:
    """What is signed where the template lacks subject or key (RFC 4211, 4.1)."""

    auth_info: x509.GeneralName | PKMACValue
    """The authenticated ``sender``, or ``publicKeyMAC``."""
    public_key_der: bytes
    encoded: bytes = field(default=b"", repr=False, compare=False)
    """As it is signed: a SEQUENCE with its universal tag. Empty if nothing was read."""


@dataclass(frozen=True, slots=True)
class RAVerified:
    """An RA has checked the possession of the key (RFC 4211, 4)."""


@dataclass(frozen=True, slots=True)
class POPOSigningKey:
    """A signature by the key (RFC 4211, 4.1)."""

    poposk_input: POPOSigningKeyInput | None
    algorithm: Algorithm
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ThisMessage:
    """The private key, encrypted; deprecated (RFC 4211, 4.2)."""

    octets: bytes = field(repr=False)


class SubsequentMessage(IntEnum):
    """How the key is proved later (RFC 4211, 4.2)."""

    ENCR_CERT = 0
    CHALLENGE_RESP = 1


@dataclass(frozen=True, slots=True)
class DHMAC:
    """A MAC by the shared Diffie-Hellman value; deprecated (RFC 4211, 4.3)."""

    octets: bytes = field(repr=False)


POPOPrivKey = ThisMessage | SubsequentMessage | DHMAC | PKMACValue | EncryptedKey


@dataclass(frozen=True, slots=True)
class KeyEncipherment:
    """A proof for a key that deciphers keys (RFC 4211, 4.2)."""

    private_key: POPOPrivKey


@dataclass(frozen=True, slots=True)
class KeyAgreement:
    """A proof for a key that agrees on keys (RFC 4211, 4.3)."""

    private_key: POPOPrivKey


ProofOfPossession = RAVerified | POPOSigningKey | KeyEncipherment | KeyAgreement


@dataclass(frozen=True, slots=True, kw_only=True)
class CertReqMsg:
    """A request with its proof (RFC 4211, 3)."""

    cert_req: CertRequest
    popo: ProofOfPossession | None = None
    """None where the server makes the key."""
    reg_info: tuple[AttributeTypeAndValue, ...] = ()


CertReqMessages = tuple[CertReqMsg, ...]
