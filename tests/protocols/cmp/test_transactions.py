"""Transactions: certificates, their confirmation, messages that come again, and what is left by who never returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import CertificateState, RevocationReason
from cspd.x509.signatures import Algorithm
from protocols.cmp import info_types
from protocols.cmp.messages import CMP2021, BodyType, CertStatus, PKIBody
from protocols.cmp.service import Address
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo
from protocols.cmp.transactions import MOVES, ForbiddenMove, TransactionState, require_move
from tests.protocols.cmp.world import World
from tests.support.cmp_client import (
    ByMAC,
    CMPClient,
    cert_conf,
    certificate,
    certificates,
    confirmation,
    error,
    fail_info,
    info_of,
    ir,
    p10cr,
    poll_req,
    signed_request,
    status_of,
    statuses,
)
from tests.support.running import result_of

SHA256 = Algorithm("2.16.840.1.101.3.4.2.1")
SHA384 = Algorithm("2.16.840.1.101.3.4.2.2")
REJECTED = PKIStatusInfo(PKIStatus.REJECTION, ("no",), frozenset({PKIFailureInfo.BAD_CERT_TEMPLATE}))
IMPLICIT = {"general_info": (info_types.implicit_confirm(),)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_an_ir_ends_in_a_confirmed_certificate(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key, "device", names=["device.example"])))
    assert (ip.body.type, statuses(ip)) == (BodyType.IP, [PKIStatus.ACCEPTED])
    issued = certificate(ip)
    assert issued.public_key() == world.key.public_key()
    until = info_types.read_confirm_wait_time(info_of(ip, info_types.CONFIRM_WAIT_TIME))  # type: ignore[arg-type]
    assert until == world.house.clock.now() + timedelta(minutes=5)
    assert world.states() == [TransactionState.ISSUED]
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF
    assert world.states() == [TransactionState.CONFIRMED]
    world.pass_time(timedelta(minutes=10))
    assert world.status(issued).state is CertificateState.GOOD


def test_a_p10cr_without_confirmation_is_one_write(world: World) -> None:
    client = world.client()
    before = world.database.writes
    cp = client.ask(p10cr(world.key), **IMPLICIT)
    assert (cp.body.type, len(certificates(cp))) == (BodyType.CP, 1)
    assert info_of(cp, info_types.IMPLICIT_CONFIRM) == info_types.implicit_confirm()
    assert info_of(cp, info_types.CONFIRM_WAIT_TIME) is None
    assert world.states() == [TransactionState.CONFIRMED]
    assert world.database.writes == before  # the one write is that of the certificate
    world.pass_time(timedelta(minutes=10))
    assert world.status(certificate(cp)).state is CertificateState.GOOD


@pytest.mark.parametrize("number", [-1, 0])
def test_a_p10cr_is_confirmed_by_either_number(world: World, number: int) -> None:
    client = world.client()
    [certificate_der] = certificates(client.ask(p10cr(world.key)))
    assert client.ask(cert_conf(status_of(certificate_der, number))).body.type is BodyType.PKI_CONF
    assert world.states() == [TransactionState.CONFIRMED]


def test_implicit_confirmation_is_granted_where_it_is_allowed_and_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, implicit_confirm=False)
    ip = world.client().ask(ir(signed_request(world.key)), **IMPLICIT)
    assert info_of(ip, info_types.IMPLICIT_CONFIRM) is None
    assert info_of(ip, info_types.CONFIRM_WAIT_TIME) is not None
    assert world.states() == [TransactionState.ISSUED]


@pytest.mark.parametrize("body", [lambda key: ir(signed_request(key)), p10cr])
@pytest.mark.parametrize("header", [{}, IMPLICIT])
def test_the_same_message_again_is_answered_by_the_same_certificate(
    world: World, body: Callable[[Any], PKIBody], header: dict[str, Any]
) -> None:
    client = world.client()
    first = client.ask(body(world.key), **header)
    again = client.again()
    assert again.body == first.body
    assert again.header.sender_nonce == first.header.sender_nonce
    assert again.header.general_info == first.header.general_info
    assert world.count() == 1
    if not header:
        assert client.ask(confirmation(again)).body.type is BodyType.PKI_CONF
        assert client.again().body.type is BodyType.PKI_CONF
        assert world.states() == [TransactionState.CONFIRMED]


@pytest.mark.parametrize("section", [{}, {"approval": True}])
def test_the_same_message_to_two_workers_at_one_time_gets_one_certificate(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: dict[str, Any]
) -> None:
    """The second looked for the transaction before the first had begun it."""
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other", shares=world, **section)

    client = CMPClient(other.send, world.client().protection, now=world.house.clock.now())
    first = client.ask(ir(signed_request(world.key)))
    monkeypatch.setattr(other.assembled.service, "_transaction", lambda *_: None)
    assert client.again().body == first.body
    assert client.again().header.sender_nonce == first.header.sender_nonce
    client.nonce = None
    stranger = CMPClient(other.send, world.client().protection, transaction_id=client.transaction_id)
    assert fail_info(stranger.ask(ir(signed_request(new_key())))) is PKIFailureInfo.TRANSACTION_ID_IN_USE
    assert (world.count(), len(world.states())) == (0 if section else 1, 1)


def test_another_message_with_the_same_id_at_one_time_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.client()
    client.ask(ir(signed_request(world.key)))

    monkeypatch.setattr(world.assembled.service, "_transaction", lambda *_: None)
    client.nonce = None
    other = ir(signed_request(new_key(), "second", 1))
    assert fail_info(client.ask(other)) is PKIFailureInfo.TRANSACTION_ID_IN_USE
    assert world.count() == 1


def test_of_two_messages_that_go_on_at_one_time_one_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second was let in before the first had its effect."""
    client = world.client()
    ip = client.ask(ir(signed_request(world.key)))
    service: Any = world.assembled.service
    before = result_of(
        world.house.database.read(lambda connection: service._transaction(connection, ip.header, _address(world)))
    )

    client.ask(confirmation(ip))
    client.nonce = ip.header.sender_nonce
    monkeypatch.setattr(service, "_transaction", lambda *_: before)
    assert fail_info(client.ask(error())) is PKIFailureInfo.BAD_RECIPIENT_NONCE
    assert world.states() == [TransactionState.CONFIRMED]
    assert world.status(certificate(ip)).state is CertificateState.GOOD


