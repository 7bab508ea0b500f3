"""What is written is read, by us and by another implementation; what is no DER of one is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.der.decoder import decode  # type: ignore[import-untyped]  # it carries no types
from pyasn1_alt_modules import rfc6402  # type: ignore[import-untyped]  # nor does it

from cspd.x509 import tlv
from cspd.x509.cmc.codec import decode_pki_data, decode_pki_response, encode_pki_data, encode_pki_response
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
    OtherMsg,
    OtherRequest,
    PendInfo,
    PKIData,
    PKIResponse,
    PopLinkWitnessV2,
    QueryPending,
    RecipientNonce,
    RegInfo,
    ResponseInfo,
    RevokeRequest,
    SenderNonce,
    TaggedAttribute,
    TaggedCertificationRequest,
    TaggedCertReqMsg,
    TaggedContentInfo,
    TransactionID,
    UnknownControl,
)
from cspd.x509.signatures import Algorithm
from tests.unit.x509.crmf.requests import NAME, SENDER, signed

SHA256 = Algorithm("2.16.840.1.101.3.4.2.1")
HMAC_SHA256 = Algorithm("1.2.840.113549.2.9", tlv.NULL)
MOMENT = datetime(2026, 11, 25, 1, 2, 3, tzinfo=UTC)
CONTROLS: tuple[ControlValue, ...] = (
    CMCStatusInfoV2(cmc_status=CMCStatus.SUCCESS, body_list=(1, 2**32 - 1)),
    CMCStatusInfoV2(
        cmc_status=CMCStatus.FAILED, body_list=(0,), status_string="nö", other_info=CMCFailInfo.BAD_IDENTITY
    ),
    CMCStatusInfo(cmc_status=CMCStatus.PENDING, body_list=(3,), other_info=PendInfo(b"token", MOMENT)),
    Identification("client"),
    IdentityProofV2(SHA256, HMAC_SHA256, b"witness"),
    PopLinkWitnessV2(SHA256, HMAC_SHA256, b"witness"),
    TransactionID(2**200),
    SenderNonce(b"sent"),
    RecipientNonce(b"received"),
    DataReturn(b""),
    RegInfo(b"in"),
    ResponseInfo(b"out"),
    QueryPending(b"token"),
    GetCert(SENDER, 4711),
    RevokeRequest(issuer_name=NAME, serial_number=5, reason=1),
    RevokeRequest(
        issuer_name=NAME, serial_number=5, reason=0, invalidity_date=MOMENT, shared_secret=b"secret", comment="lost"
    ),
    UnknownControl("1.3.6.1.5.5.7.7.24", (tlv.sequence(), tlv.NULL)),
)
ATTRIBUTES = tuple(TaggedAttribute(100 + number, value) for number, value in enumerate(CONTROLS))
FULL = PKIData(
    control_sequence=ATTRIBUTES,
    req_sequence=(
        TaggedCertificationRequest(1, tlv.sequence(tlv.integer(0))),
        TaggedCertReqMsg(signed()),
        OtherRequest(3, "1.2.3", tlv.NULL),
    ),
    cms_sequence=(TaggedContentInfo(4, tlv.sequence()),),
    other_msg_sequence=(OtherMsg(5, "1.2.3", tlv.NULL),),
)


@pytest.mark.parametrize("control", CONTROLS, ids=repr)
def test_every_control_comes_back(control: ControlValue) -> None:
    message = PKIData(control_sequence=(TaggedAttribute(1, control),))
    assert decode_pki_data(encode_pki_data(message)) == message


def test_everything_at_once_comes_back() -> None:
    encoded = encode_pki_data(FULL)
    read = decode_pki_data(encoded)
    assert read == FULL
    assert encode_pki_data(read) == encoded
    assert read.req_sequence_der in encoded
    response = PKIResponse(
        control_sequence=ATTRIBUTES, cms_sequence=FULL.cms_sequence, other_msg_sequence=FULL.other_msg_sequence
    )
    assert decode_pki_response(encode_pki_response(response)) == response


def test_another_implementation_reads_the_same() -> None:
    value, rest = decode(
        encode_pki_data(PKIData(control_sequence=ATTRIBUTES[:15], cms_sequence=())), asn1Spec=rfc6402.PKIData()
    )
    assert not rest
    for attribute, ours in zip(value["controlSequence"], ATTRIBUTES[:15], strict=True):
        assert attribute["bodyPartID"] == ours.body_part_id
        structure = rfc6402.cmcControlAttributesMap.get(attribute["attrType"])
        assert structure is not None, ours
        _, rest = decode(attribute["attrValues"][0], asn1Spec=structure)
        assert not rest


def test_secrets_are_not_in_a_repr() -> None:
    assert "secret" not in repr(CONTROLS[-2]).replace("shared_secret", "")
    assert "witness" not in repr(CONTROLS[4])


def control(attr_type: str, *values: bytes) -> bytes:
    return tlv.sequence(
        tlv.sequence(
            tlv.sequence(tlv.integer(1), tlv.object_identifier(attr_type), tlv.element(tlv.SET, b"".join(values)))
        ),
        *[tlv.sequence()] * 3,
    )


CMC = "1.3.6.1.5.5.7.7."
BAD = {
    "nothing": b"",
    "an empty sequence": tlv.sequence(),
    "trailing octets": encode_pki_data(PKIData()) + tlv.NULL,
    "a fifth list": tlv.sequence(*[tlv.sequence()] * 5),
    "two parts with one number": encode_pki_data(
        PKIData(control_sequence=(TaggedAttribute(1, TransactionID(1)), TaggedAttribute(1, SenderNonce(b""))))
    ),
    "a negative number": encode_pki_data(PKIData(control_sequence=(TaggedAttribute(-1, TransactionID(1)),))),
    "a number above 2^32": encode_pki_data(PKIData(control_sequence=(TaggedAttribute(2**32, TransactionID(1)),))),
    "too many requests": encode_pki_data(
        PKIData(req_sequence=tuple(TaggedCertificationRequest(number, tlv.sequence()) for number in range(17)))
    ),
    "too many controls": encode_pki_data(
        PKIData(control_sequence=tuple(TaggedAttribute(number, TransactionID(1)) for number in range(33)))
    ),
    "a control without value": control(CMC + "5"),
    "a control with two values": control(CMC + "6", *[tlv.element(tlv.OCTET_STRING, b"")] * 2),
    "a nonce of 4097 octets": control(CMC + "6", tlv.element(tlv.OCTET_STRING, bytes(4097))),
    "a transactionId of 33 octets": control(CMC + "5", tlv.element(tlv.INTEGER, b"\x01" * 33)),
    "an identification that is no UTF-8": control(CMC + "2", tlv.element(tlv.UTF8_STRING, b"\xff")),
    "an unknown status": control(CMC + "25", tlv.sequence(tlv.integer(1), tlv.sequence(tlv.integer(1)))),
    "a status of nothing": control(CMC + "25", tlv.sequence(tlv.integer(0), tlv.sequence())),
    "a pendTime that is a UTCTime": control(
        CMC + "25",
        tlv.sequence(
            tlv.integer(3),
            tlv.sequence(tlv.integer(1)),
            tlv.sequence(tlv.element(tlv.OCTET_STRING, b""), tlv.element(0x17, b"260101000000Z")),
        ),
    ),
    "an unknown kind of request": tlv.sequence(
        tlv.sequence(), tlv.sequence(tlv.element(0xA3, b"")), tlv.sequence(), tlv.sequence()
    ),
    "a CRMF request that is none": tlv.sequence(
        tlv.sequence(), tlv.sequence(tlv.element(0xA1, tlv.sequence())), tlv.sequence(), tlv.sequence()
    ),
    "too long": tlv.element(tlv.SEQUENCE, bytes(256 * 1024)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_pki_data_is_refused(data: bytes) -> None:
    with pytest.raises(CMCError):
        decode_pki_data(data)


@given(st.data())
def test_damaged_bytes_are_a_message_or_an_error(data: st.DataObject) -> None:
    octets = bytearray(encode_pki_data(FULL))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    with suppress(CMCError):
        message = decode_pki_data(bytes(octets))
        assert decode_pki_data(encode_pki_data(message)) == message


@given(st.binary(max_size=200))
def test_bytes_are_a_response_or_an_error(data: bytes) -> None:
    with suppress(CMCError):
        assert encode_pki_response(decode_pki_response(data)) == data


def test_a_general_name_that_nobody_has_is_an_error() -> None:
    with pytest.raises(CMCError):
        decode_pki_data(control(CMC + "15", tlv.sequence(b"\xa3\x00", tlv.integer(1))))
