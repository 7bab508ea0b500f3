"""A certificate's successor (RFC 8894, 2.3 and 3.3.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection

from cspd.authority.values import CAReference, CertificateState, EnrollmentRequest, Issued, Requester, RevocationReason
from cspd.refusals import Conflict, Unavailable
from protocols.scep.messages import FailInfo, MessageType, PKIMessage, PKIStatus
from tests.protocols.scep.world import OTHER_PROFILE, PASSWORD, PROFILE, World, rsa_key, with_certificate
from tests.support.authorities import ISSUING
from tests.support.scep_client import ScepClient, certificate_of, csr_of, name_of

OTHER_CA = CAReference("demo", "other")
RENEWALS = (MessageType.PKCS_REQ, MessageType.RENEWAL_REQ, MessageType.UPDATE_REQ)


def renewal(
    world: World,
    device: ScepClient,
    message_type: MessageType = MessageType.RENEWAL_REQ,
    *,
    common_name: str = "device",
    key: int = 2,
    password: str | None = PASSWORD,
) -> bytes:
    """A request for the successor of a device's certificate, with a new key."""
    return device.enrollment(world.csr(common_name, key=key, password=password), message_type)


def renewed(world: World, device: ScepClient, message_type: MessageType = MessageType.RENEWAL_REQ) -> x509.Certificate:
    """The successor."""
    return world.enroll(device, world.csr(key=2), message_type)


def refused(answer: tuple[PKIMessage, Any]) -> tuple[FailInfo | None, str | None]:
    """What a failure says."""
    message, _ = answer
    assert message.pki_status is PKIStatus.FAILURE
    return message.fail_info, message.fail_info_text


@pytest.mark.requirement("R-CEG-070", "R-CEGI-097")
@pytest.mark.parametrize("message_type", RENEWALS)
def test_a_certificate_of_the_ca_signs_for_its_successor(message_type: MessageType) -> None:
    world = World()
    device = world.enrolled()
    successor = renewed(world, device, message_type)
    assert successor.public_key() == rsa_key(2).public_key()
    assert successor.subject == name_of("device")
    request = world.authorizer.authorized[-1]
    assert request.replaces is not None
    assert request.replaces.serial == device.certificate.serial_number


@pytest.mark.requirement("R-CEG-068")
def test_the_old_certificate_stays_valid() -> None:
    world = World()
    device = world.enrolled()
    renewed(world, device)
    assert world.status(device.certificate).state is CertificateState.GOOD


@pytest.mark.requirement("R-CEG-067", "R-CEGI-094")
@pytest.mark.parametrize("message_type", RENEWALS)
def test_the_old_certificate_is_revoked_where_told_to(message_type: MessageType) -> None:
    world = World(service={"revoke_replaced": True})
    device = world.enrolled()
    successor = renewed(world, device, message_type)
    status = world.status(device.certificate)
    assert (status.state, status.reason) == (CertificateState.REVOKED, RevocationReason.SUPERSEDED)
    assert world.status(successor).state is CertificateState.GOOD
    events = [each.event for each in world.house.audit.events]
    assert events.index("certificate-revoked") > len(events) - 1 - events[::-1].index("certificate-issued")


@pytest.mark.requirement("R-CEG-067", "R-CEGI-094")
def test_a_renewal_that_fails_revokes_nothing() -> None:
    world = World(service={"revoke_replaced": True})
    device = world.enrolled()

    def recorded(connection: Connection, authority_id: str, serial: int) -> None:
        raise Conflict("there is no certificate")

    world.authorizer.authorization = replace(world.authorizer.authorization, recorded=recorded)
    assert refused(world.answer(device, renewal(world, device)))[0] is FailInfo.BAD_REQUEST
    assert world.status(device.certificate).state is CertificateState.GOOD


def test_a_first_certificate_revokes_nothing() -> None:
    world = World(service={"revoke_replaced": True})
    world.enrolled()
    assert "certificate-revoked" not in [each.event for each in world.house.audit.events]


def test_a_renewal_whose_answer_was_lost_is_answered_although_its_signer_is_revoked_by_it() -> None:
    world = World(service={"revoke_replaced": True})
    device = world.enrolled()
    message_der = renewal(world, device)
    assert world.answer(device, message_der)[1] == world.answer(device, message_der)[1]
    assert world.certificate_count == 2


