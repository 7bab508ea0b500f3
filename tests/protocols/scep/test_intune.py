"""Devices of Intune enroll: Intune decides, nothing else does, and no answer is a no."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from cspd.refusals import Unavailable
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.intune.authorizer import check_signed_with_sha2
from protocols.scep.intune.config import PROFILES
from protocols.scep.intune.refusals import FAIL_INFO, refusal_of
from protocols.scep.intune.values import HResult, IntuneCode, IssuedNotice, RefusedByIntune, RefusedNotice
from protocols.scep.messages import FailInfo, IssuerAndSerialNumber, MessageType, PKIStatus
from tests.protocols.scep.intune_world import CHALLENGE, INTUNE_PROFILE, IntuneWorld, path_of
from tests.protocols.scep.world import PASSWORD, PATH, RA_PROFILE, with_certificate
from tests.support.authorities import ALICE, ISSUING
from tests.support.running import result_of

SMART_CARD_LOGON = ObjectIdentifier("1.3.6.1.4.1.311.20.2.2")


@pytest.fixture
def world() -> IntuneWorld:
    return IntuneWorld()


@pytest.mark.requirement("R-CEG-007")
@pytest.mark.requirement("R-CEG-074")
@pytest.mark.requirement("R-CEG-075")
@pytest.mark.requirement("R-CEGI-112")
def test_intune_is_asked_first_and_told_afterwards(world: IntuneWorld) -> None:
    csr_der = world.csr()
    certificate = world.enroll(csr_der)
    [(transaction_id, validated)] = world.intune.asked
    assert validated == csr_der
    [notice] = world.intune.told
    assert isinstance(notice, IssuedNotice)
    assert (notice.transaction_id, notice.csr_der) == (transaction_id, csr_der)
    assert notice.serial == certificate.serial_number
    assert notice.not_after == certificate.not_valid_after_utc
    assert x509.load_der_x509_certificate(notice.certificate_der) == certificate
    assert notice.issuer == certificate.issuer.rfc4514_string()
    assert world.waiting == []


def test_the_record_says_by_what_protocol_it_came(world: IntuneWorld) -> None:
    world.enroll()
    assert world.certificate_count == 1
    [event] = [each for each in world.house.audit.events if each.event == "certificate-issued"][-1:]
    assert event.actor == "intune:CN=device"


@pytest.mark.requirement("R-CEG-074")
@pytest.mark.requirement("R-CEGI-113")
def test_no_password_of_ours_is_looked_at() -> None:
    world = IntuneWorld(service={"challenge": {"store": "scep"}, "revoke_replaced": True})
    for key, challenge in enumerate((CHALLENGE, PASSWORD, None), 1):
        world.enroll(world.csr(challenge=challenge, key=key), key=key)
    assert len(world.intune.asked) == 3, "and Intune judges each"
    world.intune.verdict = RefusedByIntune(IntuneCode.CHALLENGE_DECRYPTION_ERROR)
    assert world.refused(world.csr(challenge=PASSWORD, key=4), key=4)[0] is FailInfo.BAD_MESSAGE_CHECK


@pytest.mark.requirement("R-CEG-069")
@pytest.mark.requirement("R-CEGI-113")
def test_a_renewal_is_validated_too_and_revokes_nothing() -> None:
    world = IntuneWorld(
        service={"challenge": {"store": "scep"}, "revoke_replaced": True, "renewal_without_challenge": True}
    )
    first = world.enroll()
    device = with_certificate(world.device(), first)
    world.intune.verdict = RefusedByIntune(IntuneCode.CHALLENGE_EXPIRED)
    message, _ = world.world.answer(
        device, device.enrollment(world.csr(key=3), MessageType.RENEWAL_REQ), path=path_of()
    )
    assert message.pki_status is PKIStatus.FAILURE, "Intune's word is needed for it as well"
    world.intune.verdict = None
    second = world.world.enroll(device, world.csr(key=4), MessageType.RENEWAL_REQ, path=path_of())
    assert second.serial_number != first.serial_number
    assert world.world.status(first).revoked_at is None


@pytest.mark.requirement("R-CEGI-111")
@pytest.mark.requirement("R-CEG-082")
@pytest.mark.parametrize("code", FAIL_INFO)
def test_a_refusal_of_intune_is_told_the_device_in_our_words(world: IntuneWorld, code: IntuneCode) -> None:
    world.intune.verdict = RefusedByIntune(code, description="something internal of Microsoft's")
    fail_info, text = world.refused()
    assert (fail_info, text) == FAIL_INFO[code]
    assert "internal" not in text
    assert world.certificate_count == 0
    [notice] = world.intune.told
    assert isinstance(notice, RefusedNotice)
    assert (notice.result, notice.description) == (HResult.NOT_VALIDATED, code.value)
    assert world.waiting == [], "nothing of those is kept who have proved nothing"


def test_the_table_of_refusals_is_complete() -> None:
    assert set(FAIL_INFO) == set(IntuneCode) - {IntuneCode.SUCCESS}
    believed = refusal_of(RefusedByIntune(IntuneCode.SUCCESS))
    assert believed.fail_info is FailInfo.BAD_REQUEST


@pytest.mark.requirement("R-CEG-082")
@pytest.mark.requirement("R-CEGI-111")
def test_without_an_answer_nothing_is_issued(world: IntuneWorld) -> None:
    world.intune.verdict = Unavailable("Intune cannot be asked", detail="no connection")
    assert world.unavailable() == 503
    assert world.certificate_count == 0
    [notice] = world.intune.told
    assert isinstance(notice, RefusedNotice)
    assert notice.result is HResult.NO_ANSWER
    world.intune.verdict = None
    world.enroll()


@pytest.mark.requirement("R-CEG-075")
@pytest.mark.requirement("R-CEGI-112")
def test_intune_hears_of_what_it_validated_and_the_ca_refused(world: IntuneWorld) -> None:
    result_of(world.house.management.edit(ISSUING, ALICE, profiles=[RA_PROFILE, INTUNE_PROFILE]))
    world.refused(profile="intune-non-repudiation")
    [notice] = world.intune.told
    assert isinstance(notice, RefusedNotice)
    assert notice.result is HResult.NOT_ISSUED
    assert "no profile" in notice.description
    assert len(world.intune.asked) == 1
    assert world.certificate_count == 0
    assert world.waiting == []


def test_a_retransmission_is_answered_without_intune(world: IntuneWorld) -> None:
    device, csr_der = world.device(), world.csr()
    message = device.enrollment(csr_der)
    first = world.world.send(message, path=path_of())
    second = world.world.send(message, path=path_of())
    read = [device.read(each)[1].certificates_der for each in (first, second)]  # type: ignore[union-attr]
    assert read[0] == read[1]
    assert len(world.intune.asked) == len(world.intune.told) == 1


@pytest.mark.requirement("R-CEG-083")
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_of_intune_is_served(world: IntuneWorld, profile: str) -> None:
    certificate = world.enroll(profile=profile)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature is (profile != "intune-key-encipherment")
    assert usage.key_encipherment is ("key-encipherment" in profile)
    assert usage.content_commitment is (profile == "intune-non-repudiation")


@pytest.mark.requirement("R-CEGI-115")
@pytest.mark.parametrize("profile", PROFILES)
def test_key_usage_is_the_profile_s_and_extended_key_usage_the_device_s(world: IntuneWorld, profile: str) -> None:
    wanted = [ExtendedKeyUsageOID.CLIENT_AUTH, SMART_CARD_LOGON]
    usage = x509.KeyUsage(True, True, True, True, False, False, False, False, False)
    csr_der = world.csr(key=2, extensions=[(usage, True), (x509.ExtendedKeyUsage(wanted), False)])
    plain = world.enroll(profile=profile)
    certificate = world.enroll(csr_der, profile=profile, key=2)
    of_profile, found = (each.extensions.get_extension_for_class(x509.KeyUsage) for each in (plain, certificate))
    assert found == of_profile, "whatever was asked for"
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    expected = [ExtendedKeyUsageOID.CLIENT_AUTH] if profile.endswith("clientauth") else wanted
    assert list(extended) == expected


@pytest.mark.requirement("R-CEGI-116")
@pytest.mark.requirement("R-CEGI-123")
def test_validity_is_the_profile_s(world: IntuneWorld) -> None:
    """A PKCS #10 request has no place for a validity: whatever device it is, the CA decides."""
    certificate = world.enroll()
    now = world.house.clock.now()
    assert timedelta(days=364) < certificate.not_valid_after_utc - now <= timedelta(days=366)