def test_another_message_with_the_same_transaction_id_is_refused(world: World) -> None:
    client = world.client()
    client.ask(ir(signed_request(world.key)))
    client.nonce = None
    assert fail_info(client.ask(ir(signed_request(world.key)))) is PKIFailureInfo.TRANSACTION_ID_IN_USE
    other = CMPClient(world.send, world.client().protection, transaction_id=client.transaction_id)
    assert fail_info(other.ask(p10cr(new_key()))) is PKIFailureInfo.TRANSACTION_ID_IN_USE
    assert world.count() == 1


def test_a_message_of_somebody_elses_transaction_is_refused(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key)))
    thief = CMPClient(world.send, world.client().protection, transaction_id=client.transaction_id)
    thief.nonce = client.nonce
    assert fail_info(thief.ask(confirmation(ip))) is PKIFailureInfo.NOT_AUTHORIZED
    assert world.states() == [TransactionState.ISSUED]


@pytest.mark.parametrize("body", [cert_conf(), poll_req(0), error()])
def test_what_goes_on_with_nothing_is_refused(world: World, body: PKIBody) -> None:
    client = world.client()
    client.nonce = b"n" * 16
    assert fail_info(client.ask(body)) is PKIFailureInfo.BAD_REQUEST


def test_what_goes_on_has_the_nonce_of_the_last_answer(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key)))
    assert fail_info(client.ask(confirmation(ip), recip_nonce=b"n" * 16)) is PKIFailureInfo.BAD_RECIPIENT_NONCE
    assert world.states() == [TransactionState.ISSUED]


