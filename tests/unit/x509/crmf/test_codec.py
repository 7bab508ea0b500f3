"""What is written is read, OpenSSL's messages octet for octet, and what is no DER of one is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509

from cspd.x509 import tlv
from cspd.x509.crmf import decoding
from cspd.x509.crmf.controls import MAX_ATTRIBUTES
from cspd.x509.crmf.decoding import (
    decode_cert_id,
    decode_cert_req_messages,
    decode_cert_req_msg,
    decode_cert_template,
    decode_control,
)
from cspd.x509.crmf.encoding import (
    encode_cert_id,
    encode_cert_req_messages,
    encode_cert_req_msg,
    encode_cert_template,
    encode_control,
)
from cspd.x509.crmf.messages import (
    AttributeTypeAndValue,
    CertTemplate,
    Control,
    CRMFError,
    OldCertID,
    ProofOfPossession,
    RAVerified,
)
from tests.unit.x509.crmf.requests import (
    CONTROLS,
    CORPUS,
    FULL_TEMPLATE,
    PROOFS,
    PUBLIC_KEY_DER,
    message,
    signed,
)


@pytest.mark.parametrize("name", CORPUS)
def test_what_openssl_sent_is_read_and_written_octet_for_octet(name: str) -> None:
    messages = decode_cert_req_messages(CORPUS[name])
    assert encode_cert_req_messages(messages) == CORPUS[name]
    assert messages[0].cert_req.encoded in CORPUS[name]


def test_what_openssl_asked_for_is_understood() -> None:
    (asked,) = decode_cert_req_messages(CORPUS["openssl-ir-rsa-sans-days.crmf"])
    template = asked.cert_req.cert_template
    assert template.subject == x509.Name.from_rfc4514_string("CN=client")
    assert template.validity is not None
    assert template.validity.not_before is not None
    assert template.validity.not_after is not None
    assert (template.validity.not_after - template.validity.not_before).days == 30
    assert template.extensions is not None
    assert [extension.extn_id for extension in template.extensions] == ["2.5.29.17"]
    assert asked.cert_req.cert_req_id == 0


def test_the_certificate_that_openssl_replaces_is_named() -> None:
    (asked,) = decode_cert_req_messages(CORPUS["openssl-kur.crmf"])
    (control,) = asked.cert_req.controls
    assert isinstance(control, OldCertID)
    assert isinstance(control.cert_id.issuer, x509.DirectoryName)


@pytest.mark.parametrize("popo", PROOFS, ids=repr)
def test_every_proof_of_possession_comes_back(popo: ProofOfPossession | None) -> None:
    messages = (message(popo=popo, controls=CONTROLS[:1]), message())
    assert decode_cert_req_messages(encode_cert_req_messages(messages)) == messages


@pytest.mark.parametrize("control", CONTROLS, ids=repr)
def test_every_control_comes_back(control: Control) -> None:
    assert decode_control(encode_control(control)) == control


@pytest.mark.parametrize("template", [CertTemplate(), CertTemplate(subject=x509.Name([])), FULL_TEMPLATE], ids=repr)
def test_a_template_comes_back(template: CertTemplate) -> None:
    assert decode_cert_template(encode_cert_template(template)) == template


def test_registration_information_and_a_cert_id_come_back() -> None:
    sent = replace(message(), reg_info=(AttributeTypeAndValue("1.3.6.1.5.5.7.5.2.1", tlv.NULL),))
    assert decode_cert_req_msg(encode_cert_req_msg(sent)) == sent
    old = CONTROLS[9]
    assert isinstance(old, OldCertID)
    assert decode_cert_id(encode_cert_id(old.cert_id)) == old.cert_id


def test_a_generalized_time_of_this_century_is_read() -> None:
    text = tlv.element(tlv.GENERALIZED_TIME, b"20260102030405Z")
    template = decode_cert_template(tlv.sequence(tlv.element(0xA4, tlv.element(0xA0, text))))
    assert template.validity is not None
    assert template.validity.not_before == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_secrets_are_not_in_a_repr() -> None:
    shown = repr(message(controls=CONTROLS))
    assert "secret" not in shown
    assert "tökén" not in shown


def template_of(*fields: bytes) -> bytes:
    return tlv.sequence(*fields)


def validity_of(text: bytes, identifier: int = 0x17) -> bytes:
    return template_of(tlv.element(0xA4, tlv.element(0xA0, tlv.element(identifier, text))))


BAD_TEMPLATES = {
    "an unknown field": template_of(tlv.element(0xAA, b"")),
    "fields out of order": template_of(tlv.element(0x81, b"\x01"), tlv.element(0x80, b"\x02")),
    "a field twice": template_of(tlv.element(0x80, b"\x02"), tlv.element(0x80, b"\x02")),
    "an integer with a superfluous octet": template_of(tlv.element(0x81, b"\x00\x01")),
    "an empty integer": template_of(tlv.element(0x81, b"")),
    "a huge integer": template_of(tlv.element(0x81, b"\x01" * 33)),
    "no extension": template_of(tlv.element(0xA9, b"")),
    "33 extensions": template_of(
        tlv.element(0xA9, tlv.sequence(tlv.object_identifier("1.2"), tlv.element(tlv.OCTET_STRING, b"")) * 33)
    ),
    "critical false": template_of(
        tlv.element(
            0xA9, tlv.sequence(tlv.object_identifier("1.2"), b"\x01\x01\x00", tlv.element(tlv.OCTET_STRING, b""))
        )
    ),
    "no validity": template_of(tlv.element(0xA4, b"")),
    "a time without seconds": validity_of(b"2601020304Z"),
    "a time that is not": validity_of(b"260231030405Z"),
    "a time with a zone": validity_of(b"260201030405+0100"),
    "a time with a fraction": validity_of(b"20260102030405.5Z", tlv.GENERALIZED_TIME),
    "a name of nonsense": template_of(tlv.element(0xA5, tlv.sequence(tlv.NULL))),
    "a name and more": template_of(tlv.element(0xA5, tlv.sequence() + tlv.NULL)),
    "a key without bits": template_of(tlv.element(0xA6, tlv.sequence(tlv.object_identifier("1.2")))),
    "unused bits that are set": template_of(tlv.element(0x87, b"\x01\x01")),
    "nine unused bits": template_of(tlv.element(0x87, b"\x09\x00")),
}


@pytest.mark.parametrize("data", BAD_TEMPLATES.values(), ids=BAD_TEMPLATES)
def test_a_bad_template_is_refused(data: bytes) -> None:
    with pytest.raises(CRMFError):
        decode_cert_template(data)


GOOD = encode_cert_req_msg(signed())
BAD_MESSAGES = {
    "nothing": b"",
    "no message": tlv.sequence(),
    "an empty message": tlv.sequence(tlv.sequence()),
    "33 messages": tlv.sequence(GOOD * 33),
    "trailing octets": tlv.sequence(GOOD) + b"\x05\x00",
    "indefinite length": b"\x30\x80" + GOOD + b"\x00\x00",
    "too long": tlv.sequence(GOOD * (decoding.MAX_MESSAGES_OCTETS // len(GOOD) + 1)),
    "an empty regInfo": tlv.sequence(tlv.sequence(tlv.sequence(tlv.integer(0), tlv.sequence()), tlv.sequence())),
    "an unknown proof": tlv.sequence(tlv.sequence(tlv.sequence(tlv.integer(0), tlv.sequence()), b"\x84\x00")),
    "raVerified with contents": tlv.sequence(
        tlv.sequence(tlv.sequence(tlv.integer(0), tlv.sequence()), b"\x80\x01\x00")
    ),
    "no controls in controls": tlv.sequence(tlv.sequence(tlv.sequence(tlv.integer(0), tlv.sequence(), tlv.sequence()))),
    "too many controls": tlv.sequence(
        tlv.sequence(
            tlv.sequence(
                tlv.integer(0), tlv.sequence(), tlv.sequence(*[encode_control(CONTROLS[0])] * (MAX_ATTRIBUTES + 1))
            )
        )
    ),
}


@pytest.mark.parametrize("data", BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_a_bad_message_is_refused(data: bytes) -> None:
    with pytest.raises(CRMFError):
        decode_cert_req_messages(data)


BAD_CONTROLS = {
    "a token that is no text": ("1.3.6.1.5.5.7.5.1.1", tlv.element(tlv.UTF8_STRING, b"\xff")),
    "a token of another type": ("1.3.6.1.5.5.7.5.1.1", tlv.NULL),
    "a token that is too long": ("1.3.6.1.5.5.7.5.1.1", tlv.element(tlv.UTF8_STRING, b"a" * 1025)),
    "an unknown action": ("1.3.6.1.5.5.7.5.1.3", tlv.sequence(tlv.integer(2))),
    "an archive flag of 1": ("1.3.6.1.5.5.7.5.1.4", b"\x82\x01\x01"),
    "a key that is none": ("1.3.6.1.5.5.7.5.1.6", tlv.sequence(PUBLIC_KEY_DER)),
    "an old certificate without number": ("1.3.6.1.5.5.7.5.1.5", tlv.sequence(b"\x82\x01a")),
}


@pytest.mark.parametrize(("type", "value"), BAD_CONTROLS.values(), ids=BAD_CONTROLS)
def test_a_bad_control_is_refused(type: str, value: bytes) -> None:
    with pytest.raises(CRMFError):
        decode_control(tlv.sequence(tlv.object_identifier(type), value))


def test_ra_verified_is_a_null() -> None:
    assert encode_cert_req_msg(message(popo=RAVerified())).endswith(b"\x80\x00")