@pytest.mark.requirement("R-CEGI-116")
def test_validity_ends_with_the_ca_s(world: IntuneWorld) -> None:
    ca = world.house.get(ISSUING).certificate
    assert ca is not None
    world.house.clock.advance(ca.not_valid_after_utc - timedelta(days=100) - world.house.clock.now())
    assert world.enroll().not_valid_after_utc == ca.not_valid_after_utc


@pytest.mark.requirement("R-CEGI-114")
@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda each: each.name)
def test_sha_2_works(world: IntuneWorld, digest: Any) -> None:
    world.world.enroll(world.device(digest=digest), world.csr(digest=digest), path=path_of())


@pytest.mark.requirement("R-CEGI-114")
def test_a_message_of_sha_1_is_refused_although_scep_allows_it() -> None:
    world = IntuneWorld(service={"challenge": {"store": "scep"}, "allow_sha1": True, "allow_des3": True})
    device = world.device(digest=hashes.SHA1())
    message, _ = world.world.answer(device, device.enrollment(world.csr()), path=path_of())
    assert message.fail_info is FailInfo.BAD_ALG
    assert world.intune.asked == []
    plain, _ = world.world.answer(device, device.enrollment(world.csr(challenge=PASSWORD)), path=PATH)
    assert plain.pki_status is PKIStatus.SUCCESS


