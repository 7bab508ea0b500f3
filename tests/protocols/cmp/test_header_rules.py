from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509 import tlv
from cspd.x509.crmf.messages import EncryptedKey
from cspd.x509.signatures import Algorithm
from protocols.cmp.codec import decode
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.header_rules import (
    FIRST_BODIES,
    FOLLOW_UP_BODIES,
    HeaderPolicy,
    PreviousAnswer,
    check_first,
    check_follow_up,
    check_signer,
    check_unused,
    needed_version,
    protection_certificate,
    require_protection,
)
from protocols.cmp.info_types import IMPLICIT_CONFIRM
from protocols.cmp.mac_algorithms import PasswordBasedMAC
from protocols.cmp.messages import (
    CMP2000,
    CMP2021,
    NULL_DN_DER,
    BodyType,
    CertConfirmContent,
    CertifiedKeyPair,
    CertRepMessage,
    CertResponse,
    CertStatus,
    InfoTypeAndValue,
    PKIBody,
    PKIMessage,
)
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.status import PKIFailureInfo
from tests.protocols.cmp.vectors import ACCEPTED, HEADER, NOW, SHA256, STRUCTURE, VECTORS, certificate, message

ECDSA = Algorithm("1.2.840.10045.4.3.2")
MAC = PasswordBasedMAC(b"salt", 100).algorithm
FIRST = replace(message(BodyType.IR, replace(HEADER, protection_alg=ECDSA)), protection=b"signature")
PREVIOUS = PreviousAnswer(bytes(range(16)), b"n" * 16, ProtectionKind.SIGNATURE)
CONFIRM = PKIBody(BodyType.CERT_CONF, CertConfirmContent((CertStatus(b"#" * 32, 0),)))
FOLLOW_UP = PKIMessage(replace(FIRST.header, recip_nonce=PREVIOUS.sender_nonce), CONFIRM, b"signature")
CONFIRM_WITH_HASH = PKIBody(BodyType.CERT_CONF, CertConfirmContent((CertStatus(b"#" * 32, 0, None, SHA256),)))
IMPLICIT = (InfoTypeAndValue(IMPLICIT_CONFIRM, tlv.NULL),)


def _with(made: PKIMessage, **changes: Any) -> PKIMessage:
    return replace(made, header=replace(made.header, **changes))


def test_what_openssl_begins_with_is_accepted() -> None:
    for name, data in VECTORS.items():
        if name.endswith("-1-req") and "unprotected" not in name:
            made = decode(data)
            assert made.header.message_time is not None
            check_first(made, made.header.message_time + timedelta(minutes=4))
            require_protection(made)


def test_what_openssl_goes_on_with_is_accepted() -> None:
    for name in ("mac-ir-2-req", "mac-poll-3-req", "signed-ir-2-req", "signed-kur-2-req"):
        made = decode(VECTORS[name])
        number = int(name.split("-")[-2]) - 1
        previous = decode(VECTORS[f"{name[:-6]}-{number}-rsp"]).header
        assert made.header.message_time is not None
        assert previous.transaction_id is not None
        assert previous.sender_nonce is not None
        kind = ProtectionKind.MAC if name.startswith("mac") else ProtectionKind.SIGNATURE
        answer = PreviousAnswer(previous.transaction_id, previous.sender_nonce, kind)
        check_follow_up(made, made.header.message_time, answer)


BAD = PKIFailureInfo
BOTH: dict[str, tuple[dict[str, Any], PKIFailureInfo]] = {
    "pvno 1": ({"pvno": 1}, BAD.UNSUPPORTED_VERSION),
    "pvno 4": ({"pvno": 4}, BAD.UNSUPPORTED_VERSION),
    "no senderNonce": ({"sender_nonce": None}, BAD.BAD_SENDER_NONCE),
    "a senderNonce of 120 bits": ({"sender_nonce": bytes(15)}, BAD.BAD_SENDER_NONCE),
    "no transactionID": ({"transaction_id": None}, BAD.BAD_DATA_FORMAT),
    "a time too early": ({"message_time": NOW - timedelta(minutes=5, seconds=1)}, BAD.BAD_TIME),
    "a time too late": ({"message_time": NOW + timedelta(minutes=5, seconds=1)}, BAD.BAD_TIME),
    "protection without protectionAlg": ({"protection_alg": None}, BAD.BAD_MESSAGE_CHECK),
    "an unknown protectionAlg": ({"protection_alg": Algorithm("1.2.3")}, BAD.BAD_ALG),
    "a MAC by nobody": ({"protection_alg": MAC, "sender_der": NULL_DN_DER}, BAD.BAD_MESSAGE_CHECK),
    "a MAC by a host": ({"protection_alg": MAC, "sender_der": b"\x82\x01h"}, BAD.BAD_MESSAGE_CHECK),
    "implicitConfirm with a value": (
        {"general_info": (InfoTypeAndValue(IMPLICIT_CONFIRM, tlv.TRUE),)},
        BAD.BAD_REQUEST,
    ),
}


