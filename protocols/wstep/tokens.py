"""The BinarySecurityToken of a request: PKCS #10, CMS around one, or CMC with one ([MS-WCCE] 3.2.1.4.2.1).

::

    SEQUENCE { SEQUENCE ...          PKCS #10: a new request
    SEQUENCE { OID signedData ...    CMS: its content is a PKCS #10, or a PKIData (CMC) with one in it

A request that renews has its certificate in an attribute, and is signed with that certificate's key. Whoever else signs
enrolls on behalf of somebody, which is not supported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authority.requests import read_csr
from cspd.refusals import BadProofOfPossession, Malformed, Rejected
from cspd.x509 import tlv
from cspd.x509.certificate_paths import UNREADABLE
from cspd.x509.cmc.codec import decode_pki_data
from cspd.x509.cmc.messages import (
    PKI_DATA,
    CMCError,
    PKIData,
    RegInfo,
    TaggedCertificationRequest,
    UnknownControl,
)
from cspd.x509.cms.signed import certificates_of, find_certificate, read_signed_data, verify_signer
from cspd.x509.cms.values import DATA, CMSError, SignedData, SignerInfo
from cspd.x509.csr import CertificationRequest
from cspd.x509.cursor import Cursor
from protocols.wstep.errors import BAD_RENEWAL, NOT_SUPPORTED

RENEWAL_CERTIFICATE: Final = "1.3.6.1.4.1.311.13.1"
ARCHIVED_KEY: Final = "1.3.6.1.4.1.311.21.13"
_ATTESTATION: Final = frozenset(
    {
        "1.3.6.1.4.1.311.21.23",  # endorsement key
        "1.3.6.1.4.1.311.21.24",  # attestation statement
        "1.3.6.1.4.1.311.21.39",  # attestation identity key
    }
)
_ADD_ATTRIBUTES: Final = "1.3.6.1.4.1.311.10.10.1"
_RSASSA_PSS: Final = "1.2.840.113549.1.1.10"
_ATTRIBUTES = 0xA0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A request whose signatures have been verified."""

    csr: CertificationRequest
    csr_der: bytes = field(repr=False)
    renews: x509.Certificate | None = None
    """The certificate whose key has signed too; whose it is, and whether it is ours, is another question."""


def read_token(token_der: bytes) -> Token:
    """Read a token and verify every signature in it.

    Raises Malformed, BadProofOfPossession, BadPublicKey, and Rejected with the code :data:`NOT_SUPPORTED` for what
    this server does not do, or :data:`BAD_RENEWAL` for a renewal that its certificate's key has not signed.
    """
    if not _is_cms(token_der):
        csr = _request(token_der)
        renews = _renewal_certificate(token_der)
        if renews is not None:
            # Anybody can put a certificate into a request: without its key's signature it proves nothing.
            raise _bad_renewal("a renewal is to be signed with the key of the certificate that it renews")
        return Token(csr=csr, csr_der=token_der)
    try:
        signed = read_signed_data(token_der)
        csr_der = _enclosed(signed)
        csr = _request(csr_der)
        renews = _renewal_certificate(csr_der)
        signing_keys = set(_verified_keys(signed, csr, renews))
    except CMSError as error:
        raise BadProofOfPossession("the signature of the message does not fit", detail=str(error)) from error
    if renews is not None and _key_of(renews) not in signing_keys:
        raise _bad_renewal("a renewal is to be signed with the key of the certificate that it renews")
    return Token(csr=csr, csr_der=csr_der, renews=renews)


def _is_cms(token_der: bytes) -> bool:
    """Whatever the client calls it."""
    try:
        start, stop = tlv.read(token_der, 0, len(token_der), tlv.SEQUENCE)
    except tlv.DERError as error:
        # BER, which CMS may be, has other lengths: what begins with an object identifier is for its reader.
        if token_der[:1] == b"\x30" and token_der[2:3] == b"\x06":
            return True
        raise Malformed("the BinarySecurityToken is neither PKCS #10 nor CMS") from error
    return Cursor(token_der, start, stop).peek() == tlv.OBJECT_IDENTIFIER


def _request(csr_der: bytes) -> CertificationRequest:
    csr = read_csr(csr_der)
    if ARCHIVED_KEY in csr.attribute_types:
        raise _unsupported("archival of the private key")
    if csr.attribute_types & _ATTESTATION:
        raise _unsupported("attestation of the key")
    if _signature_algorithm(csr_der) == _RSASSA_PSS:
        raise _unsupported("the alternate signature format")
    return csr


