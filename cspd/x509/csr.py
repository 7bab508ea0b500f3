"""PKCS#10 certification requests (RFC 2986): bytes to a checked value."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from asn1crypto.csr import CertificationRequestInfo
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.extensions import MAX_EXTENSIONS
from cspd.x509.public_keys import PublicKeyError
from cspd.x509.signatures import SignatureError, read_algorithm, verify_signature

MAX_CSR = 32 * 1024
"""Octets; an ML-DSA-87 request has 7.5 thousand and its names beside it."""
MAX_NAMES = 250
"""Values of subjectAltName, and attributes of the subject."""

CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"  # noqa: S105  # an object identifier
OTP_CHALLENGE = "1.2.840.113549.1.9.16.2.56"
EST_IDENTITY_LINKING = "1.2.840.113549.1.9.16.2.58"

_ATTRIBUTES = 0xA0
_SUBJECT_ALT_NAME = x509.SubjectAlternativeName.oid
_EXTENSION_REQUESTS = ("1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14")
# What the library raises for requests that are none; TypeError for a BIT STRING in a name.
_UNREADABLE = (
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)


class CSRError(ValueError):
    """The bytes are not a certification request."""


class CSRSignatureError(CSRError):
    """The request is not signed by the key it names: no proof of possession."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificationRequest:
    """What a client asks for; its signature has been verified."""

    subject: x509.Name
    public_key: CertificatePublicKeyTypes
    public_key_der: bytes
    """SubjectPublicKeyInfo."""
    subject_alt_names: tuple[x509.GeneralName, ...] = ()
    extensions: tuple[x509.Extension[x509.ExtensionType], ...] = ()
    """The other requested extensions, keyUsage and extendedKeyUsage among them."""
    challenge_password: str | None = field(default=None, repr=False)
    """RFC 2985, 5.4.1."""
    otp_challenge: str | None = field(default=None, repr=False)
    """A one-time password (RFC 7894, 3.1)."""
    est_identity_linking: str | None = field(default=None, repr=False)
    """What ties the request to a TLS connection (RFC 7894, 3.3)."""
    attribute_types: frozenset[str] = frozenset()
    """The object identifiers of its attributes, dotted."""
    is_signed_with_sha1: bool = False
    """As proof of possession that is as good as any (:func:`_is_sha1_signature_valid`); some do not want it even so."""


def parse_csr(csr_der: bytes, *, check_signature: bool = True) -> CertificationRequest:
    """Read a request and verify its signature.

    ``check_signature`` is False only where the key of the request is not the one to be certified (RFC 7030, 4.4.1).

    Extensions are taken from extensionRequest (RFC 2985, 5.4.2) or Microsoft's attribute 1.3.6.1.4.1.311.2.1.14, which
    has the same value; a request with two of them, or one with two values, is refused, for two readers might take
    different ones. Attributes that we do not know are ignored, as RFC 2986, 4.1 leaves to the CA.

    Raises :class:`CSRError` for anything that is not a request in DER, :class:`CSRSignatureError` for a signature that
    does not fit, and :class:`cspd.x509.public_keys.PublicKeyError` for a key that cannot be read.
    """
    if len(csr_der) > MAX_CSR:
        raise CSRError(f"more than {MAX_CSR} octets")
    try:
        csr, signed_der = _load(csr_der)
        with warnings.catch_warnings():
            # The library warns of attributes that are longer than RFC 5280 allows; policy refuses them by name.
            warnings.simplefilter("ignore")
            subject = csr.subject
            extensions = tuple(csr.extensions)
    except _UNREADABLE as error:
        raise CSRError(f"not a certification request: {error}") from error
    _check_limits(subject, extensions)
    attributes = _attributes(csr)
    attribute_types = tuple(_attribute_types(csr, attributes))
    if sum(each in _EXTENSION_REQUESTS for each in attribute_types) > 1:
        raise CSRError("more than one extensionRequest")
    public_key = _public_key(csr)
    if check_signature:
        _check_signature(csr, signed_der)
    names, others = _split(extensions)
    return CertificationRequest(
        subject=subject,
        public_key=public_key,
        public_key_der=public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        subject_alt_names=names,
        extensions=others,
        challenge_password=_text_of(attributes, CHALLENGE_PASSWORD),
        otp_challenge=_text_of(attributes, OTP_CHALLENGE),
        est_identity_linking=_text_of(attributes, EST_IDENTITY_LINKING),
        attribute_types=frozenset(attribute_types),
        is_signed_with_sha1=_is_sha1(csr),
    )


def _load(csr_der: bytes) -> tuple[x509.CertificateSigningRequest, bytes]:
    """The request, and the CertificationRequestInfo that its signature is over, as it was sent.

    The attributes are a SET OF, which DER orders. ``pki --req`` and ``pki --scep`` of strongSwan (5.9.8) send them as
    they come; the library refuses that, and reads a copy in order.
    """
    try:
        csr = x509.load_der_x509_csr(csr_der)
    except ValueError:
        ordered_der, signed_der = _ordered(csr_der)
        if ordered_der == csr_der:
            raise
        return x509.load_der_x509_csr(ordered_der), signed_der
    return csr, csr.tbs_certrequest_bytes


