"""What CMS messages hold (RFC 5652)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cspd.x509.signatures import Algorithm

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ENVELOPED_DATA = "1.2.840.113549.1.7.3"
AUTHENTICATED_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"

CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"


class CMSError(ValueError):
    """The bytes are not the CMS structure that was expected, or hold what may not be used."""


class UnknownCipher(CMSError):
    """The content is encrypted with a cipher that we do not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerInfo:
    """One signature (RFC 5652, 5.3)."""

    issuer_der: bytes | None
    """With ``serial_number`` names the certificate; None where ``subject_key_identifier`` does."""
    serial_number: int | None
    subject_key_identifier: bytes | None
    digest_algorithm: str
    """Dotted."""
    signature_algorithm: Algorithm
    signature: bytes = field(repr=False)
    signed_attributes_der: bytes | None
    """The SET OF that the signature is over, DER; None when it is over the content itself."""
    signed_attributes: Mapping[str, tuple[bytes, ...]]
    """The values of each, DER, by its object identifier."""
    unsigned_attributes: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedData:
    """Signed content (RFC 5652, 5.1)."""

    content_type: str
    """Dotted."""
    content: bytes | None = field(repr=False)
    """None where the content is elsewhere."""
    certificates_der: tuple[bytes, ...] = ()
    crls_der: tuple[bytes, ...] = ()
    signers: tuple[SignerInfo, ...] = ()
