"""Requests that wait for somebody's approval, and the certificates that come of them (RFC 8894, 3.3.2.2 and 3.3.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.approvals import RequestState
from cspd.authority.values import CertificateState
from cspd.x509.certificate_fields import fields_of
from protocols.scep.messages import CertsOnly, FailInfo, IssuerAndSubject, MessageType, PKIMessage, PKIStatus
from tests.protocols.scep.world import PASSWORD, World
from tests.support.authorities import ALICE
from tests.support.scep_client import ScepClient, certificate_of, csr_of, name_of

APPROVAL = {"approval": True}


def waiting(world: World, device: ScepClient, csr_der: bytes | None = None) -> str:
    """Ask for a certificate that waits; the id of the request."""
    message, data = world.answer(device, device.enrollment(csr_der or world.csr()))
    assert (message.pki_status, data) == (PKIStatus.PENDING, None)
    return request_id_of(world)


def request_id_of(world: World) -> str:
    [kept] = world.house.run(world.approvals.list(state=RequestState.WAITING))
    return str(kept.id)


def poll(
    world: World, device: ScepClient, *, issuer: bytes | None = None, subject: x509.Name | None = None
) -> tuple[PKIMessage, Any]:
    """The answer to a CertPoll that names the registration authority, as strongSwan does."""
    names = IssuerAndSubject(issuer or subject_of(device.ra_certificate), (subject or name_of("device")).public_bytes())
    return world.answer(device, device.ask(MessageType.CERT_POLL, names))


def subject_of(certificate: x509.Certificate) -> bytes:
    return fields_of(certificate.public_bytes(Encoding.DER)).subject


@pytest.fixture
def world() -> World:
    return World(service=APPROVAL)


@pytest.mark.requirement("R-CEG-061")
def test_a_request_waits_until_somebody_approves(world: World) -> None:
    device = world.device()
    request_id = waiting(world, device)
    assert poll(world, device)[0].pki_status is PKIStatus.PENDING
    issued = world.house.run(world.approvals.approve(request_id, ALICE))
    message, data = poll(world, device)
    assert message.pki_status is PKIStatus.SUCCESS
    assert data == CertsOnly((issued.certificate_der,))
    assert poll(world, device)[1] == data


def test_a_denied_request_is_a_failure_with_the_reason(world: World) -> None:
    device = world.device()
    world.house.run(world.approvals.deny(waiting(world, device), ALICE, "nobody knows it"))
    message, _ = poll(world, device)
    assert (message.fail_info, message.fail_info_text) == (FailInfo.BAD_REQUEST, "nobody knows it")


@pytest.mark.requirement("R-CEG-071")
def test_the_same_request_again_waits_with_the_first(world: World) -> None:
    device = world.device()
    request_id = waiting(world, device)
    assert waiting(world, replace(device, certificate=certificate_of(device.key, "device", serial_number=9))) == (
        request_id
    )
    issued = world.house.run(world.approvals.approve(request_id, ALICE))
    assert world.enroll(device, world.csr()).serial_number == issued.serial
    assert len(world.authorizer.authorized) == 1


@pytest.mark.requirement("R-CEGI-012")
def test_another_node_answers_the_poll(world: World) -> None:
    device = world.device()
    world.house.run(world.approvals.approve(waiting(world, device), ALICE))
    message, _ = poll(World(shares=world, service=APPROVAL), device)
    assert message.pki_status is PKIStatus.SUCCESS


def test_two_nodes_at_one_moment_keep_one_request(world: World) -> None:
    other, device = World(shares=world, service=APPROVAL), world.device()
    message_der = device.enrollment(world.csr())
    world.authorizer.meanwhile = lambda: other.answer(device, message_der)
    message, _ = world.answer(device, message_der)
    assert message.pki_status is PKIStatus.PENDING
    request_id_of(world)


def test_the_challenge_is_not_kept(world: World) -> None:
    waiting(world, world.device())
    [kept] = world.house.run(world.approvals.list())
    assert kept.request.csr_der is None
    assert PASSWORD.encode() not in repr(kept).encode()


@pytest.mark.parametrize("who", ["issuer", "subject", "key", "transaction"])
def test_a_poll_for_what_is_not_there_is_badcertid(world: World, who: str) -> None:
    device = world.device()
    waiting(world, device)
    if who == "issuer":
        answer = poll(world, device, issuer=name_of("somebody").public_bytes())
    elif who == "subject":
        answer = poll(world, device, subject=name_of("another"))
    elif who == "key":
        stranger = world.device(key=2)
        names = IssuerAndSubject(subject_of(device.ra_certificate), name_of("device").public_bytes())
        message_der = stranger.ask(MessageType.CERT_POLL, names, transaction_id=device.transaction_id)
        answer = world.answer(stranger, message_der)
    else:
        answer = poll(world, world.device(key=2))
    message, _ = answer
    assert (message.fail_info, message.fail_info_text) == (FailInfo.BAD_CERT_ID, "there is no such request of yours")


def test_the_ca_may_be_named_as_issuer(world: World) -> None:
    device = world.device()
    waiting(world, device)
    for certificate_der in world.authority.registration_authority.certificates_der:
        issuer = subject_of(x509.load_der_x509_certificate(certificate_der))
        assert poll(world, device, issuer=issuer)[0].pki_status is PKIStatus.PENDING


def test_names_are_the_same_in_other_string_types(world: World) -> None:
    device = world.device()
    waiting(world, device)
    printable = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device", x509.name._ASN1Type.PrintableString)])
    assert poll(world, device, subject=printable)[0].pki_status is PKIStatus.PENDING


def test_another_request_in_a_waiting_transaction_is_refused(world: World) -> None:
    device = world.device()
    waiting(world, device)
    message, _ = world.answer(device, device.enrollment(world.csr("another")))
    assert message.fail_info is FailInfo.BAD_REQUEST


def test_a_request_is_forgotten_when_its_time_is_over() -> None:
    world = World(service=APPROVAL, approval_lifetime="1h")
    device = world.device()
    waiting(world, device)
    world.house.clock.advance(timedelta(hours=1))
    assert poll(world, device)[0].fail_info is FailInfo.BAD_CERT_ID


def test_a_device_whose_answer_could_not_be_encrypted_later_does_not_wait(world: World) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    device = replace(world.device(), key=key, certificate=certificate_of(key, "device"))
    message, _ = world.answer(device, device.enrollment(csr_of(key, "device", PASSWORD)))
    assert message.fail_info is FailInfo.BAD_ALG


@pytest.mark.requirement("R-CEG-067")
def test_what_an_approved_renewal_replaces_is_revoked_when_its_successor_is_fetched() -> None:
    first = World()
    device = first.enrolled()
    world = World(shares=first, service={**APPROVAL, "revoke_replaced": True})
    message, _ = world.answer(device, device.enrollment(world.csr(key=2), MessageType.RENEWAL_REQ))
    assert message.pki_status is PKIStatus.PENDING
    world.house.run(world.approvals.approve(request_id_of(world), ALICE))
    assert world.status(device.certificate).state is CertificateState.GOOD
    assert poll(world, device)[0].pki_status is PKIStatus.SUCCESS
    assert world.status(device.certificate).state is CertificateState.REVOKED


def test_a_certificate_that_did_not_wait_can_be_polled_too() -> None:
    world = World()
    device = world.device()
    certificate = world.enroll(device, world.csr())
    _, data = poll(world, device)
    assert data == CertsOnly((certificate.public_bytes(Encoding.DER),))
