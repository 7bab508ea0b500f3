"""SignedData (RFC 5652, 5): reading, verifying, and the degenerate form that only carries certificates."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509 import tlv
from cspd.x509.ber import to_der
from cspd.x509.certificate_fields import fields_of
from cspd.x509.certificate_paths import UNREADABLE
from cspd.x509.cms.values import CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNED_DATA, CMSError, SignedData, SignerInfo
from cspd.x509.cursor import Cursor
from cspd.x509.identifiers import subject_key_identifier
from cspd.x509.signatures import SignatureError, hash_of, read_algorithm, verify_signature
from cspd.x509.tlv import DERError

DEFAULT_LIMIT = 256 * 1024
"""Octets of a message."""
MAX_CERTIFICATES = 32
MAX_SIGNERS = 4
MAX_ATTRIBUTES = 64

_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1
_KEY_IDENTIFIER = 0x80
_VERSION_1 = tlv.integer(1)
_NO_SIGNERS = tlv.element(tlv.SET, b"")


def encode_certs_only(
    certificates_der: Iterable[bytes], crls_der: Iterable[bytes] = (), *, in_given_order: bool = False
) -> bytes:
    """A ContentInfo with a SignedData that nobody signed and that carries certificates and CRLs, DER.

    The "certs-only" message of RFC 5272, 4.1 (EST, SCEP, CMC). The certificates are in the order of DER's SET OF, which
    is none that means anything; ``in_given_order`` is for clients that take the first certificate that will do, and is
    BER, as RFC 5652, 5.1 lets it be.
    """
    ordered = list(certificates_der) if in_given_order else sorted(certificates_der)
    certificates, crls = b"".join(ordered), b"".join(sorted(crls_der))
    signed_data = tlv.sequence(
        _VERSION_1,
        tlv.element(tlv.SET, b""),
        tlv.sequence(tlv.object_identifier(DATA)),
        tlv.element(_CONTEXT_0, certificates) if certificates else b"",
        tlv.element(_CONTEXT_1, crls) if crls else b"",
        _NO_SIGNERS,
    )
    return encode_content_info(SIGNED_DATA, signed_data)


def encode_content_info(content_type: str, content_der: bytes) -> bytes:
    """A ContentInfo (RFC 5652, 3) around an encoded content, DER."""
    return tlv.sequence(tlv.object_identifier(content_type), tlv.element(_CONTEXT_0, content_der))


def read_signed_data(data: bytes, *, limit: int = DEFAULT_LIMIT) -> SignedData:
    """Read a ContentInfo with a SignedData, BER or DER of at most ``limit`` octets; raises :class:`CMSError`.

    Nothing is verified yet.
    """
    try:
        content_type, content = open_content_info(data, limit=limit)
        if content_type != SIGNED_DATA:
            raise CMSError(f"a content of type {content_type}, where SignedData must be")
        return _signed_data(content.enter(tlv.SEQUENCE))
    except (DERError, SignatureError) as error:
        raise CMSError(f"not a SignedData: {error}") from error


def open_content_info(data: bytes, *, limit: int) -> tuple[str, Cursor]:
    """The type of a ContentInfo, BER or DER, and a cursor before its content; raises :class:`DERError`."""
    info = Cursor.over(to_der(data, limit=limit), is_well_formed=True).enter(tlv.SEQUENCE)
    content_type = info.object_identifier()
    content = info.enter(_CONTEXT_0)
    info.finish()
    return content_type, content


def _signed_data(cursor: Cursor) -> SignedData:
    cursor.integer()  # version: what it says, the fields say too
    cursor.enter(tlv.SET)  # digestAlgorithms, for those who read in one pass
    encapsulated = cursor.enter(tlv.SEQUENCE)
    content_type = encapsulated.object_identifier()
    explicit = encapsulated.enter_optional(_CONTEXT_0)
    content = None if explicit is None else explicit.contents(tlv.OCTET_STRING)
    certificates = _choices(cursor.enter_optional(_CONTEXT_0))
    crls = _choices(cursor.enter_optional(_CONTEXT_1))
    signer_infos = cursor.enter(tlv.SET)
    cursor.finish()
    signers: list[SignerInfo] = []
    while not signer_infos.is_at_end:
        if len(signers) == MAX_SIGNERS:
            raise CMSError(f"more than {MAX_SIGNERS} signers")
        signers.append(_signer(signer_infos.enter(tlv.SEQUENCE)))
    return SignedData(
        content_type=content_type,
        content=content,
        certificates_der=certificates,
        crls_der=crls,
        signers=tuple(signers),
    )


def _choices(cursor: Cursor | None) -> tuple[bytes, ...]:
    """What is a certificate or CRL of a set; attribute certificates and the like carry tags."""
    found = [] if cursor is None else [each for each in cursor.elements() if each[0] == tlv.SEQUENCE]
    if len(found) > MAX_CERTIFICATES:
        raise CMSError(f"more than {MAX_CERTIFICATES} certificates or CRLs")
    return tuple(found)


def _signer(cursor: Cursor) -> SignerInfo:
    cursor.integer()  # version
    issuer_der = serial_number = identifier = None
    if cursor.peek() == _KEY_IDENTIFIER:
        identifier = cursor.contents(_KEY_IDENTIFIER)
    else:
        name = cursor.enter(tlv.SEQUENCE)
        issuer_der, serial_number = name.element(), name.integer()
    digest_algorithm = read_algorithm(cursor.element())
    signed = cursor.enter_optional(_CONTEXT_0)
    signed_attributes = _attributes(signed)
    signature_algorithm = read_algorithm(cursor.element())
    signature = cursor.contents(tlv.OCTET_STRING)
    unsigned_attributes = _attributes(cursor.enter_optional(_CONTEXT_1))
    cursor.finish()
    return SignerInfo(
        issuer_der=issuer_der,
        serial_number=serial_number,
        subject_key_identifier=identifier,
        digest_algorithm=digest_algorithm.oid,
        signature_algorithm=signature_algorithm,
        signature=signature,
        # The signature is over the DER, whatever order the message has (RFC 5652, 5.4).
        signed_attributes_der=None if signed is None else encode_attributes(signed_attributes),
        signed_attributes=signed_attributes,
        unsigned_attributes=unsigned_attributes,
    )


def _attributes(cursor: Cursor | None) -> Mapping[str, tuple[bytes, ...]]:
    attributes: dict[str, tuple[bytes, ...]] = {}
    while cursor is not None and not cursor.is_at_end:
        attribute = cursor.enter(tlv.SEQUENCE)
        oid = attribute.object_identifier()
        values = tuple(attribute.enter(tlv.SET).elements())
        attribute.finish()
        if oid in attributes or len(attributes) == MAX_ATTRIBUTES:
            raise CMSError(f"an attribute twice, or more than {MAX_ATTRIBUTES}")
        attributes[oid] = values
    return attributes


def encode_attributes(attributes: Mapping[str, Iterable[bytes]]) -> bytes:
    """The SET OF Attribute with these values, DER each, by their object identifiers; in the order of DER."""
    encoded = (
        tlv.sequence(tlv.object_identifier(oid), tlv.element(tlv.SET, b"".join(sorted(values))))
        for oid, values in attributes.items()
    )
    return tlv.element(tlv.SET, b"".join(sorted(encoded)))


def find_certificate(signer: SignerInfo, certificates: Iterable[x509.Certificate]) -> x509.Certificate:
    """The certificate that a SignerInfo names; raises :class:`CMSError` when it is not among these."""
    for certificate in certificates:
        if signer.subject_key_identifier is not None:
            if _key_identifier(certificate) == signer.subject_key_identifier:
                return certificate
        elif signer.issuer_der is not None and signer.serial_number is not None:
            named = tlv.sequence(signer.issuer_der, tlv.integer(signer.serial_number))
            if fields_of(certificate.public_bytes(Encoding.DER)).issuer_and_serial_number == named:
                return certificate
    raise CMSError("the signer's certificate is not there")


def certificates_of(signed_data: SignedData) -> Sequence[x509.Certificate]:
    """The certificates that a message carries, parsed; those that no verifier of ours can read are left out."""
    found = []
    for certificate_der in signed_data.certificates_der:
        try:
            with warnings.catch_warnings():
                # Devices of SCEP sign themselves a certificate with the serial number zero, of which the library warns.
                warnings.simplefilter("ignore")
                certificate = x509.load_der_x509_certificate(certificate_der)
            certificate.public_key()
            certificate.issuer  # noqa: B018  # touching it parses it
        except UNREADABLE:
            continue
        found.append(certificate)
    return found


def verify_signer(
    signer: SignerInfo, public_key: object, *, content_type: str, content: bytes, allow_sha1: bool = False
) -> None:
    """Verify one signature over a content (RFC 5652, 5.4 and 5.6); raises :class:`CMSError` unless it fits.

    Whether the certificate of that key may be trusted is another question.
    """
    try:
        digest = hash_of(signer.digest_algorithm)
        if isinstance(digest, hashes.SHA1) and not allow_sha1:
            raise CMSError("digests with SHA-1 are refused")
        octets = content
        if signer.signed_attributes_der is not None:
            _check_attributes(signer, digest, content_type, content)
            octets = signer.signed_attributes_der
        elif content_type != DATA:
            raise CMSError("a content other than data needs signed attributes")
        verify_signature(
            public_key, signer.signature_algorithm, signer.signature, octets, digest=digest, allow_sha1=allow_sha1
        )
    except SignatureError as error:
        raise CMSError(str(error)) from error


def _check_attributes(signer: SignerInfo, digest: hashes.HashAlgorithm, content_type: str, content: bytes) -> None:
    hasher = hashes.Hash(digest)
    hasher.update(content)
    expected = tlv.element(tlv.OCTET_STRING, hasher.finalize())
    if signer.signed_attributes.get(CONTENT_TYPE) != (tlv.object_identifier(content_type),):
        raise CMSError("the signed content type is another")
    said = signer.signed_attributes.get(MESSAGE_DIGEST, ())
    if len(said) != 1 or not bytes_eq(said[0], expected):
        raise CMSError("the content is not what was signed")


def _key_identifier(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, *UNREADABLE):
        return subject_key_identifier(certificate.public_key())