@pytest.mark.parametrize("name", BOTH)
def test_a_header_that_breaks_a_rule_is_refused(name: str) -> None:
    changes, fail_info = BOTH[name]
    with pytest.raises(PKIMessageRejected) as raised:
        check_first(_with(FIRST, **changes), NOW)
    assert raised.value.fail_info is fail_info
    with pytest.raises(PKIMessageRejected) as raised:
        check_follow_up(_with(FOLLOW_UP, **changes), NOW, PREVIOUS)
    assert raised.value.fail_info is fail_info


GOOD: dict[str, dict[str, Any]] = {
    "as it is": {},
    "pvno 3": {"pvno": 3},
    "no time": {"message_time": None},
    "a time five minutes ago": {"message_time": NOW - timedelta(minutes=5)},
    "a long senderNonce": {"sender_nonce": bytes(64)},
    "an item that we do not know": {"general_info": (InfoTypeAndValue("1.2.3"),)},
    "another recipient": {"recipient_der": b"\x82\x01h"},
}


@pytest.mark.parametrize("name", GOOD)
def test_what_the_rules_leave_open_is_accepted(name: str) -> None:
    check_first(_with(FIRST, **GOOD[name]), NOW)
    check_follow_up(_with(FOLLOW_UP, **GOOD[name]), NOW, PREVIOUS)


@pytest.mark.parametrize(
    ("made", "fail_info"),
    [
        pytest.param(_with(FIRST, transaction_id=bytes(15)), BAD.BAD_DATA_FORMAT, id="short transactionID"),
        pytest.param(_with(FIRST, transaction_id=bytes(17)), BAD.BAD_DATA_FORMAT, id="long transactionID"),
        pytest.param(_with(FIRST, recip_nonce=bytes(16)), BAD.BAD_RECIPIENT_NONCE, id="recipNonce"),
        pytest.param(replace(FIRST, protection=None), BAD.BAD_MESSAGE_CHECK, id="protectionAlg without protection"),
    ],
)
def test_a_first_message_that_breaks_a_rule_is_refused(made: PKIMessage, fail_info: PKIFailureInfo) -> None:
    with pytest.raises(PKIMessageRejected) as raised:
        check_first(made, NOW)
    assert raised.value.fail_info is fail_info


@pytest.mark.parametrize(
    ("made", "fail_info"),
    [
        pytest.param(_with(FOLLOW_UP, transaction_id=b"x" * 16), BAD.BAD_DATA_FORMAT, id="another transactionID"),
        pytest.param(_with(FOLLOW_UP, recip_nonce=None), BAD.BAD_RECIPIENT_NONCE, id="no recipNonce"),
        pytest.param(_with(FOLLOW_UP, recip_nonce=b"x" * 16), BAD.BAD_RECIPIENT_NONCE, id="another recipNonce"),
        pytest.param(_with(FOLLOW_UP, protection_alg=MAC), BAD.WRONG_INTEGRITY, id="MAC after signature"),
        pytest.param(
            _with(replace(FOLLOW_UP, protection=None), protection_alg=None), BAD.WRONG_INTEGRITY, id="unprotected"
        ),
        pytest.param(replace(FOLLOW_UP, body=CONFIRM_WITH_HASH), BAD.UNSUPPORTED_VERSION, id="hashAlg in version 2"),
        pytest.param(_with(FOLLOW_UP, general_info=IMPLICIT), BAD.BAD_REQUEST, id="implicitConfirm"),
    ],
)
def test_a_follow_up_that_breaks_a_rule_is_refused(made: PKIMessage, fail_info: PKIFailureInfo) -> None:
    with pytest.raises(PKIMessageRejected) as raised:
        check_follow_up(made, NOW, PREVIOUS)
    assert raised.value.fail_info is fail_info


def test_a_client_sends_only_what_clients_send() -> None:
    for body_type in BodyType:
        for check, allowed, base in (
            (check_first, FIRST_BODIES, FIRST),
            (lambda made, now: check_follow_up(made, now, PREVIOUS), FOLLOW_UP_BODIES, FOLLOW_UP),
        ):
            made = replace(base, header=replace(base.header, pvno=3), body=message(body_type).body)
            if body_type in allowed:
                check(made, NOW)
            else:
                with pytest.raises(PKIMessageRejected) as raised:
                    check(made, NOW)
                assert raised.value.fail_info is PKIFailureInfo.BAD_REQUEST


def test_a_certificate_request_may_ask_for_implicit_confirmation() -> None:
    check_first(_with(FIRST, general_info=IMPLICIT), NOW)
    with pytest.raises(PKIMessageRejected, match="implicitConfirm goes with"):
        check_first(replace(_with(FIRST, general_info=IMPLICIT), body=message(BodyType.RR).body), NOW)


def test_the_operator_says_who_we_are_and_how_exact_clocks_are() -> None:
    policy = HeaderPolicy(time_tolerance=timedelta(seconds=1), recipients_der=frozenset({HEADER.sender_der}))
    check_first(FIRST, NOW + timedelta(seconds=1), policy)
    check_first(_with(FIRST, recipient_der=HEADER.sender_der), NOW, policy)
    with pytest.raises(PKIMessageRejected) as raised:
        check_first(FIRST, NOW + timedelta(seconds=2), policy)
    assert raised.value.fail_info is PKIFailureInfo.BAD_TIME
    with pytest.raises(PKIMessageRejected) as raised:
        check_first(_with(FIRST, recipient_der=b"\x82\x01h"), NOW, policy)
    assert raised.value.fail_info is PKIFailureInfo.WRONG_AUTHORITY