@pytest.mark.parametrize(
    ("change", "header", "bit", "state"),
    [
        ({"cert_hash": b"h" * 32}, {}, PKIFailureInfo.BAD_CERT_ID, TransactionState.ENDED),
        ({"cert_hash": b"h"}, {}, PKIFailureInfo.BAD_CERT_ID, TransactionState.ENDED),
        ({"hash_alg": SHA384}, {"pvno": CMP2021}, PKIFailureInfo.BAD_CERT_ID, TransactionState.ENDED),
        ({"hash_alg": SHA256}, {}, PKIFailureInfo.UNSUPPORTED_VERSION, TransactionState.ISSUED),
        ({"hash_alg": Algorithm("1.2.3")}, {"pvno": CMP2021}, PKIFailureInfo.BAD_ALG, TransactionState.ISSUED),
        ({"cert_req_id": 1}, {}, PKIFailureInfo.BAD_REQUEST, TransactionState.ISSUED),
        ({"hash_alg": SHA256}, {"pvno": CMP2021}, None, TransactionState.CONFIRMED),
        ({"status_info": PKIStatusInfo(PKIStatus.ACCEPTED)}, {}, None, TransactionState.CONFIRMED),
        ({"status_info": REJECTED}, {}, None, TransactionState.ENDED),
        ({"status_info": REJECTED, "cert_hash": b""}, {}, None, TransactionState.ENDED),
    ],
)
def test_what_a_confirmation_says_is_done(
    world: World,
    change: dict[str, Any],
    header: dict[str, Any],
    bit: PKIFailureInfo | None,
    state: TransactionState,
) -> None:
    client = world.client()
    issued = certificate(client.ask(ir(signed_request(world.key))))
    status: CertStatus = replace(status_of(issued.public_bytes(Encoding.DER)), **change)
    answer = client.ask(cert_conf(status), **header)
    if bit is None:
        assert answer.body.type is BodyType.PKI_CONF
    else:
        assert fail_info(answer) is bit
    assert world.states() == [state]
    found = world.status(issued)
    if state is TransactionState.ENDED:
        assert (found.state, found.reason) == (CertificateState.REVOKED, RevocationReason.CESSATION_OF_OPERATION)
    else:
        assert found.state is CertificateState.GOOD


@pytest.mark.parametrize("body", [cert_conf(), error()])
def test_a_client_that_wants_nothing_has_all_revoked(world: World, body: PKIBody) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key), signed_request(new_key(), "second", 1)))
    assert statuses(ip) == [PKIStatus.ACCEPTED] * 2
    assert client.ask(body).body.type is BodyType.PKI_CONF
    assert client.again().body.type is BodyType.PKI_CONF
    assert world.states() == [TransactionState.ENDED]
    assert len(world.house.changes) == 2
    assert fail_info(client.ask(confirmation(ip))) is PKIFailureInfo.CERT_REVOKED


def test_a_confirmation_revokes_what_it_does_not_mention(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key), signed_request(new_key(), "second", 7)))
    first, second = certificates(ip)
    assert client.ask(cert_conf(status_of(second, 7))).body.type is BodyType.PKI_CONF
    assert world.states() == [TransactionState.CONFIRMED]
    assert [change.serial for change in world.house.changes] == [_serial(first)]


def test_a_wrong_hash_among_good_ones_revokes_all(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key), signed_request(new_key(), "second", 7)))
    first, _ = certificates(ip)
    answer = client.ask(cert_conf(status_of(first), status_of(b"another certificate", 7)))
    assert fail_info(answer) is PKIFailureInfo.BAD_CERT_ID
    assert world.states() == [TransactionState.ENDED]
    assert len(world.house.changes) == 2


def test_a_confirmed_certificate_is_not_confirmed_or_given_back_later(world: World) -> None:
    client = world.client()
    ip = client.ask(ir(signed_request(world.key)))
    client.ask(confirmation(ip))
    assert fail_info(client.ask(confirmation(ip))) is PKIFailureInfo.CERT_CONFIRMED


def test_what_is_not_confirmed_in_time_is_revoked_and_forgotten(world: World) -> None:
    client = world.client()
    first = client.ask(ir(signed_request(world.key)))
    sent = client.last
    world.pass_time(timedelta(minutes=4))
    assert world.states() == [TransactionState.ISSUED]
    world.pass_time(timedelta(minutes=1))
    assert world.states() == [TransactionState.ENDED]
    found = world.status(certificate(first))
    assert (found.state, found.reason) == (CertificateState.REVOKED, RevocationReason.CESSATION_OF_OPERATION)
    assert fail_info(client.ask(confirmation(first), message_time=None)) is PKIFailureInfo.CERT_REVOKED
    assert fail_info(client.send(sent)) is PKIFailureInfo.CERT_REVOKED
    world.pass_time(timedelta(hours=1))
    assert world.states() == []


