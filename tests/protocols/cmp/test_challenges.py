"""Possession of a key proved by decrypting a number (RFC 9810, 5.2.8.3.3), by a client of our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from cspd.authority.values import CertificateState
from cspd.x509 import tlv
from cspd.x509.crmf.messages import KeyAgreement, KeyEncipherment, SubsequentMessage
from protocols.cmp import challenges, info_types
from protocols.cmp.challenge_encoding import MAX_WITNESS_OCTETS, read_rand
from protocols.cmp.codec import DecodeError, decode, encode
from protocols.cmp.general_names import directory_name
from protocols.cmp.messages import (
    CMP2000,
    CMP2021,
    BodyType,
    Challenge,
    PKIBody,
    PKIMessage,
    POPODecKeyChallContent,
    POPODecKeyRespContent,
    Rand,
)
from protocols.cmp.service import Address
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from protocols.cmp.transactions import TransactionState
from tests.protocols.cmp.vectors import message
from tests.protocols.cmp.world import World
from tests.support.cmp_client import (
    ByMAC,
    CMPClient,
    certificate,
    certificates,
    confirmation,
    error,
    fail_info,
    info_of,
    ir,
    p10cr,
    poll_req,
    request,
    requests,
    signed_request,
    statuses,
    template,
)
from tests.support.enveloped import Envelope
from tests.support.running import result_of

CHALLENGE = KeyEncipherment(SubsequentMessage.CHALLENGE_RESP)
IMPLICIT = {"general_info": (info_types.implicit_confirm(),)}
RSA_KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def challenged(key: Any, number: int = 0, name: str = "device") -> Any:
    """A request whose key is proved by a challenge."""
    return request(template(key.public_key(), name), CHALLENGE, number)


def content_of(answer: PKIMessage) -> POPODecKeyChallContent:
    """The challenges of a popdecc."""
    assert isinstance(answer.body.content, POPODecKeyChallContent), answer.body
    return answer.body.content


def rand_of(challenge: Challenge, key: Any, answer: PKIMessage) -> Rand:
    """What the holder of the key finds in a challenge, after the checks that RFC 9810 has for him."""
    if challenge.encrypted_rand_der:
        assert challenge.challenge == b""
        envelope = Envelope.of(challenge.encrypted_rand_der)
        rand = read_rand((envelope.for_rsa if isinstance(key, rsa.RSAPrivateKey) else envelope.for_ec)(key)[1])
    else:
        rand = read_rand(key.decrypt(challenge.challenge, padding.PKCS1v15()))
    assert challenge.witness == sha256(tlv.integer(rand.number)).digest()
    assert rand.sender_der == answer.header.sender_der
    return rand


def popdecr(*numbers: int) -> PKIBody:
    """A popdecr."""
    return PKIBody(BodyType.POPDECR, POPODecKeyRespContent(numbers))


def response(answer: PKIMessage, *keys: Any) -> PKIBody:
    """The popdecr that meets the challenges of a popdecc."""
    pairs = zip(content_of(answer).challenges, keys, strict=True)
    return popdecr(*(rand_of(challenge, key, answer).number for challenge, key in pairs))


def asked(world: World, **header: Any) -> tuple[CMPClient, PKIMessage]:
    """A client and the popdecc that it got."""
    client = world.client()
    return client, client.ask(ir(challenged(RSA_KEY)), **header)


@pytest.mark.parametrize("pvno", [CMP2000, CMP2021])
@pytest.mark.parametrize("body_type", [BodyType.IR, BodyType.CR])
def test_who_decrypts_the_number_gets_the_certificate(world: World, pvno: int, body_type: BodyType) -> None:
    client = world.client()
    popdecc = client.ask(requests(body_type, challenged(RSA_KEY)), pvno=pvno)
    assert (popdecc.header.pvno, popdecc.body.type) == (pvno, BodyType.POPDECC)
    assert bool(content_of(popdecc).challenges[0].encrypted_rand_der) == (pvno == CMP2021)
    assert (world.count(), world.states()) == (0, [TransactionState.CHALLENGED])
    ip = client.ask(response(popdecc, RSA_KEY), pvno=pvno)
    assert ip.body.type is (BodyType.IP if body_type is BodyType.IR else BodyType.CP)
    assert certificate(ip).public_key() == RSA_KEY.public_key()
    assert world.states() == [TransactionState.ISSUED]
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF
    assert (world.count(), world.states()) == (1, [TransactionState.CONFIRMED])


def test_a_key_that_agrees_on_keys_is_challenged_in_version_3(world: World) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    asked_for = request(template(key.public_key()), KeyAgreement(SubsequentMessage.CHALLENGE_RESP))
    client = world.client()
    popdecc = client.ask(ir(asked_for), pvno=CMP2021)
    assert certificate(client.ask(response(popdecc, key), pvno=CMP2021)).public_key() == key.public_key()
    assert fail_info(world.client().ask(ir(asked_for))) is PKIFailureInfo.BAD_CERT_TEMPLATE


def test_the_confirmation_may_be_implicit(world: World) -> None:
    client, popdecc = asked(world, **IMPLICIT)
    ip = client.ask(response(popdecc, RSA_KEY))
    assert info_of(ip, info_types.IMPLICIT_CONFIRM) is not None
    assert world.states() == [TransactionState.CONFIRMED]


@pytest.mark.parametrize("wrong", ["another number", "one too many"])
def test_another_number_is_bad_pop_and_ends_the_transaction(world: World, wrong: str) -> None:
    client, popdecc = asked(world)
    right = response(popdecc, RSA_KEY)
    assert isinstance(right.content, POPODecKeyRespContent)
    [number] = right.content.numbers
    answer = client.ask(popdecr(number + 1) if wrong == "another number" else popdecr(number, number))
    assert fail_info(answer) is PKIFailureInfo.BAD_POP
    assert fail_info(client.ask(right)) is PKIFailureInfo.BAD_REQUEST
    assert (world.count(), world.states()) == (0, [TransactionState.ENDED])


def test_every_challenge_has_a_number_of_its_own_and_all_have_to_be_met(world: World) -> None:
    other = rsa.generate_private_key(65537, 2048)
    signing = ec.generate_private_key(ec.SECP256R1())
    client = world.client()
    body = ir(challenged(RSA_KEY, 0), signed_request(signing, "signer", 1), challenged(other, 2))
    popdecc = client.ask(body)
    right = response(popdecc, RSA_KEY, other)
    assert isinstance(right.content, POPODecKeyRespContent)
    assert len(set(right.content.numbers)) == 2
    swapped = world.client()
    numbers = response(swapped.ask(body), RSA_KEY, other).content
    assert isinstance(numbers, POPODecKeyRespContent)
    assert fail_info(swapped.ask(popdecr(*reversed(numbers.numbers)))) is PKIFailureInfo.BAD_POP
    ip = client.ask(right)
    assert statuses(ip) == [PKIStatus.ACCEPTED] * 3
    assert world.count() == 3
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF


def test_the_request_again_is_challenged_anew(world: World) -> None:
    client, first = asked(world)
    sent = client.last
    old = response(first, RSA_KEY)
    again = client.send(sent)
    assert again.body.type is BodyType.POPDECC
    assert response(again, RSA_KEY) != old
    assert certificate(client.ask(response(again, RSA_KEY)))
    assert world.count() == 1


def test_the_right_number_again_is_answered_by_the_same_certificate(world: World) -> None:
    client, popdecc = asked(world)
    ip = client.ask(response(popdecc, RSA_KEY))
    again = client.again()
    assert (again.body, again.header.sender_nonce) == (ip.body, ip.header.sender_nonce)
    assert world.count() == 1
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF


def test_the_right_number_to_two_workers_at_one_time_gets_one_certificate(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second was let in before the first had its effect."""
    (tmp_path / "other").mkdir()
    other: Any = World(tmp_path / "other", shares=world)
    client, popdecc = asked(world)
    service: Any = world.assembled.service
    body = response(popdecc, RSA_KEY)
    sent = client.message(body)
    header = decode(sent).header
    before = result_of(
        world.house.database.read(lambda connection: service._transaction(connection, header, _address(world)))
    )
    ip = client.send(sent)
    monkeypatch.setattr(other.assembled.service, "_transaction", lambda *_: before)
    assert certificates(decode(other.send(sent))) == certificates(ip)
    assert world.count() == 1