def test_what_could_not_be_revoked_is_revoked_later(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(service={"revoke_replaced": True})
    device = world.enrolled()

    async def unavailable(request: Any) -> Any:
        raise Unavailable("the store is gone")

    with monkeypatch.context() as patched:
        patched.setattr(world.house.revocation, "revoke", unavailable)
        renewed(world, device)
        world.house.clock.advance(timedelta(hours=2))
        world.house.run(world.assembled.replacement.run())
    assert world.status(device.certificate).state is CertificateState.GOOD
    world.house.run(world.assembled.replacement.run())
    assert world.status(device.certificate).state is CertificateState.REVOKED
    world.house.run(world.assembled.replacement.run())
    assert world.transaction_count == 0


# Who may renew what


@pytest.mark.requirement("R-CEG-070")
def test_a_renewal_needs_a_challenge_unless_conf_waives_it() -> None:
    world = World()
    device = world.enrolled()
    answer = world.answer(device, renewal(world, device, password=None))
    assert refused(answer) == (FailInfo.BAD_MESSAGE_CHECK, "the challengePassword is wrong")


@pytest.mark.requirement("R-CEG-070")
def test_a_renewal_needs_no_challenge_where_conf_waives_it() -> None:
    world = World(service={"renewal_without_challenge": True})
    device = world.enrolled()
    message, _ = world.answer(device, renewal(world, device, password=None))
    assert message.pki_status is PKIStatus.SUCCESS


@pytest.mark.parametrize("message_type", [MessageType.RENEWAL_REQ, MessageType.UPDATE_REQ])
def test_a_renewal_is_for_the_same_name(message_type: MessageType) -> None:
    world = World(service={"renewal_without_challenge": True})
    device = world.enrolled()
    answer = world.answer(device, renewal(world, device, message_type, common_name="another"))
    text = "subject, names or profile are not those of the certificate that is to be renewed"
    assert refused(answer) == (FailInfo.BAD_REQUEST, text)


def test_a_renewal_is_by_the_same_profile() -> None:
    world = World(service={"renewal_without_challenge": True})
    device = world.enrolled()
    answer = world.answer(device, renewal(world, device), path=f"/scep/demo/demo~issuing/{OTHER_PROFILE}/")
    assert refused(answer)[0] is FailInfo.BAD_REQUEST


def test_a_certificate_for_another_name_is_no_renewal() -> None:
    """PKCSReq may be signed with any certificate of the CA; the challenge is then needed, and nothing is replaced."""
    world = World(service={"renewal_without_challenge": True, "revoke_replaced": True})
    device = world.enrolled()
    message_type = MessageType.PKCS_REQ
    without = world.answer(device, renewal(world, device, message_type, common_name="another", password=None))
    assert refused(without)[0] is FailInfo.BAD_MESSAGE_CHECK
    with_password = world.answer(device, renewal(world, device, message_type, common_name="another"))
    assert with_password[0].pki_status is PKIStatus.SUCCESS
    assert world.status(device.certificate).state is CertificateState.GOOD


def test_a_further_name_is_no_renewal() -> None:
    world = World()
    device = world.enrolled()
    csr_der = csr_of(rsa_key(2), "device", PASSWORD, names=(x509.DNSName("device.example"),))
    answer = world.answer(device, device.enrollment(csr_der, MessageType.RENEWAL_REQ))
    assert refused(answer)[0] is FailInfo.BAD_REQUEST


@pytest.mark.parametrize("message_type", [MessageType.RENEWAL_REQ, MessageType.UPDATE_REQ])
def test_who_has_no_certificate_renews_none(message_type: MessageType) -> None:
    world = World()
    device = world.device()
    info, text = refused(world.answer(device, device.enrollment(world.csr(), message_type)))
    assert info is FailInfo.BAD_REQUEST
    assert (text or "").endswith("is signed with the certificate that is to be renewed")


@pytest.mark.requirement("R-CEGI-097")
@pytest.mark.parametrize("message_type", RENEWALS)
def test_an_expired_certificate_renews_nothing(message_type: MessageType) -> None:
    world = World()
    device = world.enrolled()
    world.house.clock.advance(device.certificate.not_valid_after_utc - world.house.clock.now() + timedelta(seconds=1))
    answer = world.answer(device, renewal(world, device, message_type))
    assert refused(answer) == (
        FailInfo.BAD_MESSAGE_CHECK,
        "the certificate that the message is signed with has expired",
    )
    assert world.certificate_count == 1


@pytest.mark.requirement("R-CEGI-097")
@pytest.mark.parametrize("message_type", RENEWALS)
@pytest.mark.parametrize("reason", [RevocationReason.KEY_COMPROMISE, RevocationReason.CERTIFICATE_HOLD])
def test_a_revoked_certificate_renews_nothing(message_type: MessageType, reason: RevocationReason) -> None:
    world = World()
    device = world.enrolled()
    world.house.revoke(world.house.get(ISSUING), device.certificate.serial_number, reason)
    answer = world.answer(device, renewal(world, device, message_type))
    assert refused(answer) == (FailInfo.BAD_MESSAGE_CHECK, "the client's certificate is revoked")
    assert world.certificate_count == 1


def enrolled_elsewhere(world: World) -> ScepClient:
    """A device with a certificate of another CA here."""
    world.house.make_issuing(OTHER_CA, profiles=(PROFILE,))
    request = EnrollmentRequest(
        ca=OTHER_CA, profile=PROFILE, requester=Requester(protocol="test", identity="x"), csr_der=world.csr()
    )
    issued = world.house.run(world.house.issuance.enroll(request))
    assert isinstance(issued, Issued)
    return with_certificate(world.device(), x509.load_der_x509_certificate(issued.certificate_der))


@pytest.mark.parametrize("message_type", RENEWALS)
def test_a_certificate_of_another_ca_of_ours_renews_nothing(message_type: MessageType) -> None:
    world = World()
    device = enrolled_elsewhere(world)
    answer = world.answer(device, renewal(world, device, message_type))
    text = "the message is signed with a certificate of another CA"
    assert refused(answer) == (FailInfo.BAD_MESSAGE_CHECK, text)


def test_a_certificate_of_another_ca_of_ours_may_hand_on_requests_and_is_nobody() -> None:
    service = {"signed_by_others": True, "renewal_without_challenge": True, "revoke_replaced": True}
    world = World(service=service)
    device = enrolled_elsewhere(world)
    without = world.answer(device, renewal(world, device, MessageType.PKCS_REQ, password=None))
    assert refused(without) == (FailInfo.BAD_MESSAGE_CHECK, "the challengePassword is wrong")
    world.enroll(device, world.csr(key=2))
    assert world.authorizer.authorized[-1].replaces is None


@pytest.mark.parametrize("message_type", RENEWALS)
def test_a_certificate_of_a_stranger_renews_nothing(message_type: MessageType) -> None:
    world = World()
    stranger = certificate_of(rsa_key(1), "device", issuer=(name_of("somebody"), rsa_key(3)))
    device = with_certificate(world.device(), stranger)
    answer = world.answer(device, renewal(world, device, message_type))
    text = "the message is signed with a certificate of another CA"
    assert refused(answer) == (FailInfo.BAD_MESSAGE_CHECK, text)


def test_a_forged_certificate_renews_nothing() -> None:
    """With the issuer and the serial number of a real one, and another key."""
    world = World()
    real = world.enrolled().certificate
    forged = certificate_of(rsa_key(3), "device", issuer=(real.issuer, rsa_key(3)), serial_number=real.serial_number)
    device = replace(world.device(key=3), certificate=forged)
    assert refused(world.answer(device, renewal(world, device)))[0] is FailInfo.BAD_MESSAGE_CHECK


@pytest.mark.parametrize("message_type", RENEWALS)
def test_the_same_key_may_be_certified_again_at_once(message_type: MessageType) -> None:
    """The transactionID is often made of the key: whoever signs with what a transaction gave has ended it."""
    world = World()
    device = world.enrolled()
    csr_der = world.csr()
    successor = world.enroll(device, csr_der, message_type)
    assert successor != device.certificate
    assert world.enroll(device, csr_der, MessageType.RENEWAL_REQ) == successor
    assert (world.certificate_count, world.transaction_count) == (2, 1)
