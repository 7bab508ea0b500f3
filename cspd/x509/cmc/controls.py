"""The values of CMC controls and their DER (RFC 5272, 6 and appendix A)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cspd.x509 import tlv
from cspd.x509.cmc.messages import (
    CMCError,
    CMCFailInfo,
    CMCStatus,
    CMCStatusInfo,
    CMCStatusInfoV2,
    ControlValue,
    DataReturn,
    GetCert,
    Identification,
    IdentityProofV2,
    PendInfo,
    PopLinkWitnessV2,
    QueryPending,
    RecipientNonce,
    RegInfo,
    ResponseInfo,
    RevokeRequest,
    SenderNonce,
    TransactionID,
    UnknownControl,
)
from cspd.x509.crmf.fields import (
    read_enumerated,
    read_general_name,
    read_integer,
    read_name,
    read_text,
    read_time,
    sequence_of,
)
from cspd.x509.cursor import Cursor
from cspd.x509.general_name_encoding import encode_general_names
from cspd.x509.signatures import encode_algorithm, read_algorithm

MAX_OCTETS = 4096
"""Of nonces, tokens and what is to be returned."""
MAX_BODY_PARTS = 64
MAX_BODY_PART_ID = 2**32 - 1

_CMC = "1.3.6.1.5.5.7.7."
_STATUS_INFO, _STATUS_INFO_V2 = _CMC + "1", _CMC + "25"
_IDENTIFICATION, _IDENTITY_PROOF_V2, _POP_LINK_WITNESS_V2 = _CMC + "2", _CMC + "34", _CMC + "33"
_TRANSACTION_ID, _GET_CERT, _REVOKE_REQUEST = _CMC + "5", _CMC + "15", _CMC + "17"
_OctetString = DataReturn | SenderNonce | RecipientNonce | RegInfo | ResponseInfo | QueryPending
_OCTET_STRINGS: dict[str, type[_OctetString]] = {
    _CMC + "4": DataReturn,
    _CMC + "6": SenderNonce,
    _CMC + "7": RecipientNonce,
    _CMC + "18": RegInfo,
    _CMC + "19": ResponseInfo,
    _CMC + "21": QueryPending,
}
_OCTET_STRING_TYPES = {kind: oid for oid, kind in _OCTET_STRINGS.items()}


def read_control_value(attr_type: str, values: Cursor) -> ControlValue:
    """The value of a control by its type; ``values`` is a cursor in the SET of its values.

    Raises what :mod:`cspd.x509.cmc.codec` makes a CMCError of.
    """
    if attr_type in _OCTET_STRINGS:
        return _OCTET_STRINGS[attr_type](read_octets(values))
    read = _READERS.get(attr_type)
    if read is None:
        return UnknownControl(attr_type, tuple(values.elements()))
    return read(values)


def encode_control_value(value: ControlValue) -> tuple[str, tuple[bytes, ...]]:
    """The type of a control, dotted, and its values, DER."""
    match value:
        case UnknownControl(attr_type, attr_values_der):
            return attr_type, attr_values_der
        case CMCStatusInfo():
            return _STATUS_INFO, (_status(value),)
        case CMCStatusInfoV2():
            return _STATUS_INFO_V2, (_status(value),)
        case Identification(identification):
            return _IDENTIFICATION, (_text(identification),)
        case IdentityProofV2(first, second, witness):
            return _IDENTITY_PROOF_V2, (_witness(encode_algorithm(first), encode_algorithm(second), witness),)
        case PopLinkWitnessV2(first, second, witness):
            return _POP_LINK_WITNESS_V2, (_witness(encode_algorithm(first), encode_algorithm(second), witness),)
        case TransactionID(transaction_id):
            return _TRANSACTION_ID, (tlv.integer(transaction_id),)
        case GetCert(issuer_name, serial_number):
            names = encode_general_names([issuer_name])
            start, stop = tlv.read_only(names, 0, len(names), tlv.SEQUENCE)
            return _GET_CERT, (tlv.sequence(names[start:stop], tlv.integer(serial_number)),)
        case RevokeRequest():
            return _REVOKE_REQUEST, (_revoke_request(value),)
        case QueryPending(octets) | SenderNonce(octets) | RecipientNonce(octets):
            pass
        case DataReturn(octets) | RegInfo(octets) | ResponseInfo(octets):
            pass
    return _OCTET_STRING_TYPES[type(value)], (tlv.element(tlv.OCTET_STRING, octets),)


def read_octets(cursor: Cursor) -> bytes:
    """An OCTET STRING of at most :data:`MAX_OCTETS`."""
    octets = cursor.contents(tlv.OCTET_STRING)
    if len(octets) > MAX_OCTETS:
        raise CMCError(f"an OCTET STRING of more than {MAX_OCTETS} octets")
    return octets


def read_body_part_id(cursor: Cursor) -> int:
    """A BodyPartID (RFC 5272, 3.2.1.1)."""
    return checked_body_part_id(read_integer(cursor))


def checked_body_part_id(number: int) -> int:
    """The number, if it can be a BodyPartID; raises :class:`CMCError`."""
    if not 0 <= number <= MAX_BODY_PART_ID:
        raise CMCError("a BodyPartID that is negative or above 2^32 - 1")
    return number


def _read_generalized_time(cursor: Cursor) -> datetime:
    if cursor.peek() != tlv.GENERALIZED_TIME:
        raise CMCError("not a GeneralizedTime")
    return read_time(cursor)


def _read_status(
    cursor: Cursor,
) -> tuple[CMCStatus, tuple[int, ...], str | None, CMCFailInfo | PendInfo | None]:
    info = cursor.enter(tlv.SEQUENCE)
    status = read_enumerated(read_integer(info), CMCStatus)
    body_list = sequence_of(info.enter(tlv.SEQUENCE), MAX_BODY_PARTS, read_body_part_id)
    text = read_text(info) if info.peek() == tlv.UTF8_STRING else None
    other: CMCFailInfo | PendInfo | None = None
    if info.peek() == tlv.INTEGER:
        other = read_enumerated(read_integer(info), CMCFailInfo)
    elif not info.is_at_end:
        pending = info.enter(tlv.SEQUENCE)
        other = PendInfo(read_octets(pending), _read_generalized_time(pending))
        pending.finish()
    info.finish()
    return status, body_list, text, other


def _read_status_info(cursor: Cursor) -> CMCStatusInfo:
    status, body_list, text, other = _read_status(cursor)
    return CMCStatusInfo(cmc_status=status, body_list=body_list, status_string=text, other_info=other)


def _read_status_info_v2(cursor: Cursor) -> CMCStatusInfoV2:
    status, body_list, text, other = _read_status(cursor)
    return CMCStatusInfoV2(cmc_status=status, body_list=body_list, status_string=text, other_info=other)


def _read_identity_proof(cursor: Cursor) -> IdentityProofV2:
    proof = cursor.enter(tlv.SEQUENCE)
    value = IdentityProofV2(read_algorithm(proof.element()), read_algorithm(proof.element()), read_octets(proof))
    proof.finish()
    return value


def _read_pop_link_witness(cursor: Cursor) -> PopLinkWitnessV2:
    witness = cursor.enter(tlv.SEQUENCE)
    value = PopLinkWitnessV2(read_algorithm(witness.element()), read_algorithm(witness.element()), read_octets(witness))
    witness.finish()
    return value


def _read_get_cert(cursor: Cursor) -> GetCert:
    asked = cursor.enter(tlv.SEQUENCE)
    value = GetCert(read_general_name(asked.element()), read_integer(asked))
    asked.finish()
    return value


def _read_revoke_request(cursor: Cursor) -> RevokeRequest:
    asked = cursor.enter(tlv.SEQUENCE)
    issuer_name, serial_number = read_name(asked), read_integer(asked)
    reason = asked.contents(tlv.ENUMERATED)
    value = RevokeRequest(
        issuer_name=issuer_name,
        serial_number=serial_number,
        reason=tlv.read_integer(reason, 0, len(reason)),
        invalidity_date=_read_generalized_time(asked) if asked.peek() == tlv.GENERALIZED_TIME else None,
        shared_secret=read_octets(asked) if asked.peek() == tlv.OCTET_STRING else None,
        comment=read_text(asked) if asked.peek() == tlv.UTF8_STRING else None,
    )
    asked.finish()
    return value


_READERS: dict[str, Callable[[Cursor], ControlValue]] = {
    _STATUS_INFO: _read_status_info,
    _STATUS_INFO_V2: _read_status_info_v2,
    _IDENTIFICATION: lambda cursor: Identification(read_text(cursor)),
    _IDENTITY_PROOF_V2: _read_identity_proof,
    _POP_LINK_WITNESS_V2: _read_pop_link_witness,
    _TRANSACTION_ID: lambda cursor: TransactionID(read_integer(cursor)),
    _GET_CERT: _read_get_cert,
    _REVOKE_REQUEST: _read_revoke_request,
}


def _text(text: str) -> bytes:
    return tlv.element(tlv.UTF8_STRING, text.encode("utf-8"))


def _status(status: CMCStatusInfo | CMCStatusInfoV2) -> bytes:
    other = b""
    if isinstance(status.other_info, PendInfo):
        pending = status.other_info
        other = tlv.sequence(tlv.element(tlv.OCTET_STRING, pending.pend_token), tlv.generalized_time(pending.pend_time))
    elif status.other_info is not None:
        other = tlv.integer(status.other_info)
    return tlv.sequence(
        tlv.integer(status.cmc_status),
        tlv.sequence(*map(tlv.integer, status.body_list)),
        b"" if status.status_string is None else _text(status.status_string),
        other,
    )


def _witness(first_der: bytes, second_der: bytes, witness: bytes) -> bytes:
    return tlv.sequence(first_der, second_der, tlv.element(tlv.OCTET_STRING, witness))


def _revoke_request(asked: RevokeRequest) -> bytes:
    return tlv.sequence(
        asked.issuer_name.public_bytes(),
        tlv.integer(asked.serial_number),
        tlv.element(tlv.ENUMERATED, tlv.integer(asked.reason)[2:]),
        b"" if asked.invalidity_date is None else tlv.generalized_time(asked.invalidity_date),
        b"" if asked.shared_secret is None else tlv.element(tlv.OCTET_STRING, asked.shared_secret),
        b"" if asked.comment is None else _text(asked.comment),
    )
