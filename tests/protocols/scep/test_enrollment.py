"""A request becomes one certificate, or an exact failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from cspd.refusals import Conflict, Unavailable
from cspd.x509.cms.content_encryption import ContentCipher
from cspd.x509.signatures import hash_of
from protocols.scep.codec import decode
from protocols.scep.decryption import SharedPasswords
from protocols.scep.envelope import open_envelope
from protocols.scep.exchanges import Address
from protocols.scep.messages import CertsOnly, FailInfo, PKIMessage, PKIStatus
from protocols.scep.transactions import endpoint_of
from protocols.scep.transport import PKI_MESSAGE
from tests.protocols.scep.world import OTHER_PROFILE, PASSWORD, PATH, PROFILE, World, header, rsa_key
from tests.support.authorities import ISSUING
from tests.support.scep_client import (
    EVERYTHING,
    ScepClient,
    certificate_of,
    csr_of,
    name_of,
    recipient_key,
)

OTHER_PATH = f"/scep/demo/demo~issuing/{OTHER_PROFILE}/"


@pytest.fixture
def world() -> World:
    return World()


def failure(answer: tuple[PKIMessage, Any]) -> tuple[FailInfo | None, str | None]:
    """What a failure says, and that it is one."""
    message, data = answer
    assert message.pki_status is PKIStatus.FAILURE
    assert data is None
    return message.fail_info, message.fail_info_text


def test_a_request_with_the_password_gets_a_certificate(world: World) -> None:
    certificate = world.enroll(world.device(), world.csr())
    assert certificate.subject == name_of("device")
    assert certificate.public_key() == rsa_key(1).public_key()
    assert certificate.issuer == world.house.get(ISSUING).subject


def test_a_wrong_password_gets_badmessagecheck_and_no_certificate(world: World) -> None:
    device = world.device()
    answer = world.answer(device, device.enrollment(world.csr(password="wrong")))  # wrong
    assert failure(answer) == (FailInfo.BAD_MESSAGE_CHECK, "the challengePassword is wrong")
    assert (world.certificate_count, world.transaction_count) == (0, 0)


def test_who_was_refused_may_try_again_in_the_same_transaction(world: World) -> None:
    device = world.device()
    failure(world.answer(device, device.enrollment(world.csr(password=None))))
    world.enroll(device, world.csr())


def test_an_answer_belongs_to_its_request(world: World) -> None:
    device = world.device()
    message_der = device.enrollment(world.csr())
    asked = decode(message_der).message
    answered, _ = world.answer(device, message_der)
    assert answered.transaction_id == asked.transaction_id
    assert answered.recipient_nonce == asked.sender_nonce
    assert answered.sender_nonce not in (asked.sender_nonce, None)
    assert len(answered.sender_nonce) == 16


@pytest.mark.requirement("R-CEG-054")
@pytest.mark.parametrize("cipher", list(ContentCipher))
@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_an_answer_has_the_digest_and_the_cipher_of_its_request(digest: Any, cipher: ContentCipher) -> None:
    world = World(allow_sha1=True, allow_des3=True, allow_des=True)
    device = world.device(digest=digest, cipher=cipher)
    received = decode(world.send(device.enrollment(world.csr())))
    assert received.signer_certificate == world.authority.certificate
    assert hash_of(received.signer_info.digest_algorithm).name == digest.name
    opened = world.house.run(
        open_envelope(
            received.message.pkcs_pki_envelope or b"",
            [recipient_key(device.key, device.certificate)],
            EVERYTHING,
            random_bytes=lambda count: bytes(count),
        )
    )
    assert opened.cipher is cipher


def test_what_is_not_allowed_is_refused_with_badalg(world: World) -> None:
    for device in (
        world.device(digest=hashes.SHA1()),  # what old devices send
        world.device(cipher=ContentCipher.DES_EDE3_CBC),
        world.device(cipher=ContentCipher.DES_CBC),
    ):
        answer_der = world.send(device.enrollment(world.csr()))
        info, _ = failure(device.read(answer_der))
        assert info is FailInfo.BAD_ALG
        assert hash_of(decode(answer_der).signer_info.digest_algorithm).name == "sha256"
    assert world.certificate_count == 0


def test_a_service_may_allow_what_others_do_not() -> None:
    world = World(service={"allow_des3": True})
    world.enroll(world.device(cipher=ContentCipher.DES_EDE3_CBC), world.csr())


@pytest.mark.requirement("R-CEG-066")
def test_the_profile_of_the_path_decides_the_key_usage(world: World) -> None:
    device, csr_der = world.device(), world.csr()
    usages = [
        world.enroll(device, csr_der, path=path).extensions.get_extension_for_class(x509.KeyUsage).value
        for path in (PATH, OTHER_PATH)
    ]
    assert [(usage.digital_signature, usage.key_encipherment) for usage in usages] == [(True, False), (False, True)]


def test_a_device_without_rsa_gets_its_answer_for_its_password(world: World) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    device = replace(world.device(), key=key, certificate=certificate_of(key, "device"))
    passwords = SharedPasswords([PASSWORD.encode()], world.in_thread)
    message, data = device.read(world.send(device.enrollment(csr_of(key, "device", PASSWORD))), passwords)
    assert message.pki_status is PKIStatus.SUCCESS
    assert isinstance(data, CertsOnly)


def test_a_device_that_could_not_read_its_answer_gets_no_certificate(world: World) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    device = replace(world.device(), key=key, certificate=certificate_of(key, "device"))
    info, text = failure(world.answer(device, device.enrollment(csr_of(key, "device"))))
    assert (info, text) == (
        FailInfo.BAD_ALG,
        "the answer can be encrypted neither for the signer's key nor for a password",
    )
    assert world.authorizer.authorized == []


def test_who_has_no_certificate_signs_with_the_key_of_the_request(world: World) -> None:
    device = world.device()
    answer = world.answer(device, device.enrollment(world.csr(key=2)))
    assert failure(answer) == (
        FailInfo.BAD_MESSAGE_CHECK,
        "the message is signed with another key than that of its request",
    )


def test_what_was_enveloped_for_another_is_refused(world: World) -> None:
    device = replace(world.device(), ra_certificate=certificate_of(rsa_key(3), "somebody"))
    [info, text] = failure(
        replace(device, ra_certificate=world.authority.certificate).read(world.send(device.enrollment(world.csr())))
    )
    assert (info, text) == (FailInfo.BAD_MESSAGE_CHECK, "the message is enveloped for somebody else")


@pytest.mark.parametrize(
    "content", [b"", b"\x30\x00", b"no request at all"], ids=["nothing", "an empty sequence", "no DER"]
)
def test_whatever_cannot_be_read_in_the_envelope_is_one_failure(world: World, content: bytes) -> None:
    device = world.device()
    answer = world.answer(device, device.enrollment(content))
    assert failure(answer) == (FailInfo.BAD_MESSAGE_CHECK, "the pkcsPKIEnvelope cannot be read")


def test_a_subject_may_be_replaced(world: World) -> None:
    names = (x509.DNSName("device.example"),)
    world.authorizer.authorization = replace(
        world.authorizer.authorization, subject=name_of("somebody else"), subject_alt_names=names
    )
    certificate = world.enroll(world.device(), world.csr())
    assert certificate.subject == name_of("somebody else")
    assert tuple(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names


def test_who_authorized_is_told_of_the_certificate(world: World) -> None:
    certificate = world.enroll(world.device(), world.csr())
    assert world.authorizer.told == [f"issued {certificate.serial_number:x}"]
    [request] = world.authorizer.authorized
    assert (request.address, request.request_id, request.replaces) == ("192.0.2.7", "r-1", None)
    assert PASSWORD not in repr(request)


def test_who_authorized_is_told_that_there_is_no_certificate(world: World) -> None:
    def recorded(connection: Connection, authority_id: str, serial: int) -> None:
        raise Conflict("the challenge is used up")

    world.authorizer.authorization = replace(world.authorizer.authorization, recorded=recorded)
    device = world.device()
    answer = world.answer(device, device.enrollment(world.csr()))
    assert failure(answer) == (FailInfo.BAD_REQUEST, "the challenge is used up")
    assert world.authorizer.told == ["refused: the challenge is used up"]
    assert (world.certificate_count, world.transaction_count) == (0, 0)


def test_a_profile_that_the_ca_does_not_have_is_a_failure() -> None:
    world = World(profiles=["tls-server"])
    device = world.device()
    info, text = failure(
        world.answer(device, device.enrollment(world.csr()), path="/scep/demo/demo~issuing/tls-server/")
    )
    assert (info, text) == (FailInfo.BAD_REQUEST, "CA demo~issuing has no profile 'tls-server'")


def test_what_may_work_in_a_moment_is_left_to_http(world: World) -> None:
    def recorded(connection: Connection, authority_id: str, serial: int) -> None:
        raise Unavailable("the store is gone", retry_after=timedelta(seconds=7))

    world.authorizer.authorization = replace(world.authorizer.authorization, recorded=recorded)
    response = world.ask("operation=PKIOperation", world.device().enrollment(world.csr()))
    assert (response.status, header(response, b"retry-after")) == (503, b"7")
    assert world.authorizer.told == ["refused: the store is gone"]


# The same request again


def rebuilt(world: World) -> ScepClient:
    """The same device after it was started anew: it makes another certificate for its key."""
    return replace(world.device(), certificate=certificate_of(rsa_key(1), "device", serial_number=7))


@pytest.mark.requirement("R-CEG-071")
def test_the_same_message_again_gets_the_same_certificate(world: World) -> None:
    device = world.device()
    message_der = device.enrollment(world.csr())
    (_, first), (_, second) = world.answer(device, message_der), world.answer(device, message_der)
    assert first == second
    assert world.certificate_count == 1
    assert len(world.authorizer.authorized) == 1


@pytest.mark.requirement("R-CEG-071")
def test_the_same_request_made_anew_gets_the_same_certificate(world: World) -> None:
    first = world.enroll(world.device(), world.csr())
    assert world.enroll(rebuilt(world), world.csr()) == first
    assert world.certificate_count == 1


@pytest.mark.requirement("R-CEGI-012")
def test_another_node_gives_the_same_certificate(world: World) -> None:
    other = World(shares=world)
    assert other.enroll(world.device(), world.csr()) == world.enroll(world.device(), world.csr())
    assert world.certificate_count == 1


@pytest.mark.requirement("R-CEG-071", "R-CEGI-012")
def test_two_nodes_at_one_moment_give_one_certificate(world: World) -> None:
    other, device = World(shares=world), world.device()
    message_der = device.enrollment(world.csr())
    meanwhile: list[Any] = []
    world.authorizer.meanwhile = lambda: meanwhile.append(other.answer(device, message_der))
    _, data = world.answer(device, message_der)
    [(_, given_meanwhile)] = meanwhile
    assert data == given_meanwhile
    assert (world.certificate_count, world.transaction_count) == (1, 1)
    assert [told.partition(" ")[0] for told in world.authorizer.told] == ["issued"]


def test_a_request_whose_challenge_its_twin_has_used_up_gets_the_twins_certificate(world: World) -> None:
    other, device = World(shares=world), world.device()
    other.authorizer = world.authorizer
    message_der = device.enrollment(world.csr())

    def use_up() -> None:
        other.answer(device, message_der)
        raise Conflict("the challenge is used up")

    world.authorizer.meanwhile = use_up
    message, _ = world.answer(device, message_der)
    assert message.pki_status is PKIStatus.SUCCESS
    assert world.certificate_count == 1


def test_a_device_that_left_finds_its_certificate_when_it_comes_again(world: World) -> None:
    device = world.device()
    message_der = device.enrollment(world.csr())
    place = world.house.run(world.plain.find("demo", "demo~issuing", PROFILE))
    address = Address(place=place, endpoint=endpoint_of("plain", "demo", "demo~issuing", PROFILE))
    decided: Deferred[None] = Deferred()
    world.authorizer.until = decided
    leaving = Deferred.fromCoroutine(world.assembled.service.answer(message_der, address))
    left: list[Failure] = []
    leaving.addErrback(left.append)
    leaving.cancel()
    assert [failure.type for failure in left] == [CancelledError]
    assert world.certificate_count == 0
    decided.callback(None)
    assert world.certificate_count == 1
    message, _ = world.answer(device, message_der)
    assert message.pki_status is PKIStatus.SUCCESS
    assert world.certificate_count == 1


def test_another_request_with_the_same_transaction_is_refused(world: World) -> None:
    device = world.device()
    world.enroll(device, world.csr())
    answer = world.answer(device, device.enrollment(world.csr("another")))
    assert failure(answer) == (FailInfo.BAD_REQUEST, "the transactionID belongs to another request")
    assert world.certificate_count == 1


def test_another_path_is_another_transaction(world: World) -> None:
    first = world.enroll(world.device(), world.csr())
    assert world.enroll(world.device(), world.csr(), path=OTHER_PATH) != first


def test_a_transaction_ends(world: World) -> None:
    first = world.enroll(world.device(), world.csr())
    world.house.clock.advance(timedelta(minutes=61))
    assert world.enroll(world.device(), world.csr()) != first
    assert world.transaction_count == 1


def test_transactions_are_cleaned_up(world: World) -> None:
    world.enroll(world.device(), world.csr())
    world.house.run(world.assembled.replacement.run())
    assert world.transaction_count == 1
    world.house.clock.advance(timedelta(minutes=61))
    world.house.run(world.assembled.replacement.run())
    assert world.transaction_count == 0


def test_signing_time_is_looked_at_when_told_to() -> None:
    world = World(time_tolerance="1h")
    device = world.device()
    now = world.house.clock.now()
    for moment, is_fine in ((now, True), (now - timedelta(hours=2), False)):
        message_der = device.enrollment(world.csr(), signing_time=moment)
        message, _ = world.answer(device, message_der)
        assert (message.pki_status is PKIStatus.SUCCESS) is is_fine
    assert message.fail_info is FailInfo.BAD_TIME


def test_answers_are_pki_messages(world: World) -> None:
    response = world.ask("operation=PKIOperation", world.device().enrollment(world.csr()))
    assert header(response, b"content-type") == PKI_MESSAGE.encode()
    assert header(response, b"cache-control") == b"no-store"