def _ordered(csr_der: bytes) -> tuple[bytes, bytes]:
    """The request with its attributes in order, and the CertificationRequestInfo without; raises DERError."""
    whole = Cursor.over(csr_der)
    request = whole.enter(tlv.SEQUENCE)
    whole.finish()
    signed_der, signature_der = request.element(), request.rest()
    info = Cursor.over(signed_der).enter(tlv.SEQUENCE)
    fields = [info.element() for _ in range(3)]  # version, subject, subjectPKInfo
    attributes = sorted(info.enter(_ATTRIBUTES).elements())
    return tlv.sequence(
        tlv.sequence(*fields, tlv.element(_ATTRIBUTES, b"".join(attributes))), signature_der
    ), signed_der


def _check_limits(subject: x509.Name, extensions: tuple[x509.Extension[x509.ExtensionType], ...]) -> None:
    if len(extensions) > MAX_EXTENSIONS:
        raise CSRError(f"more than {MAX_EXTENSIONS} extensions")
    if len(list(subject)) > MAX_NAMES:
        raise CSRError(f"more than {MAX_NAMES} attributes in the subject")


def _split(
    extensions: tuple[x509.Extension[x509.ExtensionType], ...],
) -> tuple[tuple[x509.GeneralName, ...], tuple[x509.Extension[x509.ExtensionType], ...]]:
    """The values of subjectAltName, and the other extensions."""
    for number, extension in enumerate(extensions):
        if extension.oid == _SUBJECT_ALT_NAME:
            names = tuple(cast(x509.SubjectAlternativeName, extension.value))
            if len(names) > MAX_NAMES:
                raise CSRError(f"more than {MAX_NAMES} names")
            return names, extensions[:number] + extensions[number + 1 :]
    return (), extensions


def _public_key(csr: x509.CertificateSigningRequest) -> CertificatePublicKeyTypes:
    try:
        return csr.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PublicKeyError(f"the request's public key cannot be used: {error}") from error


def _check_signature(csr: x509.CertificateSigningRequest, signed_der: bytes) -> None:
    if signed_der != csr.tbs_certrequest_bytes:
        _check_signature_over(csr, signed_der)
        return
    try:
        valid = _is_sha1_signature_valid(csr) if _is_sha1(csr) else csr.is_signature_valid
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CSRSignatureError(f"the request's signature cannot be verified: {error}") from error
    if not valid:
        raise CSRSignatureError("the request is not signed by the key it names")


def _check_signature_over(csr: x509.CertificateSigningRequest, signed_der: bytes) -> None:
    """As the library checks it, over octets that are not what it read; SHA-1 as below."""
    request = Cursor.over(csr.public_bytes(Encoding.DER)).enter(tlv.SEQUENCE)
    request.element()
    try:
        # The library does not look into the parameters of an algorithm that it does not know.
        algorithm = read_algorithm(request.element())
        verify_signature(csr.public_key(), algorithm, csr.signature, signed_der, allow_sha1=True)
    except (SignatureError, tlv.DERError) as error:
        raise CSRSignatureError(f"the request is not signed by the key it names: {error}") from error


def _is_sha1(csr: x509.CertificateSigningRequest) -> bool:
    return isinstance(csr.signature_hash_algorithm, hashes.SHA1)


def _is_sha1_signature_valid(csr: x509.CertificateSigningRequest) -> bool:
    """Routers and printers of the SCEP era sign with SHA-1, which the library's own check refuses.

    A proof of possession does not suffer from collisions: whoever can sign two requests holds the key. (MD5 stays
    refused: nothing sold in this century needs it.)
    """
    public_key = csr.public_key()
    sha1 = hashes.SHA1()  # noqa: S303  # see above
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(csr.signature, csr.tbs_certrequest_bytes, padding.PKCS1v15(), sha1)
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(csr.signature, csr.tbs_certrequest_bytes, ec.ECDSA(sha1))
    else:
        return False
    return True


def _attributes(csr: x509.CertificateSigningRequest) -> tuple[x509.Attribute, ...]:
    """The attributes; none if one of them has not exactly one value, which the library does not read."""
    try:
        return tuple(csr.attributes)
    except ValueError:
        return ()


def _attribute_types(csr: x509.CertificateSigningRequest, attributes: Iterable[x509.Attribute]) -> Iterable[str]:
    """The object identifiers of all attributes, of those too that the library does not read."""
    if attributes:
        return [attribute.oid.dotted_string for attribute in attributes]
    try:
        information = CertificationRequestInfo.load(csr.tbs_certrequest_bytes)
        return [attribute["type"].dotted for attribute in information["attributes"]]
    except (ValueError, TypeError) as error:
        raise CSRError(f"not a certification request: {error}") from error


def _text_of(attributes: Iterable[x509.Attribute], oid: str) -> str | None:
    """The value of an attribute of text, or None where there is none; text of another encoding counts as none."""
    for attribute in attributes:
        if attribute.oid.dotted_string == oid:
            try:
                return str(attribute.value, "utf-8")
            except UnicodeDecodeError:
                return None
    return None