def _address(world: World) -> Address:
    return Address(terms=world.labels.by_label("devices"))


def test_another_worker_goes_on_and_a_restart_loses_nothing(world: World, tmp_path: Path) -> None:
    client, popdecc = asked(world)
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other", shares=world)
    going_on = CMPClient(
        other.send, client.protection, now=world.house.clock.now(), transaction_id=client.transaction_id
    )
    going_on.nonce = client.nonce
    assert certificate(going_on.ask(response(popdecc, RSA_KEY))).public_key() == RSA_KEY.public_key()


def test_a_one_time_secret_is_used_by_the_certificate_and_not_by_the_challenge(world: World) -> None:
    new = world.secret(one_time=True)
    protection = ByMAC(new.terms.reference, new.secret.encode())
    given_up = world.client(protection)
    given_up.ask(ir(challenged(RSA_KEY)))
    first, second = world.client(protection), world.client(protection)
    popdeccs = [each.ask(ir(challenged(RSA_KEY))) for each in (first, second)]
    ip = first.ask(response(popdeccs[0], RSA_KEY))
    assert first.ask(confirmation(ip)).body.type is BodyType.PKI_CONF
    assert fail_info(second.ask(response(popdeccs[1], RSA_KEY)), 0) is PKIFailureInfo.BAD_REQUEST
    assert fail_info(world.client(protection).ask(ir(challenged(RSA_KEY)))) is PKIFailureInfo.BAD_MESSAGE_CHECK
    assert world.count() == 1


