"""The messageData in an envelope (RFC 8894, 3.3 and 3.4): a certification request, names, or certificates."""

from __future__ import annotations

from cspd.x509 import tlv
from cspd.x509.cms.signed import encode_certs_only, read_signed_data
from cspd.x509.cms.values import CMSError
from cspd.x509.csr import CSRError, parse_csr
from cspd.x509.cursor import Cursor
from cspd.x509.public_keys import PublicKeyError
from protocols.scep.errors import UnreadableEnvelope
from protocols.scep.messages import (
    CertsOnly,
    IssuerAndSerialNumber,
    IssuerAndSubject,
    MessageData,
    MessageType,
    PKCS10Request,
)


def decode_message_data(message_type: MessageType, content: bytes) -> MessageData:
    """Read what a message of this type has in its envelope; the signature of a certification request is verified.

    Raises :class:`UnreadableEnvelope` for whatever else is in it, the same failure as for an envelope that does not
    open.
    """
    try:
        if message_type.is_enrollment:
            return PKCS10Request(content, parse_csr(content))
        if message_type is MessageType.CERT_REP:
            return _certs_only(content)
        names = Cursor.over(content)
        cursor = names.enter(tlv.SEQUENCE)
        names.finish()
        return _issuer_and_subject(cursor) if message_type is MessageType.CERT_POLL else _issuer_and_serial(cursor)
    except (CSRError, PublicKeyError, CMSError, tlv.DERError) as error:
        raise UnreadableEnvelope(str(error)) from error


def _certs_only(content: bytes) -> CertsOnly:
    signed_data = read_signed_data(content)
    return CertsOnly(signed_data.certificates_der, signed_data.crls_der)


def _issuer_and_subject(cursor: Cursor) -> IssuerAndSubject:
    found = IssuerAndSubject(_name(cursor), _name(cursor))
    cursor.finish()
    return found


def _issuer_and_serial(cursor: Cursor) -> IssuerAndSerialNumber:
    found = IssuerAndSerialNumber(_name(cursor), cursor.integer())
    cursor.finish()
    return found


def _name(cursor: Cursor) -> bytes:
    if cursor.peek() != tlv.SEQUENCE:
        raise tlv.DERError("no Name where one must stand")
    return cursor.element()


def encode_message_data(data: MessageData) -> bytes:
    """What goes into an envelope, DER."""
    if isinstance(data, PKCS10Request):
        return data.csr_der
    if isinstance(data, IssuerAndSubject):
        return tlv.sequence(data.issuer_der, data.subject_der)
    if isinstance(data, IssuerAndSerialNumber):
        return tlv.sequence(data.issuer_der, tlv.integer(data.serial_number))
    return encode_certs_only(data.certificates_der, data.crls_der)