def _enclosed(signed: SignedData) -> bytes:
    """The PKCS #10 in a CMS message."""
    if signed.content is None:
        raise Malformed("the message has no content")
    if any(ARCHIVED_KEY in signer.unsigned_attributes for signer in signed.signers):
        raise _unsupported("archival of the private key")
    if signed.content_type == DATA:
        return signed.content
    if signed.content_type != PKI_DATA:
        raise Malformed(f"a content of type {signed.content_type} is no request")
    try:
        message = decode_pki_data(signed.content)
    except CMCError as error:
        raise Malformed(str(error)) from error
    _check_controls(message)
    match message.req_sequence:
        case (TaggedCertificationRequest(_, csr_der),) if not message.cms_sequence:
            return csr_der
    raise Malformed("a CMC request has exactly one PKCS #10 in it")


def _check_controls(message: PKIData) -> None:
    for control in message.control_sequence:
        match control.value:
            case RegInfo(octets) if b"requestername" in octets.lower().replace(b"\0", b""):
                raise _unsupported("enrollment on behalf of others")
            case UnknownControl(oid, values) if oid == _ADD_ATTRIBUTES:
                added = b"".join(values)
                if tlv.object_identifier(ARCHIVED_KEY) in added:
                    raise _unsupported("archival of the private key")
                if any(tlv.object_identifier(each) in added for each in _ATTESTATION):
                    raise _unsupported("attestation of the key")


def _verified_keys(signed: SignedData, csr: CertificationRequest, renews: x509.Certificate | None) -> Iterable[bytes]:
    """The keys that have signed, SubjectPublicKeyInfo each; raises CMSError, and Rejected for anybody else's."""
    if not signed.signers:
        raise CMSError("nobody has signed the message")
    assert signed.content is not None  # the request was read from it
    known = [*certificates_of(signed), *([] if renews is None else [renews])]
    for signer in signed.signers:
        certificate = _certificate_of(signer, known)
        if certificate is None or _key_of(certificate) == csr.public_key_der:
            public_key: object = csr.public_key
            key_der = csr.public_key_der
        elif renews is not None and certificate == renews:
            public_key, key_der = renews.public_key(), _key_of(renews)
        else:
            raise _unsupported("enrollment on behalf of others")
        verify_signer(signer, public_key, content_type=signed.content_type, content=signed.content)
        yield key_der


def _certificate_of(signer: SignerInfo, known: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The signer's certificate; None for a key that has none yet: the one of the request, named by its identifier."""
    try:
        return find_certificate(signer, known)
    except CMSError:
        return None


def _renewal_certificate(csr_der: bytes) -> x509.Certificate | None:
    """The certificate of the attribute; None without the attribute."""
    values = _attribute(csr_der, RENEWAL_CERTIFICATE)
    if values is None:
        return None
    if len(values) != 1:
        raise _bad_renewal("the attribute of the certificate to be renewed has not one value")
    try:
        certificate = x509.load_der_x509_certificate(values[0])
        certificate.public_key()
    except UNREADABLE as error:
        raise _bad_renewal("the attribute of the certificate to be renewed has no certificate") from error
    return certificate


def _attribute(csr_der: bytes, oid: str) -> tuple[bytes, ...] | None:
    """The values of an attribute of a request that has been read, DER each."""
    request = Cursor.over(csr_der).enter(tlv.SEQUENCE)
    information = request.enter(tlv.SEQUENCE)
    for _ in range(3):  # version, subject, subjectPKInfo
        information.element()
    attributes = information.enter_optional(_ATTRIBUTES)
    while attributes is not None and not attributes.is_at_end:
        attribute = attributes.enter(tlv.SEQUENCE)
        if attribute.object_identifier() == oid:
            return tuple(attribute.enter(tlv.SET).elements())
    return None


def _signature_algorithm(csr_der: bytes) -> str:
    request = Cursor.over(csr_der).enter(tlv.SEQUENCE)
    request.element()
    return request.enter(tlv.SEQUENCE).object_identifier()


def _key_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _unsupported(what: str) -> Rejected:
    return Rejected(f"{what} is not supported", code=NOT_SUPPORTED)


def _bad_renewal(reason: str) -> Rejected:
    return Rejected(reason, code=BAD_RENEWAL)
