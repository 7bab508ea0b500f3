from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given

from cspd.x509 import tlv
from protocols.cmp.codec import DecodeError, assemble, decode, decode_header, encode, protected_part
from protocols.cmp.limits import Limits
from protocols.cmp.messages import (
    BodyType,
    CertReqContent,
    GenMsgContent,
    InfoTypeAndValue,
    PKIBody,
    PKIConfirmContent,
    PKIMessage,
    PollReqContent,
    RevReqContent,
)
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from tests.protocols.cmp.vectors import BODIES, FULL_HEADER, HEADER, MESSAGES, STRUCTURE, VECTORS, message, nested

CONFIRM = PKIBody(BodyType.PKI_CONF, PKIConfirmContent())


@pytest.mark.parametrize("name", VECTORS)
def test_what_openssl_sent_is_written_as_it_came(name: str) -> None:
    assert encode(decode(VECTORS[name])) == VECTORS[name]


def test_the_vectors_have_every_kind_of_message() -> None:
    kinds = {decode(data).body.type for data in VECTORS.values()}
    assert kinds == {
        *(BodyType.IR, BodyType.IP, BodyType.CR, BodyType.CP, BodyType.P10CR, BodyType.KUR, BodyType.KUP),
        *(BodyType.RR, BodyType.RP, BodyType.GENM, BodyType.GENP, BodyType.ERROR, BodyType.CERT_CONF),
        *(BodyType.PKI_CONF, BodyType.POLL_REQ),
    }


def test_a_rejection_of_openssl_is_understood() -> None:
    content = decode(VECTORS["mac-rejected-1-rsp"]).body.content
    (response,) = content.response  # type: ignore[union-attr]  # a cp
    assert response.status.status is PKIStatus.REJECTION
    assert response.status.status_string == ("no such thing",)
    assert response.status.fail_info == {PKIFailureInfo.BAD_ALG, PKIFailureInfo.DUPLICATE_CERT_REQ}


def test_requests_of_openssl_are_understood() -> None:
    content = decode(VECTORS["signed-ir-1-req"]).body.content
    assert isinstance(content, CertReqContent)
    subject = content.messages[0].cert_req.cert_template.subject
    assert subject is not None
    assert subject.rfc4514_string() == "CN=New,O=Corpus"
    content = decode(VECTORS["signed-rr-1-req"]).body.content
    assert isinstance(content, RevReqContent)
    assert content.details[0].cert_details.serial_number is not None


def test_every_choice_of_the_body_is_read_and_written() -> None:
    assert {body.type for body in BODIES} == set(BodyType)
    for body in BODIES:
        for header in (HEADER, FULL_HEADER):
            made = PKIMessage(header, body, b"protection", (STRUCTURE,))
            assert decode(encode(made)) == made, body.type


@given(MESSAGES)
def test_messages_are_read_as_they_were_written(made: PKIMessage) -> None:
    data = encode(made)
    read = decode(data)
    assert read == made
    assert encode(read) == data


def test_a_message_is_made_around_its_protected_part() -> None:
    part = protected_part(HEADER, CONFIRM)
    made = assemble(part, b"signature", (STRUCTURE,))
    assert made == encode(PKIMessage(HEADER, CONFIRM, b"signature", (STRUCTURE,)))
    assert decode(made).protected_part_der == part


def test_nested_messages_keep_their_protected_parts() -> None:
    inner = PKIMessage(HEADER, CONFIRM, b"mac")
    read = decode(encode(PKIMessage(HEADER, nested(inner, inner))))
    assert [each.protected_part_der for each in read.body.content.messages] == [  # type: ignore[union-attr]  # nested
        protected_part(HEADER, CONFIRM)
    ] * 2


def test_the_header_of_a_broken_message_is_read() -> None:
    broken = tlv.sequence(protected_part(FULL_HEADER, CONFIRM)[2:][2:])
    data = encode(PKIMessage(FULL_HEADER, CONFIRM))
    assert decode_header(data) == FULL_HEADER
    assert decode_header(data.replace(b"\xb3\x02\x05\x00", b"\xb3\x02\x05\x01")) == FULL_HEADER
    assert decode_header(broken) is None
    assert decode_header(b"\x30\x00") is None
    assert decode_header(bytes(70 * 1024)) is None


def test_a_content_of_another_type_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="IP has a CertRepMessage, not a PollReqContent"):
        PKIBody(BodyType.IP, PollReqContent((0,)))


def _header(change: Callable[[bytes], bytes]) -> bytes:
    """A message whose encoding has been changed."""
    data = encode(PKIMessage(FULL_HEADER, CONFIRM, b"mac", (STRUCTURE,)))
    start, end = tlv.read_only(data, 0, len(data), tlv.SEQUENCE)
    return tlv.sequence(change(data[start:end]))


def _with_body(tag: int, contents: bytes) -> bytes:
    header_der = protected_part(HEADER, CONFIRM)
    start, end = tlv.read_only(header_der, 0, len(header_der), tlv.SEQUENCE)
    return tlv.sequence(header_der[start : end - 4], tlv.element(tag, contents))


def _error(status_info: bytes) -> bytes:
    return _with_body(0xB7, tlv.sequence(status_info))


