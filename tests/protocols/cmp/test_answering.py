from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from protocols.cmp.answering import answer_header
from protocols.cmp.general_names import directory_name, shared_secret_reference, subject_of
from protocols.cmp.messages import (
    NULL_DN_DER,
    BodyType,
    CertConfirmContent,
    CertStatus,
    InfoTypeAndValue,
    PKIBody,
    PKIHeader,
)
from tests.protocols.cmp.vectors import CLIENT, HEADER, NOW, SHA256, message

PLAIN = message(BodyType.PKI_CONF).body
NEEDS_3 = PKIBody(BodyType.CERT_CONF, CertConfirmContent((CertStatus(b"#", 0, None, SHA256),)))


def test_an_answer_repeats_what_the_request_said() -> None:
    item = InfoTypeAndValue("1.2.3")
    header = answer_header(
        HEADER,
        PLAIN,
        sender_der=b"\x82\x02ca",
        sender_nonce=b"n" * 16,
        now=NOW.replace(microsecond=1),
        sender_kid=b"kid",
        general_info=(item,),
    )
    assert header == PKIHeader(
        sender_der=b"\x82\x02ca",
        recipient_der=HEADER.sender_der,
        message_time=NOW,
        sender_kid=b"kid",
        transaction_id=HEADER.transaction_id,
        sender_nonce=b"n" * 16,
        recip_nonce=HEADER.sender_nonce,
        general_info=(item,),
    )


@pytest.mark.parametrize(
    ("asked", "body", "pvno"), [(2, PLAIN, 2), (3, PLAIN, 3), (2, NEEDS_3, 3), (1, PLAIN, 2), (9, PLAIN, 2)]
)
def test_the_version_is_that_of_the_request_or_what_the_body_needs(asked: int, body: PKIBody, pvno: int) -> None:
    header = answer_header(replace(HEADER, pvno=asked), body, sender_der=NULL_DN_DER, sender_nonce=b"n" * 16, now=NOW)
    assert header.pvno == pvno


def test_a_secret_is_named_by_sender_kid_or_common_name() -> None:
    assert shared_secret_reference(replace(HEADER, sender_kid=b"kid")) == b"kid"
    assert shared_secret_reference(HEADER) == b"client"
    country = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "AT")])
    for sender_der in (NULL_DN_DER, directory_name(country), b"\x82\x06client"):
        assert shared_secret_reference(replace(HEADER, sender_der=sender_der)) is None


def test_a_directory_name_is_read() -> None:
    assert subject_of(directory_name(CLIENT)) == CLIENT
    assert subject_of(NULL_DN_DER) == x509.Name([])
    for wrong in (b"\x82\x02ca", b"\xa4\x02\x31\x00", b"", b"\xa4\x02\x30\x00\x00"):
        assert subject_of(wrong) is None