def test_the_number_is_for_the_client_of_the_request_alone(world: World) -> None:
    client, popdecc = asked(world)
    stranger = CMPClient(
        world.send, world.client().protection, now=world.house.clock.now(), transaction_id=client.transaction_id
    )
    stranger.nonce = client.nonce
    assert fail_info(stranger.ask(response(popdecc, RSA_KEY))) is PKIFailureInfo.NOT_AUTHORIZED
    client.nonce = b"0" * 16
    assert fail_info(client.ask(response(popdecc, RSA_KEY))) is PKIFailureInfo.BAD_RECIPIENT_NONCE
    assert world.states() == [TransactionState.CHALLENGED]


def test_a_challenge_waits_as_long_as_a_confirmation(world: World) -> None:
    client, popdecc = asked(world)
    world.house.clock.advance(timedelta(minutes=5))
    client._now = world.house.clock.now()
    assert fail_info(client.ask(response(popdecc, RSA_KEY))) is PKIFailureInfo.BAD_REQUEST
    result_of(world.assembled.unconfirmed.run())
    assert (world.count(), world.states()) == (0, [])


def test_a_client_may_give_up_and_has_nothing_to_confirm_or_to_poll_for(world: World) -> None:
    client, _ = asked(world)
    nonce = client.nonce
    for body in (confirmation(world.client().ask(p10cr(ec.generate_private_key(ec.SECP256R1())))), poll_req(0)):
        client.nonce = nonce
        assert fail_info(client.ask(body)) is PKIFailureInfo.BAD_REQUEST
    client.nonce = nonce
    assert client.ask(error()).body.type is BodyType.PKI_CONF
    assert TransactionState.ENDED in world.states()


def test_what_the_profile_refuses_is_refused_once_possession_is_proved(world: World) -> None:
    client = world.client()
    popdecc = client.ask(ir(request(template(RSA_KEY.public_key(), names=["a..example"]), CHALLENGE)))
    assert fail_info(client.ask(response(popdecc, RSA_KEY)), 0) is PKIFailureInfo.BAD_CERT_TEMPLATE
    assert world.count() == 0


@pytest.mark.parametrize(
    ("key", "bit"),
    [
        (ed25519.Ed25519PrivateKey.generate(), PKIFailureInfo.BAD_CERT_TEMPLATE),
        (None, PKIFailureInfo.BAD_CERT_TEMPLATE),
    ],
)
def test_a_key_that_cannot_decrypt_is_not_challenged(world: World, key: Any, bit: PKIFailureInfo) -> None:
    public_key = None if key is None else key.public_key()
    body = ir(request(template(public_key), CHALLENGE))
    assert fail_info(world.client().ask(body, pvno=CMP2021)) is bit
    assert world.states() == []


def test_a_name_of_the_ca_that_does_not_fit_under_the_key_needs_version_3(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "C" * 60)] * 4)
    monkeypatch.setattr(challenges, "directory_name", lambda _: directory_name(long_name))
    assert fail_info(world.client().ask(ir(challenged(RSA_KEY)))) is PKIFailureInfo.BAD_CERT_TEMPLATE
    assert world.states() == []
    assert world.client().ask(ir(challenged(RSA_KEY)), pvno=CMP2021).body.type is BodyType.POPDECC


def test_transactions_are_as_many_as_conf_allows(tmp_path: Path) -> None:
    world = World(tmp_path, max_transactions=1)
    assert world.client().ask(ir(challenged(RSA_KEY))).body.type is BodyType.POPDECC
    assert fail_info(world.client().ask(ir(challenged(RSA_KEY)))) is PKIFailureInfo.SYSTEM_UNAVAIL
    (tmp_path / "none").mkdir()
    none = World(tmp_path / "none", max_transactions=0)
    assert fail_info(none.client().ask(ir(challenged(RSA_KEY)))) is PKIFailureInfo.NOT_AUTHORIZED


def test_a_person_may_have_to_approve_after_the_challenge(tmp_path: Path) -> None:
    world = World(tmp_path, approval=True)
    client, popdecc = asked(world)
    assert statuses(client.ask(response(popdecc, RSA_KEY))) == [PKIStatus.WAITING]
    assert world.states() == [TransactionState.WAITING]
    world.decide(approve=True)
    ip = client.ask(poll_req(0))
    assert certificate(ip).public_key() == RSA_KEY.public_key()
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF


def test_what_is_not_confirmed_in_time_is_revoked(world: World) -> None:
    client, popdecc = asked(world)
    ip = client.ask(response(popdecc, RSA_KEY))
    world.house.clock.advance(timedelta(minutes=10))
    result_of(world.assembled.unconfirmed.run())
    assert world.status(certificate(ip)).state is CertificateState.REVOKED
    client._now = world.house.clock.now()
    assert fail_info(client.ask(confirmation(ip))) is PKIFailureInfo.CERT_REVOKED


def test_numbers_and_witnesses_are_bounded() -> None:
    for body in (
        popdecr(1 << 160),
        PKIBody(BodyType.POPDECC, POPODecKeyChallContent((Challenge(b"#" * (MAX_WITNESS_OCTETS + 1)),))),
        popdecr(),
        popdecr(*range(17)),
    ):
        with pytest.raises(DecodeError):
            decode(encode(replace(message(BodyType.PKI_CONF), body=body)))
