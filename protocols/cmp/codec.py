"""Messages of the Certificate Management Protocol and their DER (RFC 9810, 5.1).

:func:`decode` is total: any bytes give a :class:`PKIMessage` or a :class:`DecodeError`. It accepts DER alone and loses
nothing, so that ``encode(decode(data)) == data``; only the values of RFC 4211 may come out in another spelling of the
same, which matters to no protection, because that is verified over what was received. A message is made in two steps,
because its protection is computed over a part of it::

    protected_part_der = protected_part(header, body)
    protection = ...                                    # see protocols.cmp.protection
    message_der = assemble(protected_part_der, protection, extra_certs_der)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from protocols.cmp import body_encoding as bodies
from protocols.cmp import challenge_encoding as challenges
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.header_encoding import encode_header, read_header
from protocols.cmp.limits import DEFAULT_LIMITS, Limits
from protocols.cmp.messages import (
    BodyContent,
    BodyType,
    CertificationRequest,
    NestedMessageContent,
    PKIBody,
    PKIConfirmContent,
    PKIHeader,
    PKIMessage,
    UnreadContent,
)
from protocols.cmp.status import PKIFailureInfo
from protocols.cmp.value_encoding import (
    encode_tagged,
    read_certificate,
    read_sequence_of,
    read_structure,
    read_whole_octets_bit_string,
    tagged,
    unwalked_structure,
)

_CONTEXT_CONSTRUCTED = 0xA0

_Read = Callable[[Cursor, Limits], BodyContent]
_CERT_REQ: tuple[_Read, Callable[[Any], bytes]] = (bodies.read_cert_req_content, bodies.encode_cert_req_content)
_CERT_REP: tuple[_Read, Callable[[Any], bytes]] = (bodies.read_cert_rep_message, bodies.encode_cert_rep_message)
_GEN_MSG: tuple[_Read, Callable[[Any], bytes]] = (bodies.read_gen_msg_content, bodies.encode_gen_msg_content)
_BODIES: dict[BodyType, tuple[_Read, Callable[[Any], bytes]]] = {
    BodyType.IR: _CERT_REQ,
    BodyType.IP: _CERT_REP,
    BodyType.CR: _CERT_REQ,
    BodyType.CP: _CERT_REP,
    BodyType.POPDECC: (challenges.read_challenge_content, challenges.encode_challenge_content),
    BodyType.POPDECR: (challenges.read_response_content, challenges.encode_response_content),
    BodyType.KUR: _CERT_REQ,
    BodyType.KUP: _CERT_REP,
    BodyType.KRR: _CERT_REQ,
    BodyType.CCR: _CERT_REQ,
    BodyType.CCP: _CERT_REP,
    BodyType.P10CR: (lambda cursor, _: CertificationRequest(read_structure(cursor)), lambda content: content.der),
    BodyType.RR: (bodies.read_rev_req_content, bodies.encode_rev_req_content),
    BodyType.RP: (bodies.read_rev_rep_content, bodies.encode_rev_rep_content),
    BodyType.PKI_CONF: (lambda cursor, _: _read_pki_confirm(cursor), lambda _: tlv.NULL),
    BodyType.GENM: _GEN_MSG,
    BodyType.GENP: _GEN_MSG,
    BodyType.ERROR: (bodies.read_error_msg_content, bodies.encode_error_msg_content),
    BodyType.CERT_CONF: (bodies.read_cert_confirm_content, bodies.encode_cert_confirm_content),
    BodyType.POLL_REQ: (bodies.read_poll_req_content, bodies.encode_poll_req_content),
    BodyType.POLL_REP: (bodies.read_poll_rep_content, bodies.encode_poll_rep_content),
}
_UNREAD: tuple[_Read, Callable[[Any], bytes]] = (
    lambda cursor, _: UnreadContent(cursor.element()),
    lambda content: content.der,
)


class DecodeError(PKIMessageRejected, ValueError):
    """The bytes are not a PKIMessage that we read; always ``badDataFormat``."""

    def __init__(self, detail: str) -> None:
        super().__init__(PKIFailureInfo.BAD_DATA_FORMAT, f"not a PKIMessage: {detail}")


def decode(data: bytes, limits: Limits = DEFAULT_LIMITS) -> PKIMessage:
    """Decode a PKIMessage, which must be DER and nothing else.

    Raises :class:`DecodeError` for what is none, and for what is above ``limits``. Whether the header keeps the rules
    of the protocol is the matter of :mod:`protocols.cmp.header_rules`.
    """
    if len(data) > limits.message_octets:
        raise DecodeError(f"longer than {limits.message_octets} octets")
    cursor = Cursor.over(data)
    try:
        message = _read_message(cursor, limits, may_nest=True)
        cursor.finish()
    except tlv.DERError as error:
        raise DecodeError(str(error)) from error
    return message


def decode_header(data: bytes, limits: Limits = DEFAULT_LIMITS) -> PKIHeader | None:
    """The header of a message whose rest may be anything, for the error that answers it; None if that is none, too."""
    with suppress(tlv.DERError):
        if len(data) <= limits.message_octets:
            return read_header(Cursor.over(data).enter(tlv.SEQUENCE), limits)
    return None


def encode(message: PKIMessage) -> bytes:
    """Encode a PKIMessage with the protection that it has."""
    return assemble(protected_part(message.header, message.body), message.protection, message.extra_certs_der)


def protected_part(header: PKIHeader, body: PKIBody) -> bytes:
    """Encode the ProtectedPart, which the protection is computed over (RFC 9810, 5.1.3)."""
    return tlv.sequence(encode_header(header), _encode_body(body))


def assemble(protected_part_der: bytes, protection: bytes | None, extra_certs_der: Sequence[bytes] = ()) -> bytes:
    """Encode the message around a ProtectedPart; ``protection`` None makes an unprotected one."""
    start, end = tlv.read_only(protected_part_der, 0, len(protected_part_der), tlv.SEQUENCE)
    return tlv.sequence(
        protected_part_der[start:end],
        encode_tagged(0, None if protection is None else tlv.element(tlv.BIT_STRING, b"\x00" + protection)),
        encode_tagged(1, tlv.sequence(*extra_certs_der) if extra_certs_der else None),
    )


def _read_message(cursor: Cursor, limits: Limits, *, may_nest: bool) -> PKIMessage:
    fields = cursor.enter(tlv.SEQUENCE)
    header_der = unwalked_structure(fields)
    body_identifier = fields.peek() or 0
    body_contents = fields.contents(body_identifier)
    protection = tagged(fields, 0, read_whole_octets_bit_string)
    extra_certs = tagged(fields, 1, lambda inner: read_sequence_of(inner, read_certificate, limit=limits.extra_certs))
    fields.finish()
    return PKIMessage(
        header=read_header(Cursor.over(header_der), limits),
        body=_read_body(body_identifier, Cursor.over(body_contents), limits, may_nest=may_nest),
        protection=protection,
        extra_certs_der=extra_certs or (),
        protected_part_der=tlv.sequence(header_der, tlv.element(body_identifier, body_contents)),
    )


def _read_body(identifier: int, inner: Cursor, limits: Limits, *, may_nest: bool) -> PKIBody:
    try:
        body_type = BodyType(identifier - _CONTEXT_CONSTRUCTED)
    except ValueError as error:
        raise tlv.DERError("no such body") from error
    content: BodyContent
    if body_type is not BodyType.NESTED:
        read, _ = _BODIES.get(body_type, _UNREAD)
        content = read(inner, limits)
    elif may_nest:
        content = NestedMessageContent(
            read_sequence_of(
                inner, lambda element: _read_message(element, limits, may_nest=False), limit=limits.nested_messages
            )
        )
    else:
        raise tlv.DERError("a nested message in a nested message")
    inner.finish()
    return PKIBody(body_type, content)


def _encode_body(body: PKIBody) -> bytes:
    if isinstance(body.content, NestedMessageContent):
        encoded = tlv.sequence(*map(encode, body.content.messages))
    else:
        _, encode_content = _BODIES.get(body.type, _UNREAD)
        encoded = encode_content(body.content)
    return tlv.element(_CONTEXT_CONSTRUCTED | body.type.value, encoded)


def _read_pki_confirm(cursor: Cursor) -> PKIConfirmContent:
    if cursor.element() != tlv.NULL:
        raise tlv.DERError("a pkiConf is NULL")
    return PKIConfirmContent()