def test_each_request_of_a_message_has_an_answer_of_its_own(world: World) -> None:
    bad = replace(signed_request(new_key(), "third", 2), popo=signed_request(new_key(), "third", 2).popo)
    client = world.client()
    ip = client.ask(ir(signed_request(world.key), bad, signed_request(new_key(), "second", 1)))
    assert statuses(ip) == [PKIStatus.ACCEPTED, PKIStatus.REJECTION, PKIStatus.ACCEPTED]
    assert fail_info(ip, 2) is PKIFailureInfo.BAD_POP
    assert client.again().body == ip.body
    assert world.count() == 2
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF


def test_more_requests_than_allowed_and_numbers_twice_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path, max_requests=2)
    made = [signed_request(world.key, "device", number) for number in range(3)]
    assert fail_info(world.client().ask(ir(*made))) is PKIFailureInfo.BAD_DATA_FORMAT
    twice = ir(made[1], signed_request(new_key(), "other", 1))
    assert fail_info(world.client().ask(twice)) is PKIFailureInfo.BAD_REQUEST
    assert world.count() == 0


def test_a_one_time_secret_is_used_up_with_its_certificate(world: World) -> None:
    new = world.secret(one_time=True)
    protection = ByMAC(new.terms.reference, new.secret.encode())
    client = world.client(protection)
    ip = client.ask(ir(signed_request(world.key)))
    assert client.again().body == ip.body
    assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF
    assert fail_info(world.client(protection).ask(ir(signed_request(new_key())))) is PKIFailureInfo.BAD_MESSAGE_CHECK
    assert world.count() == 1


def test_a_refused_request_leaves_nothing_and_may_be_sent_again(world: World) -> None:
    new = world.secret(one_time=True)
    client = world.client(ByMAC(new.terms.reference, new.secret.encode()))
    bad = replace(signed_request(world.key), popo=signed_request(new_key()).popo)
    assert fail_info(client.ask(ir(bad)), 0) is PKIFailureInfo.BAD_POP
    assert (world.states(), world.count()) == ([], 0)
    client.nonce = None
    assert statuses(client.ask(ir(signed_request(world.key)))) == [PKIStatus.ACCEPTED]


def test_another_node_goes_on_with_a_transaction(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other", shares=world)
    client = world.client()
    ip = client.ask(ir(signed_request(world.key)))
    elsewhere = CMPClient(
        other.send, client.protection, now=world.house.clock.now(), transaction_id=client.transaction_id
    )
    assert elsewhere.send(client.last).body == ip.body
    assert elsewhere.ask(confirmation(ip)).body.type is BodyType.PKI_CONF
    assert world.states() == [TransactionState.CONFIRMED]


def test_without_transactions_all_certificates_count_as_confirmed(tmp_path: Path) -> None:
    world = World(tmp_path, max_transactions=0)
    client = world.client()
    ip = client.ask(ir(signed_request(world.key)))
    assert info_of(ip, info_types.IMPLICIT_CONFIRM) == info_types.implicit_confirm()
    assert world.states() == []
    assert fail_info(client.ask(confirmation(ip))) is PKIFailureInfo.BAD_REQUEST
    assert world.status(certificate(ip)).state is CertificateState.GOOD


def test_too_many_transactions_are_not_begun(tmp_path: Path) -> None:
    world = World(tmp_path, max_transactions=1)
    first = world.client()
    ip = first.ask(ir(signed_request(world.key)))
    second = world.client()
    assert fail_info(second.ask(ir(signed_request(new_key()))), 0) is PKIFailureInfo.SYSTEM_UNAVAIL
    first.ask(confirmation(ip))
    second.nonce = None
    assert statuses(second.again()) == [PKIStatus.ACCEPTED]


def test_every_move_is_in_the_table() -> None:
    for current in TransactionState:
        for following in TransactionState:
            if following in MOVES[current]:
                require_move(current, following)
            else:
                with pytest.raises(ForbiddenMove):
                    require_move(current, following)


def _address(world: World) -> Address:
    return Address(terms=world.labels.by_label("devices"))


def _serial(certificate_der: bytes) -> int:
    return x509.load_der_x509_certificate(certificate_der).serial_number
