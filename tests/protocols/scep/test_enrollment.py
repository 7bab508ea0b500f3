"""A request becomes one certificate."""

from __future__ import annotations

import pytest

from protocols.scep.messages import FailInfo, PKIStatus
from tests.protocols.scep.world import World, rsa_key
from tests.support.authorities import ISSUING
from tests.support.scep_client import name_of


@pytest.fixture
def world() -> World:
    return World()


def test_a_request_with_the_password_gets_a_certificate(world: World) -> None:
    certificate = world.enroll(world.device(), world.csr())
    assert certificate.subject == name_of("device")
    assert certificate.public_key() == rsa_key(1).public_key()
    assert certificate.issuer == world.house.get(ISSUING).subject


def test_a_wrong_password_gets_badmessagecheck_and_no_certificate(world: World) -> None:
    device = world.device()
    message, data = world.answer(device, device.enrollment(world.csr(password="wrong")))  # wrong
    assert (message.pki_status, message.fail_info, data) == (PKIStatus.FAILURE, FailInfo.BAD_MESSAGE_CHECK, None)
    assert world.certificate_count == 0