def test_a_transaction_id_in_use_is_refused() -> None:
    check_unused(is_in_use=False)
    with pytest.raises(PKIMessageRejected) as raised:
        check_unused(is_in_use=True)
    assert raised.value.fail_info is PKIFailureInfo.TRANSACTION_ID_IN_USE


def test_protection_can_be_required() -> None:
    require_protection(FIRST)
    with pytest.raises(PKIMessageRejected) as raised:
        require_protection(message())
    assert raised.value.fail_info is PKIFailureInfo.BAD_MESSAGE_CHECK


def test_enveloped_data_and_hash_alg_need_version_3() -> None:
    assert needed_version(CONFIRM) == CMP2000
    assert needed_version(CONFIRM_WITH_HASH) == CMP2021
    for pair, version in (
        (CertifiedKeyPair(STRUCTURE), CMP2000),
        (CertifiedKeyPair(STRUCTURE, private_key=EncryptedKey(STRUCTURE, is_enveloped_data=False)), CMP2000),
        (CertifiedKeyPair(STRUCTURE, private_key=EncryptedKey(STRUCTURE)), CMP2021),
        (CertifiedKeyPair(encrypted_cert=EncryptedKey(STRUCTURE)), CMP2021),
        (None, CMP2000),
    ):
        body = PKIBody(BodyType.IP, CertRepMessage((CertResponse(0, ACCEPTED, pair),)))
        assert needed_version(body) == version


def _usage(*, digital_signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature, False, True, False, False, False, False, False, False)


SIGNER = certificate((x509.SubjectKeyIdentifier(b"kid"), False), (_usage(digital_signature=True), True))


def test_the_protection_certificate_is_the_first_of_extra_certs() -> None:
    der = SIGNER.public_bytes(Encoding.DER)
    assert protection_certificate(replace(FIRST, extra_certs_der=(der, STRUCTURE))) == SIGNER
    for extra_certs, fail_info in (((), BAD.BAD_MESSAGE_CHECK), ((STRUCTURE, der), BAD.BAD_DATA_FORMAT)):
        with pytest.raises(PKIMessageRejected) as raised:
            protection_certificate(replace(FIRST, extra_certs_der=extra_certs))
        assert raised.value.fail_info is fail_info


def _spoiled(*replacements: tuple[bytes, bytes]) -> bytes:
    """The certificate of :data:`SIGNER` with other octets here and there, which is no less well-formed."""
    der = SIGNER.public_bytes(Encoding.DER)
    for old, new in replacements:
        assert der.count(old) == 1
        assert len(old) == len(new)
        der = der.replace(old, new)
    return der


KEY_USAGE, KEY_IDENTIFIER = b"\x06\x03\x55\x1d\x0f", b"\x06\x03\x55\x1d\x0e"


def test_a_certificate_of_a_version_that_does_not_exist_is_refused() -> None:
    der = _spoiled((b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03"))
    with pytest.raises(PKIMessageRejected) as raised:
        protection_certificate(replace(FIRST, extra_certs_der=(der,)))
    assert raised.value.fail_info is BAD.BAD_DATA_FORMAT


def test_a_certificate_with_an_extension_twice_is_refused() -> None:
    signer = x509.load_der_x509_certificate(_spoiled((KEY_USAGE, KEY_IDENTIFIER)))
    with pytest.raises(PKIMessageRejected) as raised:
        check_signer(HEADER, signer)
    assert raised.value.fail_info is BAD.BAD_DATA_FORMAT


def test_a_signer_is_who_the_header_says() -> None:
    check_signer(replace(HEADER, sender_kid=b"kid"), SIGNER)
    check_signer(HEADER, SIGNER)
    check_signer(replace(HEADER, sender_kid=b"any"), certificate())


@pytest.mark.parametrize(
    ("changes", "signer", "fail_info"),
    [
        pytest.param({"sender_der": NULL_DN_DER}, SIGNER, BAD.BAD_MESSAGE_CHECK, id="nobody"),
        pytest.param({"sender_der": b"\x82\x06client"}, SIGNER, BAD.BAD_MESSAGE_CHECK, id="a host"),
        pytest.param({"sender_kid": b"other"}, SIGNER, BAD.BAD_MESSAGE_CHECK, id="another key"),
        pytest.param(
            {},
            certificate((_usage(digital_signature=False), True)),
            BAD.SIGNER_NOT_TRUSTED,
            id="a key that may not sign",
        ),
    ],
)
def test_a_signer_that_is_another_is_refused(
    changes: dict[str, Any], signer: x509.Certificate, fail_info: PKIFailureInfo
) -> None:
    with pytest.raises(PKIMessageRejected) as raised:
        check_signer(replace(HEADER, **changes), signer)
    assert raised.value.fail_info is fail_info