_REJECTED = tlv.integer(2)

BAD = {
    "nothing": b"",
    "no sequence": b"\x31\x00",
    "trailing octet": encode(PKIMessage(HEADER, CONFIRM)) + b"\0",
    "indefinite length": b"\x30\x80" + encode(PKIMessage(HEADER, CONFIRM))[3:] + b"\0\0",
    "something after extraCerts": _header(lambda data: data + tlv.NULL),
    "extraCerts before protection": _header(lambda data: data[:-17] + data[-9:] + data[-17:-9]),
    "empty extraCerts": _header(lambda data: data[:-9] + b"\xa1\x02\x30\x00"),
    "protection with unused bits": _header(lambda data: data.replace(b"\x03\x04\x00mac", b"\x03\x04\x01mac")),
    "protection without octets": _header(lambda data: data[:-17] + b"\xa0\x02\x03\x00"),
    "attribute certificate": _header(lambda data: data[:-9] + b"\xa1\x07\x30\x05\xa1\x03\x02\x01\x07"),
    "fields out of order": _header(lambda data: data.replace(b"\xa2\x08", b"\xa3\x08", 1)),
    "sender that is no GeneralName": _header(lambda data: data.replace(b"\x82\x02ca", b"\x89\x02ca")),
    "time without zone": _header(lambda data: data.replace(b"30.12Z", b"30.123")),
    "time with a zero": _header(lambda data: data.replace(b"30.12Z", b"30.10Z")),
    "time of month 13": _header(lambda data: data.replace(b"20261125", b"20261325")),
    "text that is not UTF-8": _header(lambda data: data.replace(b"\xc3\xb6", b"\xff\xff")),
    "header of many texts": encode(PKIMessage(replace(HEADER, free_text=("x",) * 9), CONFIRM)),
    "long text": encode(PKIMessage(replace(HEADER, free_text=("x" * 5000,)), CONFIRM)),
    "long transactionID": encode(PKIMessage(replace(HEADER, transaction_id=bytes(257)), CONFIRM)),
    "large pvno": encode(PKIMessage(replace(HEADER, pvno=1 << 200), CONFIRM)),
    "many infos": encode(PKIMessage(replace(HEADER, general_info=(InfoTypeAndValue("1.2"),) * 33), CONFIRM)),
    "many certificates": encode(PKIMessage(HEADER, CONFIRM, None, (STRUCTURE,) * 25)),
    "large message": encode(PKIMessage(HEADER, CONFIRM, bytes(64 * 1024))),
    "body 27": _with_body(0xBB, tlv.NULL),
    "body that is primitive": _with_body(0x93, tlv.NULL),
    "body of two elements": _with_body(0xB3, tlv.NULL + tlv.NULL),
    "pkiConf that is no NULL": _with_body(0xB3, tlv.sequence()),
    "ir that is no CRMF": _with_body(0xA0, tlv.sequence(STRUCTURE)),
    "rr without details": _with_body(0xAB, tlv.sequence()),
    "many polls": _with_body(0xB9, tlv.sequence(*[tlv.sequence(tlv.integer(0))] * 17)),
    "status 7": _error(tlv.sequence(tlv.integer(7))),
    "failInfo without a bit": _error(tlv.sequence(_REJECTED, b"\x03\x01\x00")),
    "failInfo with a zero at its end": _error(tlv.sequence(_REJECTED, b"\x03\x02\x06\x80")),
    "failInfo of bit 27": _error(tlv.sequence(_REJECTED, b"\x03\x05\x04\x00\x00\x00\x10")),
    "failInfo of 40 bits": _error(tlv.sequence(_REJECTED, b"\x03\x06\x00\x80\x00\x00\x00\x01")),
    "nested in nested": encode(PKIMessage(HEADER, nested(PKIMessage(HEADER, nested(message()))))),
    "nothing nested": _with_body(0xB4, tlv.sequence()),
    "many nested": encode(PKIMessage(HEADER, nested(*[message()] * 17))),
    "deep": _with_body(0xB2, reduce(lambda inner, _: tlv.sequence(inner), range(40), b"")),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_message_is_bad_data_format(name: str) -> None:
    with pytest.raises(DecodeError) as raised:
        decode(BAD[name])
    assert raised.value.fail_info is PKIFailureInfo.BAD_DATA_FORMAT


@pytest.mark.parametrize(
    ("limits", "made"),
    [
        (Limits(requests=1), PKIMessage(HEADER, BODIES[0])),
        (Limits(general_info=1), PKIMessage(FULL_HEADER, CONFIRM)),
        (
            Limits(general_info=1),
            PKIMessage(HEADER, PKIBody(BodyType.GENM, GenMsgContent((InfoTypeAndValue("1.2"),) * 2))),
        ),
        (Limits(free_text_octets=4), PKIMessage(FULL_HEADER, CONFIRM)),
        (Limits(message_octets=50), PKIMessage(HEADER, CONFIRM)),
        (Limits(nested_messages=1), PKIMessage(HEADER, nested(message(), message()))),
    ],
)
def test_the_limits_of_the_operator_hold(limits: Limits, made: PKIMessage) -> None:
    assert decode(encode(made)) == made
    with pytest.raises(DecodeError):
        decode(encode(made), limits)
