"""Requests that wait for a person, and clients that ask again and again (RFC 9483, 4.4)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.authority.values import CertificateState
from protocols.cmp import info_types
from protocols.cmp.messages import BodyType, PKIBody, PollRepContent
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from protocols.cmp.transactions import TransactionState
from tests.protocols.cmp.world import World
from tests.support.cmp_client import (
    ByMAC,
    CMPClient,
    cert_conf,
    certificate,
    confirmation,
    error,
    fail_info,
    info_of,
    ir,
    p10cr,
    poll_req,
    signed_request,
    statuses,
)
from tests.support.running import result_of

IMPLICIT = {"general_info": (info_types.implicit_confirm(),)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, approval=True, check_after="30s")


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def begin(world: World, body: PKIBody, **header: Any) -> CMPClient:
    """A client that was told to wait."""
    client = world.client()
    assert set(statuses(client.ask(body, **header))) == {PKIStatus.WAITING}
    return client


@pytest.mark.parametrize(("body_of", "number"), [(lambda key: ir(signed_request(key)), 0), (p10cr, -1)])
def test_a_client_polls_until_its_request_is_approved(world: World, body_of: Any, number: int) -> None:
    client = begin(world, body_of(world.key))
    assert world.states() == [TransactionState.WAITING]
    for _ in range(2):
        answer = client.ask(poll_req(number))
        assert isinstance(answer.body.content, PollRepContent)
        assert [(each.cert_req_id, each.check_after) for each in answer.body.content.replies] == [(number, 30)]
        assert client.again().body == answer.body
    assert world.count() == 0
    world.decide(approve=True)
    answer = client.ask(poll_req(number))
    assert statuses(answer) == [PKIStatus.ACCEPTED]
    assert answer.body.type is (BodyType.CP if number < 0 else BodyType.IP)
    assert info_of(answer, info_types.CONFIRM_WAIT_TIME) is not None
    assert certificate(answer).public_key() == world.key.public_key()
    assert client.again().body == answer.body
    assert client.ask(confirmation(answer)).body.type is BodyType.PKI_CONF
    assert (world.states(), world.count()) == ([TransactionState.CONFIRMED], 1)


def test_implicit_confirmation_that_was_asked_for_at_first_is_granted_at_last(world: World) -> None:
    client = begin(world, ir(signed_request(world.key)), **IMPLICIT)
    world.decide(approve=True)
    assert info_of(client.ask(poll_req(0)), info_types.IMPLICIT_CONFIRM) == info_types.implicit_confirm()
    assert world.states() == [TransactionState.CONFIRMED]


def test_a_denied_request_is_rejected_with_the_reason(world: World) -> None:
    client = begin(world, ir(signed_request(world.key)))
    world.decide(approve=False)
    answer = client.ask(poll_req(0))
    assert fail_info(answer, 0) is PKIFailureInfo.NOT_AUTHORIZED
    assert "not this one" in str(answer.body.content)
    assert client.again().body == answer.body
    assert fail_info(client.ask(poll_req(0))) is PKIFailureInfo.BAD_REQUEST
    assert world.states() == [TransactionState.ENDED]


def test_a_message_is_answered_when_all_of_it_is_decided(world: World) -> None:
    client = begin(world, ir(signed_request(world.key), signed_request(new_key(), "second", 4)))
    world.decide(approve=True)
    answer = client.ask(poll_req(0, 4))
    assert isinstance(answer.body.content, PollRepContent)
    world.decide(approve=False)
    answer = client.ask(poll_req(0, 4))
    assert sorted(status.name for status in statuses(answer)) == ["ACCEPTED", "REJECTION"]
    assert client.ask(confirmation(answer)).body.type is BodyType.PKI_CONF
    assert world.states() == [TransactionState.CONFIRMED]


@pytest.mark.parametrize("body", [poll_req(1), poll_req(0, 1), poll_req(-1)])
def test_a_poll_for_what_does_not_wait_is_refused(world: World, body: PKIBody) -> None:
    client = begin(world, ir(signed_request(world.key)))
    assert fail_info(client.ask(body)) is PKIFailureInfo.BAD_REQUEST
    assert world.states() == [TransactionState.WAITING]


def test_there_is_nothing_to_confirm_while_a_request_waits(world: World) -> None:
    client = begin(world, ir(signed_request(world.key)))
    nonce = client.nonce
    assert fail_info(client.ask(cert_conf())) is PKIFailureInfo.BAD_REQUEST
    client.nonce = nonce
    assert client.ask(poll_req(0)).body.type is BodyType.POLL_REP


def test_a_request_that_comes_again_still_waits(world: World) -> None:
    client = begin(world, ir(signed_request(world.key)))
    assert statuses(client.again()) == [PKIStatus.WAITING]
    assert len(result_of(world.approvals.list())) == 1


def test_the_same_request_in_another_transaction_is_another_one(world: World) -> None:
    body = ir(signed_request(world.key))
    protection = world.client().protection
    for count in (1, 2):
        assert statuses(world.client(protection).ask(body)) == [PKIStatus.WAITING]
        assert len(result_of(world.approvals.list())) == count


def test_a_client_that_gives_up_takes_its_request_back(world: World) -> None:
    client = begin(world, ir(signed_request(world.key)))
    assert client.ask(error()).body.type is BodyType.PKI_CONF
    [kept] = result_of(world.approvals.list())
    assert (kept.state.value, kept.reason) == ("denied", "the client has given up")
    assert world.states() == [TransactionState.ENDED]


def test_a_client_that_gives_up_too_late_has_its_certificate_revoked(world: World) -> None:
    client = begin(world, ir(signed_request(world.key)))
    world.decide(approve=True)
    client.ask(error())
    assert world.states() == [TransactionState.ENDED]
    assert [change.status.state for change in world.house.changes] == [CertificateState.REVOKED]


def test_a_certificate_that_nobody_fetches_is_revoked(world: World) -> None:
    begin(world, ir(signed_request(world.key)))
    world.decide(approve=True)
    world.pass_time(timedelta(days=6))
    assert world.states() == [TransactionState.WAITING]
    world.pass_time(timedelta(hours=23, minutes=56))
    assert [change.status.state for change in world.house.changes] == [CertificateState.REVOKED]
    world.pass_time(timedelta(hours=1))
    assert world.states() == []


def test_what_nobody_has_decided_is_not_approved_after_its_transaction(world: World) -> None:
    begin(world, ir(signed_request(world.key)))
    world.pass_time(timedelta(days=6, hours=23, minutes=56))
    [kept] = result_of(world.approvals.list())
    assert kept.state.value == "denied"
    assert world.states() == []


def test_what_policy_refuses_does_not_wait(world: World) -> None:
    ip = world.client().ask(ir(signed_request(ec.generate_private_key(ec.SECP192R1()))))
    assert fail_info(ip, 0) is PKIFailureInfo.BAD_CERT_TEMPLATE
    assert (world.states(), result_of(world.approvals.list())) == ([], [])


def test_a_one_time_secret_is_used_up_by_the_request_that_waits(world: World) -> None:
    new = world.secret(one_time=True)
    protection = ByMAC(new.terms.reference, new.secret.encode())
    client = world.client(protection)
    assert statuses(client.ask(ir(signed_request(world.key)))) == [PKIStatus.WAITING]
    assert fail_info(world.client(protection).ask(ir(signed_request(new_key())))) is PKIFailureInfo.BAD_MESSAGE_CHECK
    world.decide(approve=True)
    answer = client.ask(poll_req(0))
    assert client.ask(confirmation(answer)).body.type is BodyType.PKI_CONF
