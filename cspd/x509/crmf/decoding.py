"""DER of certificate request messages to values (RFC 4211, appendix B; the module has implicit tags).

Every function is total: any bytes give a value or a :class:`CRMFError`. Only DER is read, so that what is signed has
one encoding; the one freedom is GeneralizedTime for years that have a UTCTime, which some clients write in templates.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from cspd.x509 import der, tlv
from cspd.x509.crmf.controls import MAX_ATTRIBUTES, read_attribute, read_cert_id, read_control
from cspd.x509.crmf.fields import (
    V,
    optional_field,
    read_algorithm_contents,
    read_bits,
    read_enumerated,
    read_general_name,
    read_integer,
    read_name,
    read_public_key,
    read_public_key_contents,
    read_time,
    sequence_of,
    whole_octets,
)
from cspd.x509.crmf.messages import (
    DHMAC,
    CertId,
    CertReqMessages,
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Control,
    CRMFError,
    EncryptedKey,
    Extension,
    KeyAgreement,
    KeyEncipherment,
    OptionalValidity,
    PKMACValue,
    POPOPrivKey,
    POPOSigningKey,
    POPOSigningKeyInput,
    ProofOfPossession,
    RAVerified,
    SubsequentMessage,
    ThisMessage,
)
from cspd.x509.cursor import Cursor
from cspd.x509.extensions import MAX_EXTENSIONS
from cspd.x509.general_names import GeneralNameError
from cspd.x509.signatures import SignatureError, read_algorithm

MAX_MESSAGES_OCTETS = 256 * 1024
MAX_REQUESTS = 32
"""CertReqMsg of one CertReqMessages."""


def decode_cert_req_messages(data: bytes) -> CertReqMessages:
    """Decode a CertReqMessages (RFC 4211, 3), one message at least; raises :class:`CRMFError`."""
    return _decode(data, _cert_req_messages)


def decode_cert_req_msg(data: bytes) -> CertReqMsg:
    """Decode one CertReqMsg (RFC 4211, 3), as CMC carries it; raises :class:`CRMFError`."""
    return _decode(data, lambda cursor: _cert_req_msg(cursor.enter(tlv.SEQUENCE)))


def decode_cert_template(data: bytes) -> CertTemplate:
    """Decode a CertTemplate (RFC 4211, 5), as CMP names certificates with it; raises :class:`CRMFError`."""
    return _decode(data, lambda cursor: _cert_template(cursor.enter(tlv.SEQUENCE)))


def decode_cert_id(data: bytes) -> CertId:
    """Decode a CertId (RFC 4211, 6.5); raises :class:`CRMFError`."""
    return _decode(data, lambda cursor: read_cert_id(cursor.enter(tlv.SEQUENCE)))


def decode_control(data: bytes) -> Control:
    """Decode one AttributeTypeAndValue as a control (RFC 4211, 6); raises :class:`CRMFError`."""
    return _decode(data, read_control)


def _decode(data: bytes, read: Callable[[Cursor], V]) -> V:
    if len(data) > MAX_MESSAGES_OCTETS:
        raise CRMFError(f"more than {MAX_MESSAGES_OCTETS} octets")
    try:
        der.check_encoding(data)
        cursor = Cursor.over(data)
        value = read(cursor)
        cursor.finish()
    except (tlv.DERError, der.DERError, SignatureError, GeneralNameError) as error:
        raise CRMFError(f"not a certificate request message: {error}") from error
    return value


def _cert_req_messages(cursor: Cursor) -> CertReqMessages:
    return sequence_of(cursor.enter(tlv.SEQUENCE), MAX_REQUESTS, lambda inner: _cert_req_msg(inner.enter(tlv.SEQUENCE)))


def _cert_req_msg(cursor: Cursor) -> CertReqMsg:
    cert_req = _cert_request(cursor.element())
    popo = None
    if cursor.peek() not in (None, tlv.SEQUENCE):
        popo = _proof_of_possession(cursor)
    informations = cursor.enter_optional(tlv.SEQUENCE)
    cursor.finish()
    return CertReqMsg(
        cert_req=cert_req,
        popo=popo,
        reg_info=() if informations is None else sequence_of(informations, MAX_ATTRIBUTES, read_attribute),
    )


def _cert_request(encoded: bytes) -> CertRequest:
    cursor = Cursor.over(encoded).enter(tlv.SEQUENCE)
    cert_req_id = read_integer(cursor)
    template = _cert_template(cursor.enter(tlv.SEQUENCE))
    controls = cursor.enter_optional(tlv.SEQUENCE)
    cursor.finish()
    return CertRequest(
        cert_req_id=cert_req_id,
        cert_template=template,
        controls=() if controls is None else sequence_of(controls, MAX_ATTRIBUTES, read_control),
        encoded=encoded,
    )


def _cert_template(cursor: Cursor) -> CertTemplate:
    template = CertTemplate(
        version=optional_field(cursor, 0x80, read_integer),
        serial_number=optional_field(cursor, 0x81, read_integer),
        signing_alg=optional_field(cursor, 0xA2, read_algorithm_contents),
        issuer=optional_field(cursor, 0xA3, read_name),
        validity=optional_field(cursor, 0xA4, _optional_validity),
        subject=optional_field(cursor, 0xA5, read_name),
        public_key_der=optional_field(cursor, 0xA6, read_public_key_contents),
        issuer_uid=optional_field(cursor, 0x87, read_bits),
        subject_uid=optional_field(cursor, 0x88, read_bits),
        extensions=optional_field(cursor, 0xA9, lambda inner: sequence_of(inner, MAX_EXTENSIONS, _extension)),
    )
    cursor.finish()
    return template


def _optional_validity(cursor: Cursor) -> OptionalValidity:
    validity = OptionalValidity(optional_field(cursor, 0xA0, read_time), optional_field(cursor, 0xA1, read_time))
    if validity.not_before is None and validity.not_after is None:
        raise CRMFError("a validity of nothing")
    return validity


def _extension(cursor: Cursor) -> Extension:
    inner = cursor.enter(tlv.SEQUENCE)
    extn_id = inner.object_identifier()
    critical = inner.peek() == tlv.BOOLEAN
    if critical and inner.contents(tlv.BOOLEAN) != b"\xff":
        raise CRMFError("critical FALSE is written out")
    extn_value = inner.contents(tlv.OCTET_STRING)
    inner.finish()
    return Extension(extn_id, critical, extn_value)


def _proof_of_possession(cursor: Cursor) -> ProofOfPossession:
    match cursor.peek():
        case 0x80:
            if cursor.contents(0x80):
                raise CRMFError("a NULL with contents")
            return RAVerified()
        case 0xA1:
            return _signing_key(cursor.enter(0xA1))
        case 0xA2:
            return KeyEncipherment(_private_key(cursor.enter(0xA2)))
    return KeyAgreement(_private_key(cursor.enter(0xA3)))


def _signing_key(cursor: Cursor) -> POPOSigningKey:
    poposk_input = None
    if cursor.peek() == 0xA0:
        poposk_input = _signing_key_input(tlv.element(tlv.SEQUENCE, cursor.contents(0xA0)))
    algorithm = read_algorithm(cursor.element())
    signature = whole_octets(cursor.contents(tlv.BIT_STRING))
    cursor.finish()
    return POPOSigningKey(poposk_input, algorithm, signature)


def _signing_key_input(encoded: bytes) -> POPOSigningKeyInput:
    cursor = Cursor.over(encoded).enter(tlv.SEQUENCE)
    auth_info: x509.GeneralName | PKMACValue
    if cursor.peek() == 0xA0:
        sender = cursor.enter(0xA0)
        auth_info = read_general_name(sender.element())
        sender.finish()
    else:
        auth_info = _mac_value(cursor.enter(tlv.SEQUENCE))
    public_key_der = read_public_key(cursor.element())
    cursor.finish()
    return POPOSigningKeyInput(auth_info, public_key_der, encoded)


def _mac_value(cursor: Cursor) -> PKMACValue:
    value = PKMACValue(read_algorithm(cursor.element()), whole_octets(cursor.contents(tlv.BIT_STRING)))
    cursor.finish()
    return value


def _private_key(cursor: Cursor) -> POPOPrivKey:
    value = _private_key_choice(cursor)
    cursor.finish()
    return value


def _private_key_choice(cursor: Cursor) -> POPOPrivKey:
    match cursor.peek():
        case 0x80:
            return ThisMessage(whole_octets(cursor.contents(0x80)))
        case 0x81:
            number = read_integer(Cursor.over(tlv.element(tlv.INTEGER, cursor.contents(0x81))))
            return read_enumerated(number, SubsequentMessage)
        case 0x82:
            return DHMAC(whole_octets(cursor.contents(0x82)))
        case 0xA3:
            return _mac_value(cursor.enter(0xA3))
    return EncryptedKey(tlv.element(tlv.SEQUENCE, cursor.contents(0xA4)))
