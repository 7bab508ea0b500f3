"""pkiMessage to value and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509 import tlv
from cspd.x509.cms.signed import encode_certs_only, encode_content_info, read_signed_data
from cspd.x509.cms.signing import SignedDataBuilder
from cspd.x509.cms.values import DATA, SIGNED_DATA, SIGNING_TIME
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import read_algorithm
from protocols.scep.codec import (
    FAIL_INFO,
    MESSAGE_TYPE,
    PKI_STATUS,
    RECIPIENT_NONCE,
    SENDER_NONCE,
    TRANSACTION_ID,
    decode,
)
from protocols.scep.errors import DecodeError
from protocols.scep.limits import Limits
from protocols.scep.messages import FailInfo, MessageType, PKIMessage, PKIStatus
from tests.protocols.scep.vectors import VECTORS, ec_key, indefinite, ra_certificate, rsa_key
from tests.support.running import result_of
from tests.support.scep_client import certificate_of, signer_with

TYPES = {"poll-2": MessageType.CERT_POLL, "renew-1": MessageType.RENEWAL_REQ}
FINISHED = (PKIStatus.PENDING, PKIStatus.FAILURE)
RA_DER = ra_certificate().public_bytes(Encoding.DER)


@pytest.mark.parametrize("name", VECTORS)
def test_what_strongswan_sent_is_read(name: str) -> None:
    received = decode(VECTORS[name])
    message = received.message
    assert message.message_type is TYPES.get(name.removeprefix("strongswan-"), MessageType.PKCS_REQ)
    assert len(message.transaction_id) == 40
    assert len(message.sender_nonce) == 16
    assert message.recipient_nonce is message.pki_status is message.fail_info is None
    assert message.pkcs_pki_envelope is not None
    assert received.is_self_signed is not name.endswith("renew-1")


@pytest.mark.parametrize("name", VECTORS)
def test_indefinite_lengths_mean_the_same(name: str) -> None:
    ber = indefinite(VECTORS[name])
    assert ber[1] == 0x80
    assert decode(ber).message == decode(VECTORS[name]).message
    assert decode(ber).signer_info == decode(VECTORS[name]).signer_info


@st.composite
def messages(draw: st.DrawFn) -> PKIMessage:
    """Any message that exists."""
    message_type = draw(st.sampled_from(MessageType))
    status = draw(st.sampled_from(PKIStatus)) if message_type is MessageType.CERT_REP else None
    failed = status is PKIStatus.FAILURE
    nonces = st.binary(min_size=1, max_size=64)
    times = st.datetimes(datetime(1951, 1, 1), datetime(2049, 12, 31)) | st.datetimes(datetime(2050, 1, 1))
    printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=256)
    signing_time = draw(st.none() | times.map(lambda each: each.replace(microsecond=0, tzinfo=UTC)))
    return PKIMessage(
        message_type=message_type,
        transaction_id=draw(printable),
        sender_nonce=draw(nonces),
        recipient_nonce=draw(st.none() | nonces),
        pki_status=status,
        fail_info=draw(st.sampled_from(FailInfo)) if failed else None,
        fail_info_text=draw(st.none() | st.text(min_size=1, max_size=200)) if failed else None,
        signing_time=signing_time,
        pkcs_pki_envelope=None if status in FINISHED else draw(st.binary(min_size=1, max_size=40)),
    )


@given(messages())
def test_what_is_written_is_read(message: PKIMessage) -> None:
    signer = signer_with(ec_key(), certificate_of(ec_key(), "device"), hashes.SHA256())
    assert decode(result_of(signer.sign(message))).message == message


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"message_type": MessageType.CERT_REP}, id="an answer without status"),
        pytest.param({"pki_status": PKIStatus.SUCCESS}, id="a request with status"),
        pytest.param({"fail_info": FailInfo.BAD_ALG}, id="failInfo without failure"),
        pytest.param({"fail_info_text": "no"}, id="failInfoText without failure"),
        pytest.param({"pkcs_pki_envelope": None}, id="a request of nothing"),
        pytest.param(
            {"message_type": MessageType.CERT_REP, "pki_status": PKIStatus.PENDING}, id="pending with an envelope"
        ),
        pytest.param(
            {"message_type": MessageType.CERT_REP, "pki_status": PKIStatus.FAILURE, "pkcs_pki_envelope": None},
            id="failure without failInfo",
        ),
    ],
)
def test_messages_that_do_not_exist_cannot_be_made(changes: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "message_type": MessageType.PKCS_REQ,
        "transaction_id": "1",
        "sender_nonce": b"n",
        "pkcs_pki_envelope": b"e",
    }
    with pytest.raises(ValueError, match=r"Status|failInfo|nvelope"):
        PKIMessage(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_answer_that_gives_nothing_has_a_content_of_no_octets() -> None:
    message = PKIMessage(
        message_type=MessageType.CERT_REP,
        transaction_id="1",
        sender_nonce=b"n",
        recipient_nonce=b"r",
        pki_status=PKIStatus.PENDING,
    )
    written = result_of(signer_with(rsa_key("ra now"), ra_certificate(), hashes.SHA256()).sign(message))
    assert read_signed_data(written).content == b""
    assert decode(written).message.pkcs_pki_envelope is None


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA512()])
def test_signatures_of_rsa_are_named_as_pkcs7_named_them(digest: hashes.SHA256) -> None:
    message = PKIMessage(
        message_type=MessageType.CERT_POLL, transaction_id="1", sender_nonce=b"n", pkcs_pki_envelope=b"e"
    )
    signer = signer_with(rsa_key("ra now"), ra_certificate(), digest)
    info = decode(result_of(signer.sign(message))).signer_info
    assert info.signature_algorithm == read_algorithm(bytes.fromhex("300d06092a864886f70d0101010500"))


def printable(text: str) -> bytes:
    return tlv.element(0x13, text.encode())


def octet_string(octets: bytes) -> bytes:
    return tlv.element(tlv.OCTET_STRING, octets)


ATTRIBUTES = {
    MESSAGE_TYPE: [printable("19")],
    TRANSACTION_ID: [printable("T1")],
    SENDER_NONCE: [octet_string(b"nonce")],
}


def signed(attributes: dict[str, list[bytes]], content: bytes | None = b"content", content_type: str = DATA) -> bytes:
    """A message with these attributes, whose signature is none: the codec does not look at it."""
    builder = SignedDataBuilder(RA_DER, hashes.SHA256(), tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.11")))
    return builder.message(content_type, content, builder.signed_attributes(content_type, content, attributes), b"none")


def test_the_table_below_begins_with_a_message() -> None:
    assert decode(signed(ATTRIBUTES)).message.transaction_id == "T1"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({MESSAGE_TYPE: None}, "without messageType", id="no messageType"),
        pytest.param({TRANSACTION_ID: None}, "without messageType, transactionID", id="no transactionID"),
        pytest.param({SENDER_NONCE: None}, "or senderNonce", id="no senderNonce"),
        pytest.param({MESSAGE_TYPE: [printable("4")]}, "MessageType of '4'", id="unknown messageType"),
        pytest.param({MESSAGE_TYPE: [printable("019")]}, "more than 2", id="messageType with zero"),
        pytest.param({MESSAGE_TYPE: [printable("+3")]}, "MessageType of", id="messageType with sign"),
        pytest.param({MESSAGE_TYPE: [tlv.integer(19)]}, "identifier 0x02", id="messageType a number"),
        pytest.param({MESSAGE_TYPE: [printable("19"), printable("20")]}, "2 values", id="two messageTypes"),
        pytest.param({MESSAGE_TYPE: []}, "0 values", id="no value"),
        pytest.param({TRANSACTION_ID: [printable("")]}, "none or more", id="empty transactionID"),
        pytest.param({TRANSACTION_ID: [printable("x" * 257)]}, "more than 256", id="long transactionID"),
        pytest.param({TRANSACTION_ID: [printable("a\nb")]}, "not printable", id="transactionID of two lines"),
        pytest.param({TRANSACTION_ID: [tlv.element(0x0C, b"T1")]}, "identifier 0x0c", id="transactionID in UTF-8"),
        pytest.param({SENDER_NONCE: [octet_string(bytes(65))]}, "more than 64", id="long senderNonce"),
        pytest.param({SENDER_NONCE: [printable("n")]}, "identifier 0x13", id="senderNonce as text"),
        pytest.param({RECIPIENT_NONCE: [octet_string(b"")]}, "none or more", id="empty recipientNonce"),
        pytest.param({MESSAGE_TYPE: [printable("3")]}, "pkiStatus belongs", id="answer without status"),
        pytest.param(
            {MESSAGE_TYPE: [printable("3")], PKI_STATUS: [printable("1")]}, "PKIStatus of '1'", id="unknown pkiStatus"
        ),
        pytest.param(
            {MESSAGE_TYPE: [printable("3")], PKI_STATUS: [printable("2")], FAIL_INFO: [printable("5")]},
            "FailInfo of '5'",
            id="unknown failInfo",
        ),
    ],
)
def test_attributes_that_are_not_so_are_refused(changes: dict[str, list[bytes] | None], text: str) -> None:
    attributes = {oid: values for oid, values in {**ATTRIBUTES, **changes}.items() if values is not None}
    with pytest.raises(DecodeError, match=text):
        decode(signed(attributes))


def test_attributes_of_answers_mean_nothing_in_requests() -> None:
    received = decode(signed({**ATTRIBUTES, PKI_STATUS: [printable("7")], FAIL_INFO: [], "1.2.3": [tlv.NULL]}))
    assert received.message.pki_status is received.message.fail_info is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (tlv.element(0x17, b"491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (tlv.element(0x18, b"20500101000000Z"), datetime(2050, 1, 1, tzinfo=UTC)),
        (tlv.element(0x17, b"4912312359Z"), None),
        (tlv.element(0x17, b"\xff912312359Z"), None),
        (printable("today"), None),
        (b"\x05\x00", None),
    ],
)
def test_a_signing_time_that_is_none_is_no_error(value: bytes, expected: datetime | None) -> None:
    assert decode(signed({**ATTRIBUTES, SIGNING_TIME: [value]})).message.signing_time == expected


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"", "cut short", id="nothing"),
        pytest.param(b"GET / HTTP/1.1", "not a pkiMessage", id="text"),
        pytest.param(signed(ATTRIBUTES) + b"\0", "something follows", id="more behind it"),
        pytest.param(signed(ATTRIBUTES, None), "no pkcsPKIEnvelope", id="no content"),
        pytest.param(signed(ATTRIBUTES, b""), "no pkcsPKIEnvelope", id="empty content"),
        pytest.param(signed(ATTRIBUTES, content_type="1.2.840.113549.1.7.3"), "no data", id="another content"),
        pytest.param(encode_certs_only([RA_DER]), "one signer", id="no signer"),
        pytest.param(signed(ATTRIBUTES, bytes(70_000)), "more than 65536 octets", id="too long"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        decode(data)


def test_two_signers_are_one_too_many() -> None:
    message = signed(ATTRIBUTES)
    signer_infos = _signer_infos(message)
    assert decode(_with_signer_infos(message, signer_infos)).message.transaction_id == "T1"
    with pytest.raises(DecodeError, match="one signer"):
        decode(_with_signer_infos(message, signer_infos * 2))


def _parts(message: bytes) -> list[bytes]:
    info = Cursor.over(message).enter(tlv.SEQUENCE)
    info.element()
    return list(info.enter(0xA0).enter(tlv.SEQUENCE).elements())


def _signer_infos(message: bytes) -> bytes:
    start, stop = tlv.read_only(last := _parts(message)[-1], 0, len(last), tlv.SET)
    return last[start:stop]


def _with_signer_infos(message: bytes, signer_infos: bytes) -> bytes:
    parts = [*_parts(message)[:-1], tlv.element(tlv.SET, signer_infos)]
    return encode_content_info(SIGNED_DATA, tlv.sequence(*parts))


def _with_certificate(message: bytes, certificate_der: bytes) -> bytes:
    parts = _parts(message)
    parts[3] = tlv.element(0xA0, certificate_der)
    return encode_content_info(SIGNED_DATA, tlv.sequence(*parts))


def test_the_signers_certificate_must_be_there() -> None:
    other = certificate_of(ec_key(), "somebody else").public_bytes(Encoding.DER)
    with pytest.raises(DecodeError, match="certificate is not there"):
        decode(_with_certificate(signed(ATTRIBUTES), other))


def test_limits_are_the_callers() -> None:
    with pytest.raises(DecodeError, match="more than 1 octets"):
        decode(signed(ATTRIBUTES), Limits(transaction_id_octets=1))
