"""Whatever breaks a rule of RFC 9483 is answered by an error with the bit that says so, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.authority.values import CAReference
from cspd.refusals import Malformed, Unavailable
from cspd.x509 import tlv
from cspd.x509.crmf.messages import RAVerified
from cspd.x509.signatures import Algorithm
from protocols.cmp import info_types
from protocols.cmp.codec import assemble, decode, encode, protected_part
from protocols.cmp.general_names import directory_name
from protocols.cmp.interfaces import Sender
from protocols.cmp.messages import (
    BodyType,
    CertReqContent,
    GenMsgContent,
    InfoTypeAndValue,
    NestedMessageContent,
    PKIBody,
    PKIConfirmContent,
    POPODecKeyRespContent,
    RevDetails,
    RevReqContent,
    UnreadContent,
)
from protocols.cmp.protection import ProtectionKind, verify_mac, verify_message_signature
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from protocols.cmp.turns import client_of
from tests.protocols.cmp.world import World
from tests.support.authorities import ISSUING
from tests.support.cmp_client import (
    MAC,
    ByMAC,
    CMPClient,
    confirmation,
    fail_info,
    ir,
    named,
    p10cr,
    poll_req,
    request,
    signed_request,
    statuses,
    template,
)

GENM = PKIBody(BodyType.GENM, GenMsgContent((InfoTypeAndValue(info_types.CA_CERTS),)))
NULL = UnreadContent(tlv.NULL)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def protection_of(world: World, **values: Any) -> ByMAC:
    new = world.secret(**values)
    return ByMAC(new.terms.reference, new.secret.encode())


BROKEN_HEADERS: dict[str, tuple[Callable[[World], dict[str, Any]], PKIFailureInfo]] = {
    "pvno 1": (lambda _: {"pvno": 1}, PKIFailureInfo.UNSUPPORTED_VERSION),
    "pvno 4": (lambda _: {"pvno": 4}, PKIFailureInfo.UNSUPPORTED_VERSION),
    "another recipient": (
        lambda _: {"recipient_der": directory_name(named("another CA"))},
        PKIFailureInfo.WRONG_AUTHORITY,
    ),
    "too late": (
        lambda world: {"message_time": world.house.clock.now() - timedelta(minutes=6)},
        PKIFailureInfo.BAD_TIME,
    ),
    "too early": (
        lambda world: {"message_time": world.house.clock.now() + timedelta(minutes=6)},
        PKIFailureInfo.BAD_TIME,
    ),
    "no transactionID": (lambda _: {"transaction_id": None}, PKIFailureInfo.BAD_DATA_FORMAT),
    "a short transactionID": (lambda _: {"transaction_id": b"t" * 15}, PKIFailureInfo.BAD_DATA_FORMAT),
    "a long transactionID": (lambda _: {"transaction_id": b"t" * 17}, PKIFailureInfo.BAD_DATA_FORMAT),
    "no senderNonce": (lambda _: {"sender_nonce": None}, PKIFailureInfo.BAD_SENDER_NONCE),
    "a short senderNonce": (lambda _: {"sender_nonce": b"n" * 15}, PKIFailureInfo.BAD_SENDER_NONCE),
    "a recipNonce": (lambda _: {"recip_nonce": b"n" * 16}, PKIFailureInfo.BAD_RECIPIENT_NONCE),
    "implicitConfirm that is not NULL": (
        lambda _: {"general_info": (InfoTypeAndValue(info_types.IMPLICIT_CONFIRM, tlv.integer(1)),)},
        PKIFailureInfo.BAD_REQUEST,
    ),
    "implicitConfirm and confirmWaitTime": (
        lambda world: {
            "general_info": (info_types.implicit_confirm(), info_types.confirm_wait_time(world.house.clock.now()))
        },
        PKIFailureInfo.BAD_REQUEST,
    ),
    "no such secret": (lambda _: {"sender_kid": b"NOBODY"}, PKIFailureInfo.BAD_MESSAGE_CHECK),
}


@pytest.mark.parametrize(("change", "bit"), BROKEN_HEADERS.values(), ids=BROKEN_HEADERS)
def test_a_header_that_breaks_a_rule(
    world: World, change: Callable[[World], dict[str, Any]], bit: PKIFailureInfo
) -> None:
    answer = world.client().ask(ir(signed_request(world.key)), **change(world))
    assert fail_info(answer) is bit
    assert (world.count(), world.states()) == (0, [])


def test_the_recipient_may_be_the_ca_or_nobody(world: World) -> None:
    subject = world.house.get(ISSUING).subject
    answer = world.client().ask(ir(signed_request(world.key)), recipient_der=directory_name(subject))
    assert statuses(answer) == [PKIStatus.ACCEPTED]


@pytest.mark.parametrize(
    ("body", "bit"),
    [
        (PKIBody(BodyType.PKI_CONF, PKIConfirmContent()), PKIFailureInfo.BAD_REQUEST),
        (PKIBody(BodyType.CRLANN, NULL), PKIFailureInfo.BAD_REQUEST),
        (PKIBody(BodyType.POPDECR, POPODecKeyRespContent((1,))), PKIFailureInfo.BAD_REQUEST),
        (PKIBody(BodyType.KRR, CertReqContent((signed_request(ec.derive_private_key(3, ec.SECP256R1())),))), None),
        (PKIBody(BodyType.GENP, GenMsgContent(())), PKIFailureInfo.BAD_REQUEST),
    ],
)
def test_a_body_that_no_client_sends(world: World, body: PKIBody, bit: PKIFailureInfo | None) -> None:
    assert fail_info(world.client().ask(body)) is (bit or PKIFailureInfo.BAD_REQUEST)


def _unprotected(world: World, body: PKIBody) -> bytes:
    sent = world.client().message(body)
    message = decode(sent)
    return assemble(protected_part(replace(message.header, protection_alg=None), message.body), None)


PROTECTIONS: dict[str, tuple[Callable[[World, PKIBody], bytes], PKIFailureInfo]] = {
    "none": (_unprotected, PKIFailureInfo.BAD_MESSAGE_CHECK),
    "protectionAlg alone": (
        lambda world, body: encode(replace(decode(world.client().message(body)), protection=None)),
        PKIFailureInfo.BAD_MESSAGE_CHECK,
    ),
    "protection alone": (
        lambda world, body: assemble(
            protected_part(replace(decode(world.client().message(body)).header, protection_alg=None), body), b"p" * 20
        ),
        PKIFailureInfo.BAD_MESSAGE_CHECK,
    ),
    "a wrong MAC": (
        lambda world, body: encode(replace(decode(world.client().message(body)), protection=b"m" * 32)),
        PKIFailureInfo.BAD_MESSAGE_CHECK,
    ),
    "a wrong secret": (
        lambda world, body: world.client(ByMAC(world.secret().terms.reference, b"wrong")).message(body),
        PKIFailureInfo.BAD_MESSAGE_CHECK,
    ),
    "an unknown algorithm": (
        lambda world, body: assemble(
            protected_part(
                replace(decode(world.client().message(body)).header, protection_alg=Algorithm("1.2.3")), body
            ),
            b"p" * 20,
        ),
        PKIFailureInfo.BAD_ALG,
    ),
    "a signature without its certificate": (
        lambda world, body: encode(replace(decode(world.client(world.by_vendor()).message(body)), extra_certs_der=())),
        PKIFailureInfo.BAD_MESSAGE_CHECK,
    ),
    "a wrong signature": (
        lambda world, body: encode(replace(decode(world.client(world.enrolled()).message(body)), protection=b"s" * 70)),
        PKIFailureInfo.BAD_MESSAGE_CHECK,
    ),
    "another's name": (
        lambda world, body: _signed_as(world, body, "somebody else"),
        PKIFailureInfo.BAD_MESSAGE_CHECK,
    ),
    "a certificate that nobody vouches for": (
        lambda world, body: world.client(world.by_vendor()).message(body),
        PKIFailureInfo.SIGNER_NOT_TRUSTED,
    ),
}


def _signed_as(world: World, body: PKIBody, name: str) -> bytes:
    party = world.enrolled()
    header = decode(world.client(party).message(body)).header
    part = protected_part(replace(header, sender_der=directory_name(named(name))), body)
    return assemble(part, party.key.sign(part, ec.ECDSA(hashes.SHA256())), [party.certificate_der])


@pytest.mark.parametrize(("make", "bit"), PROTECTIONS.values(), ids=PROTECTIONS)
def test_a_protection_that_proves_nothing(
    world: World, make: Callable[[World, PKIBody], bytes], bit: PKIFailureInfo
) -> None:
    made = make(world, GENM)
    before = world.count()
    assert fail_info(world.client().send(made)) is bit
    assert world.count() == before


def test_the_messages_of_a_transaction_are_protected_in_one_way(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key)))
    signer = CMPClient(world.send, world.by_vendor(), transaction_id=client.transaction_id)
    signer.nonce = client.nonce
    assert fail_info(signer.ask(confirmation(ip))) is PKIFailureInfo.WRONG_INTEGRITY


def test_an_answer_has_the_header_of_an_answer(world: World) -> None:
    """RFC 9483, 3.1."""
    protection = protection_of(world)
    client = world.client(protection)
    sent = decode(client.message(ir(signed_request(world.key))))
    answer = client.send(encode(sent))
    header = answer.header
    assert header.pvno == sent.header.pvno
    assert header.transaction_id == sent.header.transaction_id
    assert header.recip_nonce == sent.header.sender_nonce
    assert header.sender_nonce not in (None, sent.header.sender_nonce)
    assert len(header.sender_nonce or b"") == 16
    assert header.message_time == world.house.clock.now()
    assert header.sender_der == directory_name(world.house.get(ISSUING).subject)
    verify_mac(answer, MAC.derive(protection.secret))


def test_an_error_before_the_sender_is_known_is_signed_by_the_ca(world: World) -> None:
    answer = world.client(ByMAC("NOBODY", b"secret")).ask(GENM)
    assert fail_info(answer) is PKIFailureInfo.BAD_MESSAGE_CHECK
    authority = world.house.get(ISSUING)
    assert authority.certificate is not None
    assert answer.extra_certs_der[0] == authority.certificate_der
    verify_message_signature(answer, authority.certificate)


def test_the_root_comes_with_the_first_certificate_of_a_secret(world: World) -> None:
    root = world.house.get(CAReference("demo", "root"))
    ip = world.client().ask(ir(signed_request(world.key)))
    assert ip.body.content.ca_pubs_der == (root.certificate_der,)  # type: ignore[union-attr]
    cp = world.client().ask(p10cr(world.key))
    assert cp.body.content.ca_pubs_der == ()  # type: ignore[union-attr]


def test_the_root_comes_to_a_device_whose_vendor_vouches_for_it(tmp_path: Path) -> None:
    """TS 33.310, 9.2: the root may be provisioned during the first run."""
    world = World(tmp_path, vendor_trust="vendors")
    ip = world.client(world.by_vendor()).ask(ir(signed_request(world.key)))
    assert ip.body.content.ca_pubs_der == (world.house.get(CAReference("demo", "root")).certificate_der,)  # type: ignore[union-attr]
    kept = world.enrolled()
    again = world.client(kept).ask(ir(signed_request(world.key)))
    assert again.body.content.ca_pubs_der == ()  # type: ignore[union-attr]


def test_a_cross_certification_is_answered(world: World) -> None:
    ccr = PKIBody(BodyType.CCR, CertReqContent((signed_request(world.key),)))
    answer = world.client(world.registration_authority()).ask(ccr)
    assert answer.body.type is BodyType.CCP
    assert statuses(answer) == [PKIStatus.REJECTION]  # the profile of this path is none of CAs


def test_what_cannot_be_read_is_answered_if_its_header_can(world: World) -> None:
    client = world.client()
    sent = client.message(ir(signed_request(world.key)))
    part = decode(sent).protected_part_der
    start, end = tlv.read_only(part, 0, len(part), tlv.SEQUENCE)
    _, _, header_end = tlv.read_any(part, start, end)
    answer = client.send(tlv.sequence(part[start:header_end], tlv.element(0xA0, tlv.sequence(tlv.NULL))))
    assert fail_info(answer) is PKIFailureInfo.BAD_DATA_FORMAT
    assert answer.header.transaction_id == client.transaction_id
    for nothing in (b"", b"\x30\x00", sent[:40]):
        with pytest.raises(Malformed):
            world.send(nothing)


def test_what_fails_unexpectedly_is_a_system_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug, with a secret in its text")

    monkeypatch.setattr(world.services.issuance, "enroll", broken)
    answer = world.client().ask(ir(signed_request(world.key)))
    assert fail_info(answer) is PKIFailureInfo.SYSTEM_FAILURE
    assert "secret" not in str(answer.body.content)


def test_what_is_not_available_now_is_said_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object, **__: object) -> None:
        raise Unavailable("the store is down")

    monkeypatch.setattr(world.services.issuance, "enroll", down)
    assert fail_info(world.client().ask(ir(signed_request(world.key))), 0) is PKIFailureInfo.SYSTEM_UNAVAIL


def test_general_messages_and_revocations_are_answered(world: World) -> None:
    assert world.client().ask(GENM).body.type is BodyType.GENP
    party = world.enrolled()
    client = world.client(party)
    leaf = x509.load_der_x509_certificate(party.certificate_der)
    named_by = RevDetails(template(None, issuer=leaf.issuer, serial_number=leaf.serial_number, subject=None))
    assert client.ask(PKIBody(BodyType.RR, RevReqContent((named_by,)))).body.type is BodyType.RP
    assert world.status(leaf).state.value == "revoked"
    assert world.states()[-1].value == "confirmed"


def test_a_device_with_the_certificate_of_its_vendor_gets_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path, vendor_trust="vendors")
    assert fail_info(world.client(world.by_vendor()).ask(GENM)) is PKIFailureInfo.NOT_AUTHORIZED


def nested(*messages_der: bytes) -> PKIBody:
    return PKIBody(BodyType.NESTED, NestedMessageContent(tuple(map(decode, messages_der))))


def test_a_registration_authority_hands_a_message_on(world: World) -> None:
    """RFC 9483, 5.2.2.1: the inner message keeps its protection, and its client gets the answer."""
    client = world.client()
    inner = client.message(ir(signed_request(world.key)))
    authority = world.client(world.registration_authority(), transaction_id=client.transaction_id)
    ip = authority.ask(nested(inner))
    assert (ip.body.type, statuses(ip)) == (BodyType.IP, [PKIStatus.ACCEPTED])
    client.nonce = ip.header.sender_nonce
    pki_conf = authority.ask(nested(client.message(confirmation(ip))), recip_nonce=client.nonce)
    assert pki_conf.body.type is BodyType.PKI_CONF


def test_a_registration_authority_vouches_for_the_possession_in_what_it_hands_on(world: World) -> None:
    inner = world.client().message(ir(request(template(world.key.public_key()), RAVerified())))
    assert statuses(world.client(world.registration_authority()).ask(nested(inner))) == [PKIStatus.ACCEPTED]
    wrong = world.client(ByMAC(world.secret().terms.reference, b"wrong")).message(GENM)
    answer = world.client(world.registration_authority()).ask(nested(wrong))
    assert fail_info(answer) is PKIFailureInfo.BAD_MESSAGE_CHECK


def test_a_batch_is_answered_in_its_order(world: World) -> None:
    """RFC 9483, 5.2.2.2."""
    clients = [world.client() for _ in range(3)]
    bodies = (ir(signed_request(world.key)), poll_req(0), GENM)
    inner = [client.message(body) for client, body in zip(clients, bodies, strict=True)]
    answer = world.client(world.registration_authority()).ask(nested(*inner))
    assert isinstance(answer.body.content, NestedMessageContent)
    messages = answer.body.content.messages
    assert [each.body.type for each in messages] == [BodyType.IP, BodyType.ERROR, BodyType.GENP]
    assert [each.header.transaction_id for each in messages] == [each.transaction_id for each in clients]


@pytest.mark.parametrize("who", ["secret", "holder", "vendor"])
def test_nobody_else_nests_messages(tmp_path: Path, who: str) -> None:
    world = World(tmp_path, vendor_trust="vendors")
    inner = world.client().message(ir(signed_request(world.key)))
    protection = {"secret": lambda: None, "holder": world.enrolled, "vendor": world.by_vendor}[who]()  # type: ignore[operator]
    before = world.count()
    assert fail_info(world.client(protection).ask(nested(inner))) is PKIFailureInfo.NOT_AUTHORIZED
    assert world.count() == before


def test_a_client_is_known_by_what_protects_its_messages(world: World) -> None:
    new = world.secret()
    assert client_of(Sender(identity="x", protection=ProtectionKind.MAC, secret=new.terms)) == (
        f"secret {new.terms.reference}"
    )
