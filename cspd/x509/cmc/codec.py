"""PKIData and PKIResponse and their DER (RFC 5272, 3.2 and appendix A; the module has implicit tags).

Decoding is total: any bytes give a value or a :class:`CMCError`. What comes is read as DER, although CMS would allow
BER: the content is signed, and no client is known to write it otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cspd.x509 import der, tlv
from cspd.x509.cmc.controls import (
    checked_body_part_id,
    encode_control_value,
    read_body_part_id,
    read_control_value,
)
from cspd.x509.cmc.messages import (
    CMCError,
    OtherMsg,
    OtherRequest,
    PKIData,
    PKIResponse,
    TaggedAttribute,
    TaggedCertificationRequest,
    TaggedCertReqMsg,
    TaggedContentInfo,
    TaggedRequest,
)
from cspd.x509.crmf.decoding import decode_cert_req_msg
from cspd.x509.crmf.encoding import encode_cert_req_msg
from cspd.x509.crmf.messages import CRMFError
from cspd.x509.cursor import Cursor
from cspd.x509.general_names import GeneralNameError
from cspd.x509.signatures import SignatureError

MAX_CONTENT_OCTETS = 256 * 1024
MAX_CONTROLS = 32
MAX_REQUESTS = 16
"""Each costs a signature of the CA."""
MAX_OTHERS = 16
"""CMS contents, and other messages."""

_TCR, _CRM, _ORM = 0xA0, 0xA1, 0xA2

V = TypeVar("V")


def decode_pki_data(data: bytes) -> PKIData:
    """Decode a PKIData (RFC 5272, 3.2.1); raises :class:`CMCError`, for a number that two body parts have, too."""
    return _decode(data, _pki_data)


def decode_pki_response(data: bytes) -> PKIResponse:
    """Decode a PKIResponse (RFC 5272, 3.2.2); raises :class:`CMCError`."""
    return _decode(data, _pki_response)


def encode_pki_data(message: PKIData) -> bytes:
    """The DER of a PKIData, made from its fields."""
    return tlv.sequence(
        tlv.sequence(*map(_encode_attribute, message.control_sequence)),
        encode_req_sequence(message.req_sequence),
        *_encode_others(message.cms_sequence, message.other_msg_sequence),
    )


def encode_req_sequence(requests: tuple[TaggedRequest, ...]) -> bytes:
    """The DER of a reqSequence, which an identity proof is over (RFC 5272, 6.2.1)."""
    return tlv.sequence(*map(_encode_request, requests))


def encode_pki_response(message: PKIResponse) -> bytes:
    """The DER of a PKIResponse."""
    return tlv.sequence(
        tlv.sequence(*map(_encode_attribute, message.control_sequence)),
        *_encode_others(message.cms_sequence, message.other_msg_sequence),
    )


def _decode(data: bytes, read: Callable[[Cursor], V]) -> V:
    if len(data) > MAX_CONTENT_OCTETS:
        raise CMCError(f"more than {MAX_CONTENT_OCTETS} octets")
    try:
        der.check_encoding(data)
        cursor = Cursor.over(data)
        value = read(cursor.enter(tlv.SEQUENCE))
        cursor.finish()
    except (tlv.DERError, der.DERError, SignatureError, GeneralNameError, CRMFError) as error:
        raise CMCError(f"not a CMC message: {error}") from error
    return value


def _pki_data(cursor: Cursor) -> PKIData:
    controls = _list_of(cursor, MAX_CONTROLS, _attribute)
    req_sequence_der = cursor.element()
    message = PKIData(
        control_sequence=controls,
        req_sequence=_list_of(Cursor.over(req_sequence_der), MAX_REQUESTS, _request),
        cms_sequence=_list_of(cursor, MAX_OTHERS, _content_info),
        other_msg_sequence=_list_of(cursor, MAX_OTHERS, _other_msg),
        req_sequence_der=req_sequence_der,
    )
    cursor.finish()
    parts = (*controls, *message.req_sequence, *message.cms_sequence, *message.other_msg_sequence)
    if len({part.body_part_id for part in parts}) != len(parts):
        raise CMCError("two body parts have one number")
    return message


def _pki_response(cursor: Cursor) -> PKIResponse:
    message = PKIResponse(
        control_sequence=_list_of(cursor, MAX_CONTROLS, _attribute),
        cms_sequence=_list_of(cursor, MAX_OTHERS, _content_info),
        other_msg_sequence=_list_of(cursor, MAX_OTHERS, _other_msg),
    )
    cursor.finish()
    return message


def _list_of(cursor: Cursor, limit: int, read: Callable[[Cursor], V]) -> tuple[V, ...]:
    """The values of the next SEQUENCE SIZE (0..limit) OF."""
    inner = cursor.enter(tlv.SEQUENCE)
    values: list[V] = []
    while not inner.is_at_end:
        if len(values) == limit:
            raise CMCError(f"more than {limit} elements of a list")
        values.append(read(inner))
    return tuple(values)


def _attribute(cursor: Cursor) -> TaggedAttribute:
    attribute = cursor.enter(tlv.SEQUENCE)
    body_part_id, attr_type = read_body_part_id(attribute), attribute.object_identifier()
    values = attribute.enter(tlv.SET)
    attribute.finish()
    value = read_control_value(attr_type, values)
    values.finish()
    return TaggedAttribute(body_part_id, value)


def _request(cursor: Cursor) -> TaggedRequest:
    value: TaggedRequest
    match cursor.peek():
        case 0xA0:
            inner = cursor.enter(_TCR)
            value = TaggedCertificationRequest(read_body_part_id(inner), inner.element())
            inner.finish()
            return value
        case 0xA1:
            value = TaggedCertReqMsg(decode_cert_req_msg(tlv.element(tlv.SEQUENCE, cursor.contents(_CRM))))
            checked_body_part_id(value.body_part_id)
            return value
    inner = cursor.enter(_ORM)
    value = OtherRequest(read_body_part_id(inner), inner.object_identifier(), inner.element())
    inner.finish()
    return value


def _content_info(cursor: Cursor) -> TaggedContentInfo:
    inner = cursor.enter(tlv.SEQUENCE)
    value = TaggedContentInfo(read_body_part_id(inner), inner.element())
    inner.finish()
    return value


def _other_msg(cursor: Cursor) -> OtherMsg:
    inner = cursor.enter(tlv.SEQUENCE)
    value = OtherMsg(read_body_part_id(inner), inner.object_identifier(), inner.element())
    inner.finish()
    return value


def _encode_attribute(attribute: TaggedAttribute) -> bytes:
    attr_type, values = encode_control_value(attribute.value)
    return tlv.sequence(
        tlv.integer(attribute.body_part_id),
        tlv.object_identifier(attr_type),
        tlv.element(tlv.SET, b"".join(values)),
    )


def _encode_request(request: TaggedRequest) -> bytes:
    match request:
        case TaggedCertificationRequest(body_part_id, certification_request_der):
            return tlv.element(_TCR, tlv.integer(body_part_id) + certification_request_der)
        case TaggedCertReqMsg(message):
            return bytes((_CRM,)) + encode_cert_req_msg(message)[1:]
        case OtherRequest(body_part_id, request_message_type, value_der):
            return tlv.element(
                _ORM, tlv.integer(body_part_id) + tlv.object_identifier(request_message_type) + value_der
            )


def _encode_others(contents: tuple[TaggedContentInfo, ...], others: tuple[OtherMsg, ...]) -> tuple[bytes, bytes]:
    return (
        tlv.sequence(*(tlv.sequence(tlv.integer(each.body_part_id), each.content_info_der) for each in contents)),
        tlv.sequence(
            *(
                tlv.sequence(
                    tlv.integer(each.body_part_id),
                    tlv.object_identifier(each.other_msg_type),
                    each.other_msg_value_der,
                )
                for each in others
            )
        ),
    )