OBSOLETE = {
    "SHA-1 with RSA": bytes.fromhex("06092a864886f70d010105"),
    "MD5 with RSA": bytes.fromhex("06092a864886f70d010104"),
}


@pytest.mark.requirement("R-CEGI-114")
@pytest.mark.parametrize("name", OBSOLETE)
def test_a_request_of_sha_1_or_md5_is_refused_before_intune_is_asked(world: IntuneWorld, name: str) -> None:
    # sha256WithRSAEncryption, as long as the others; the signature is not looked at here, but in the message below.
    csr_der = world.csr().replace(bytes.fromhex("06092a864886f70d01010b"), OBSOLETE[name])
    with pytest.raises(PKIMessageRefused) as refused:
        check_signed_with_sha2(csr_der)
    assert refused.value.fail_info is FailInfo.BAD_ALG
    world.refused(csr_der)
    assert world.intune.asked == []
    assert world.certificate_count == 0


@pytest.mark.requirement("R-CEG-076")
@pytest.mark.requirement("R-CEGI-110")
@pytest.mark.parametrize(
    "path",
    [
        path_of(ca="demo~root"),
        path_of(ca="demo~nobody"),
        path_of("scep-digital-signature"),
        path_of().replace("/demo/", "/Demo/"),
        path_of().replace("/demo/", "/another/"),
    ],
)
def test_what_has_no_configuration_of_intune_is_not_served(world: IntuneWorld, path: str) -> None:
    message = world.device().enrollment(world.csr())
    assert world.world.ask("operation=PKIOperation", message, path=path).status == 404
    assert world.world.ask("operation=GetCACaps", path=path).status == 404
    assert world.intune.asked == []


def test_only_the_profiles_of_conf_are_served() -> None:
    world = IntuneWorld(profiles=[INTUNE_PROFILE])
    world.enroll()
    other = path_of("intune-non-repudiation")
    assert world.world.ask("operation=GetCACaps", path=other).status == 404


@pytest.mark.requirement("R-CEG-081")
@pytest.mark.requirement("R-CEGI-110")
def test_crls_and_next_cas_are_not_given_here(world: IntuneWorld) -> None:
    caps = world.world.ask("operation=GetCACaps", path=path_of())
    assert caps.status == 200
    assert b"GetNextCACert" not in caps.body
    assert b"POSTPKIOperation" in caps.body
    assert b"SHA-1" not in caps.body.split()
    assert world.world.ask("operation=GetCACert", path=path_of()).status == 200
    assert world.world.ask("operation=GetNextCACert", path=path_of()).status in (400, 404)
    device = with_certificate(world.device(), world.enroll())
    issuer = world.house.get(ISSUING).subject
    asked = IssuerAndSerialNumber(issuer.public_bytes(), device.certificate.serial_number)
    message, _ = world.world.answer(device, device.ask(MessageType.GET_CRL, asked), path=path_of())
    assert (message.pki_status, message.fail_info) == (PKIStatus.FAILURE, FailInfo.BAD_REQUEST)


def test_the_slash_at_the_end_may_be_missing(world: IntuneWorld) -> None:
    world.world.enroll(world.device(), world.csr(), path=path_of().removesuffix("/"))
