"""What is in the envelope."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509 import tlv
from cspd.x509.csr import parse_csr
from protocols.scep.codec import decode
from protocols.scep.envelope import open_envelope
from protocols.scep.errors import UnreadableEnvelope
from protocols.scep.message_data import decode_message_data, encode_message_data
from protocols.scep.messages import (
    CertsOnly,
    IssuerAndSerialNumber,
    IssuerAndSubject,
    MessageData,
    MessageType,
    PKCS10Request,
)
from tests.protocols.scep.vectors import (
    PYSCEP,
    RECORDED_RA,
    VECTORS,
    counted,
    ec_key,
    ra_certificate,
    recorded_ra_key,
    rsa_key,
)
from tests.support.running import result_of
from tests.support.scep_client import EVERYTHING, csr_of, name_of, recipient_key

ISSUER, SUBJECT = name_of("a CA").public_bytes(), name_of("device").public_bytes()
CSR = csr_of(ec_key(), "device", "sesame")
CERTIFICATE = ra_certificate().public_bytes(Encoding.DER)
ENROLLMENTS = [each for each in MessageType if each.is_enrollment]


def test_three_types_are_enrollments() -> None:
    assert [each.value for each in ENROLLMENTS] == [17, 18, 19]


def recorded(name: str, vectors: Mapping[str, bytes] = VECTORS) -> MessageData:
    message = decode(vectors[name]).message
    assert message.pkcs_pki_envelope is not None
    keys = [recipient_key(recorded_ra_key(), RECORDED_RA)]
    work = open_envelope(message.pkcs_pki_envelope, keys, EVERYTHING, random_bytes=counted)
    return decode_message_data(message.message_type, result_of(work).content)


@pytest.mark.parametrize("name", [name for name in VECTORS if name != "strongswan-poll-2"])
def test_what_strongswan_asks_for_is_read(name: str) -> None:
    data = recorded(name)
    assert isinstance(data, PKCS10Request)
    assert data.csr.subject.rfc4514_string() == "CN=device,O=strongSwan,C=CH"
    assert data.csr.challenge_password == ("sesame" if name == "strongswan-enroll-1" else None)


def test_what_strongswan_polls_for_is_read() -> None:
    """The issuer that it names is the registration authority, whose certificate it was given to verify answers with."""
    data = recorded("strongswan-poll-2")
    asked = recorded("strongswan-poll-1")
    assert isinstance(asked, PKCS10Request)
    assert data == IssuerAndSubject(name_of("SCEP test RA").public_bytes(), asked.csr.subject.public_bytes())


@pytest.mark.parametrize("name", ["enroll", "enroll-sha1-des3"])
def test_the_request_of_pyscep_is_read(name: str) -> None:
    data = recorded(name, PYSCEP)
    assert isinstance(data, PKCS10Request)
    assert data.csr.challenge_password == "sesame"


def test_what_pyscep_asks_for_is_read() -> None:
    certificate = IssuerAndSerialNumber(name_of("SCEP test CA").public_bytes(), 4711)
    assert recorded("get-cert", PYSCEP) == recorded("get-crl", PYSCEP) == certificate
    assert recorded("poll", PYSCEP) == IssuerAndSubject(name_of("SCEP test CA").public_bytes(), SUBJECT)


@pytest.mark.parametrize("message_type", ENROLLMENTS)
def test_a_certification_request_is_read(message_type: MessageType) -> None:
    data = decode_message_data(message_type, CSR)
    assert data == PKCS10Request(CSR, parse_csr(CSR))
    assert isinstance(data, PKCS10Request)
    assert data.csr.challenge_password == "sesame"
    assert "sesame" not in repr(data.csr)
    assert encode_message_data(data) == CSR


@pytest.mark.parametrize(
    ("message_type", "data"),
    [
        (MessageType.CERT_POLL, IssuerAndSubject(ISSUER, SUBJECT)),
        (MessageType.GET_CERT, IssuerAndSerialNumber(ISSUER, 2**159)),
        (MessageType.GET_CRL, IssuerAndSerialNumber(ISSUER, 1)),
        (MessageType.CERT_REP, CertsOnly((CERTIFICATE,))),
        (MessageType.CERT_REP, CertsOnly((), (tlv.sequence(tlv.sequence()),))),
    ],
)
def test_what_is_written_is_read(message_type: MessageType, data: MessageData) -> None:
    assert decode_message_data(message_type, encode_message_data(data)) == data


@given(st.integers(-(2**160), 2**160))
def test_any_serial_number_is_written_and_read(serial_number: int) -> None:
    data = IssuerAndSerialNumber(ISSUER, serial_number)
    assert decode_message_data(MessageType.GET_CERT, encode_message_data(data)) == data


@pytest.mark.parametrize("message_type", MessageType)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x30\x80\x00\x00", id="BER"),
        pytest.param(tlv.sequence(), id="empty"),
        pytest.param(tlv.sequence(ISSUER), id="half"),
        pytest.param(tlv.sequence(tlv.integer(1), tlv.integer(1)), id="no Name"),
        pytest.param(tlv.sequence(ISSUER, SUBJECT, tlv.NULL), id="more"),
        pytest.param(tlv.sequence(ISSUER, tlv.integer(1)) + b"\0", id="more behind it"),
        pytest.param(CSR[:-1] + bytes((CSR[-1] ^ 1,)), id="the signature of another request"),
        pytest.param(CSR.replace(b"sesame", b"Sesame"), id="a request that was changed"),
        pytest.param(CSR + b"\0", id="more behind a request"),
        pytest.param(csr_of(rsa_key("device"), "device")[:-20], id="a request cut short"),
    ],
)
def test_anything_else_is_refused_as_an_envelope_that_does_not_open(message_type: MessageType, content: bytes) -> None:
    with pytest.raises(UnreadableEnvelope, match=r".") as refused:
        decode_message_data(message_type, content)
    assert refused.value.fail_info_text == "the pkcsPKIEnvelope cannot be read"
