"""Registration authorities: made once over all nodes, renewed without a gap, and left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from cspd.authority.values import CAReference, EnrollmentRequest, Issued, Pending
from cspd.certified_keys.making import CLAIM
from cspd.health import HealthState
from cspd.keys.config import KeysConfig
from cspd.keys.deployment import Deployment, DeploymentChanged
from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import NotFound, Rejected, Unavailable
from protocols.scep.codec import decode
from protocols.scep.envelope import open_envelope
from protocols.scep.errors import PKIMessageRefused
from protocols.scep.interfaces import RegistrationAuthority
from protocols.scep.messages import MessageType, PKIMessage, PKIStatus
from protocols.scep.registration_authority_assembly import LEFT_BEHIND, SETTLING
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig, Role
from protocols.scep.registration_authority_keys import holder_of, role_of
from protocols.scep.registration_authority_tables import RECORDS
from protocols.scep.verification import verify
from tests.protocols.scep.registration_authorities import (
    DAY,
    ENTRY,
    PROFILE,
    SEPARATE,
    YEAR,
    Node,
    der,
    installed,
    ra_keys,
)
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation
from tests.support.running import result_of
from tests.support.scep_client import EVERYTHING, ScepClient, certificate_of, csr_of

DEVICE_KEY = rsa.generate_private_key(65537, 2048)
DEVICE = certificate_of(DEVICE_KEY, "device")
GRACE = ENTRY.grace


def opens(authority: RegistrationAuthority, certificate: x509.Certificate) -> bool:
    """Whether it opens what a client enveloped for that certificate."""
    client = ScepClient(key=DEVICE_KEY, certificate=DEVICE, ra_certificate=certificate)
    request = decode(client.enrollment(csr_of(DEVICE_KEY, "device"))).message
    assert request.pkcs_pki_envelope is not None
    try:
        opened = result_of(
            open_envelope(request.pkcs_pki_envelope, authority.recipients, EVERYTHING, random_bytes=os.urandom)
        )
    except PKIMessageRefused:
        return False
    return opened.content == csr_of(DEVICE_KEY, "device")


def signs_as(authority: RegistrationAuthority, certificate: x509.Certificate) -> bool:
    """Whether an answer of it is signed with that certificate's key."""
    answer = PKIMessage(
        message_type=MessageType.CERT_REP,
        transaction_id="1",
        sender_nonce=bytes(16),
        recipient_nonce=bytes(16),
        pki_status=PKIStatus.PENDING,
    )
    received = decode(result_of(authority.signer(hashes.SHA256()).sign(answer)))
    verify(received, EVERYTHING)
    return received.signer_certificate == certificate


@pytest.mark.requirement("R-CEG-055")
@pytest.mark.requirement("R-CEGI-007")
def test_a_registration_authority_is_made_at_the_start() -> None:
    installation = installed()
    node = Node(installation)
    authority = node.of()
    certificate = node.certificate()
    assert certificate.subject.rfc4514_string() == "CN=issuing of demo SCEP RA"
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    root, issuing = installation.get(ROOT), installation.get(ISSUING)
    assert authority.certificates_der == (der(certificate), issuing.certificate_der, root.certificate_der)
    assert issuing.certificate is not None
    certificate.verify_directly_issued_by(issuing.certificate)
    [issued] = installation.audited("certificate-issued")
    assert issued["profile"] == PROFILE
    assert node.health() == (HealthState.OK, "")
    [made] = [each for each in installation.audit.events if each.event == "scep-registration-authority-made"]
    assert made.fields["key"] in {str(key) for key in ra_keys(installation)}


@pytest.mark.requirement("R-CEG-054")
def test_it_opens_envelopes_and_signs_answers() -> None:
    node = Node(installed())
    certificate = node.certificate()
    assert opens(node.of(), certificate)
    assert signs_as(node.of(), certificate)
    assert not opens(node.of(), certificate_of(rsa.generate_private_key(65537, 2048), "somebody"))


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.RSA_3072, KeyType.RSA_4096])
@pytest.mark.requirement("R-CEG-060")
def test_the_key_is_rsa_of_the_size_and_in_the_place_of_conf(key_type: KeyType) -> None:
    installation = installed()
    node = Node(installation, ENTRY.model_copy(update={"key_type": key_type, "keys": "token", "subject": "CN=RA"}))
    public_key = node.certificate().public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert f"rsa-{public_key.key_size}" == key_type.value
    [key] = ra_keys(installation)
    assert key.provider == "token"
    assert installation.keys.decrypting == {key}, "keys of CAs only sign"
    assert node.certificate().subject.rfc4514_string() == "CN=RA"


@pytest.mark.parametrize("key_type", [each.value for each in KeyType if not each.value.startswith("rsa")])
@pytest.mark.requirement("R-CEG-060")
def test_other_keys_are_refused_when_conf_is_read(key_type: str) -> None:
    with pytest.raises(ValueError, match="envelopes need a key that decrypts"):
        RegistrationAuthorityConfig.model_validate({"ca": "demo~issuing", "key_type": key_type})


def test_two_certificates_one_for_each_use() -> None:
    installation = installed()
    node = Node(
        installation,
        RegistrationAuthorityConfig(ca=str(ISSUING), signing_profile=SEPARATE[0], encryption_profile=SEPARATE[1]),
    )
    authority = node.of()
    signing, encryption = map(x509.load_der_x509_certificate, authority.certificates_der[:2])
    usages = [each.extensions.get_extension_for_class(x509.KeyUsage).value for each in (signing, encryption)]
    assert [(each.digital_signature, each.key_encipherment) for each in usages] == [(True, False), (False, True)]
    assert signing.public_key() != encryption.public_key()
    assert opens(authority, encryption)
    assert not opens(authority, signing)
    assert signs_as(authority, signing)
    assert len(authority.recipients) == 1
    [decrypting] = installation.keys.decrypting
    assert result_of(installation.keys.public_key(decrypting)) == encryption.public_key()


def test_what_was_enveloped_before_conf_wanted_two_certificates_still_opens() -> None:
    installation = installed()
    before = Node(installation).certificate()
    separate = RegistrationAuthorityConfig(ca=str(ISSUING), signing_profile=SEPARATE[0], encryption_profile=SEPARATE[1])
    node = Node(installation, separate, name="after the reload")
    assert opens(node.of(), before)
    assert node.of().signing_certificate_der != der(before)


@pytest.mark.requirement("R-CEG-058")
def test_a_ca_without_an_entry_is_refused_and_the_other_is_served() -> None:
    node = Node(installed())
    with pytest.raises(NotFound, match="demo~root has no registration authority for SCEP"):
        node.of(ROOT)
    assert node.of().recipients


def test_an_entry_for_a_ca_that_does_not_exist_leaves_the_other_served() -> None:
    installation = installed()
    with capturedLogs():
        node = Node(installation, ENTRY.model_copy(update={"ca": "demo~none"}), ENTRY)
    with pytest.raises(NotFound, match="no CA demo~none"):
        node.of(CAReference("demo", "none"))
    assert node.of().recipients
    assert (node.health(0)[0], node.health(1)[0]) == (HealthState.FAILED, HealthState.OK)


@pytest.mark.requirement("R-CEG-055")
def test_a_second_node_uses_what_the_first_made() -> None:
    first = installed()
    one, two = Node(first, name="one"), Node(Installation(shares=first), name="two")
    assert two.of().signing_certificate_der == one.of().signing_certificate_der
    assert opens(two.of(), one.certificate())
    assert len(ra_keys(first)) == 1


def test_a_second_node_that_misses_it_looks_at_once() -> None:
    """It began before there was the CA; the first node has made the certificate in this very second."""
    first = installed(profiles=("tls-server",))
    with capturedLogs():
        one, two = Node(first, name="one"), Node(Installation(shares=first), name="two")
        with pytest.raises(Unavailable):
            two.of()
    first.run(first.management.edit(ISSUING, ALICE, profiles=[PROFILE]))
    one.pass_time(timedelta(seconds=5))
    assert two.of().signing_certificate_der == one.of().signing_certificate_der


def test_requests_for_what_is_not_there_do_not_keep_the_store_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    installation = installed(profiles=("tls-server",))
    with capturedLogs():
        node = Node(installation)
    reads: list[object] = []
    read = installation.database.read

    async def counted(work: Callable[[Connection], Any]) -> Any:
        reads.append(work)
        return await read(work)

    def refused() -> None:
        with pytest.raises(Unavailable):
            node.of()

    monkeypatch.setattr(installation.database, "read", counted)
    refused()
    once = len(reads)
    for _ in range(10):
        refused()
    assert len(reads) == once > 0
    node.clock.advance(timedelta(seconds=1))
    refused()
    assert len(reads) == 2 * once


class SlowIssuance:
    """The CA's answer comes when the test says so."""

    def __init__(self, installation: Installation) -> None:
        self._issuance = installation.issuance
        self.answers: list[Deferred[None]] = []

    async def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        answer: Deferred[None] = Deferred()
        self.answers.append(answer)
        await answer
        return await self._issuance.enroll(request)


def test_the_first_request_waits_for_the_first_making() -> None:
    first = installed()
    slow = SlowIssuance(first)
    one = Node(first, name="one", issuance=slow)
    two = Node(Installation(shares=first), name="two")
    two.tick(3)
    asked = [Deferred.fromCoroutine(node.built.authorities.of(ISSUING)) for node in (one, two)]
    assert len(slow.answers) == 1, "one node makes it"
    assert not any(each.called for each in asked)
    slow.answers[0].callback(None)
    two.tick()
    assert all(each.called for each in asked)
    assert two.of().signing_certificate_der == one.of().signing_certificate_der


def test_a_maker_that_died_is_replaced_after_its_claim() -> None:
    first = installed()
    now = first.clock.now()
    result_of(first.database.write(lambda c: RECORDS.claim(c, str(ISSUING), owner="dead", now=now, until=now + CLAIM)))
    node = Node(first)
    node.tick()
    assert not ra_keys(first)
    node.pass_time(CLAIM)
    assert node.of().recipients


@pytest.mark.requirement("R-CEG-059")
def test_it_is_renewed_in_the_last_third_of_its_life_and_never_missing() -> None:
    node = Node(installed())
    first = node.certificate()
    node.pass_time(YEAR * 0.66)
    node.renew()
    node.pass_time(SETTLING)
    assert node.certificate() == first
    node.pass_time(YEAR * 0.01)
    node.renew()
    assert node.certificate() == first, "other nodes may not have seen the new one yet"
    [newest, _] = [each.certificate for each in node.of().recipients]
    assert opens(node.of(), newest)
    node.pass_time(SETTLING)
    assert node.certificate() == newest
    assert newest.public_key() != first.public_key()
    assert newest.not_valid_after_utc > first.not_valid_after_utc
    assert signs_as(node.of(), newest)
    assert node.health() == (HealthState.OK, "")


@pytest.mark.requirement("R-CEG-059")
def test_a_first_one_that_is_renewed_at_once_is_not_left_before_all_have_heard_of_the_next() -> None:
    node = Node(installed())
    first = node.certificate()
    node.pass_time(timedelta(seconds=3))
    node.renew_now()
    assert node.certificate() == first
    [newest, _] = [each.certificate for each in node.of().recipients]
    node.pass_time(SETTLING)
    assert node.certificate() == newest


@pytest.mark.requirement("R-CEG-059")
def test_the_previous_one_decrypts_for_its_grace_and_is_then_destroyed() -> None:
    installation = installed()
    node = Node(installation)
    first = node.certificate()
    node.clock.advance(YEAR * 0.7)
    node.renew()
    node.pass_time(GRACE - timedelta(seconds=1))
    node.renew()
    assert opens(node.of(), first)
    node.pass_time(timedelta(seconds=1))
    node.renew()
    node.tick()
    assert not opens(node.of(), first)
    assert len(ra_keys(installation)) == 1
    [event] = [each for each in installation.audit.events if each.event == "scep-registration-authority-destroyed"]
    assert event.fields["registration_authority"] == "demo~issuing"
    assert opens(node.of(), node.certificate())


@pytest.mark.requirement("R-CEG-059")
@pytest.mark.parametrize("seed", range(3))
def test_what_one_node_gave_any_node_opens_until_its_grace_is_over(seed: int) -> None:
    """Two years of two nodes that look at the store when they come to it, and of a job that runs on either."""
    chance = Random(seed)
    first = installed()
    nodes = [Node(first, name="one"), Node(Installation(shares=first), name="two")]
    looked = [first.clock.now()] * 2
    given: dict[bytes, datetime] = {}
    renewals = 0
    for _ in range(200):
        first.clock.advance(chance.choice([timedelta(seconds=1), timedelta(seconds=3), DAY, 15 * DAY]))
        now = first.clock.now()
        for index in chance.sample(range(2), 2):
            if now - looked[index] > timedelta(seconds=5) or chance.random() < 0.5:
                nodes[index].tick()
                looked[index] = now
        if chance.random() < 0.3:
            chance.choice(nodes).renew()
        for node in nodes:
            certificate_der = node.of().signing_certificate_der
            renewals += certificate_der not in given
            given[certificate_der] = now
        for certificate_der, last_given in given.items():
            if now - last_given < GRACE - 16 * DAY:  # the job that makes a successor may come late
                for node in nodes:
                    assert certificate_der in {der(each.certificate) for each in node.of().recipients}
    assert renewals >= 2


def test_each_key_has_its_own_grace_however_often_it_is_renewed() -> None:
    """The successor's successor does not prolong the life of the first."""
    installation = installed()
    node = Node(installation, ENTRY.model_copy(update={"grace": timedelta(days=10)}))
    first = node.certificate()
    for renewals in range(1, 4):
        node.pass_time(4 * DAY)
        node.renew_now()
        assert len(ra_keys(installation)) == renewals + 1
    node.pass_time(2 * DAY)
    node.renew()
    node.tick()
    assert not opens(node.of(), first)
    assert len(ra_keys(installation)) == 3


def test_conf_says_how_long_before_its_end_it_is_renewed() -> None:
    node = Node(installed(), ENTRY.model_copy(update={"renew_before": 60 * DAY}))
    first = node.certificate()
    end = first.not_valid_after_utc
    node.clock.advance(end - node.clock.now() - 61 * DAY)
    node.renew()
    assert len(node.of().recipients) == 1
    node.clock.advance(DAY)
    node.renew()
    assert len(node.of().recipients) == 2


def test_a_renewal_earlier_than_half_of_its_life_is_not_asked_for() -> None:
    node = Node(installed(), ENTRY.model_copy(update={"renew_before": 400 * DAY}))
    node.clock.advance(YEAR * 0.49)
    node.renew()
    assert len(node.of().recipients) == 1
    node.clock.advance(YEAR * 0.02)
    node.renew()
    assert len(node.of().recipients) == 2


def test_the_last_tenth_of_the_life_does_not_wait_for_the_job() -> None:
    node = Node(installed())
    first = node.certificate()
    node.pass_time(YEAR * 0.89)
    assert len(node.of().recipients) == 1
    node.pass_time(YEAR * 0.02)
    node.pass_time(SETTLING)
    assert node.certificate() != first


def test_another_key_of_the_ca_makes_another_registration_authority() -> None:
    installation = installed()
    node = Node(installation)
    first = node.certificate()
    old = installation.get(ISSUING)
    node.clock.advance(DAY)
    installation.run(installation.renewal.rekey(ISSUING, ALICE))
    node.tick()
    new, root = installation.get(ISSUING), installation.get(ROOT)
    assert new.certificate_der != old.certificate_der
    during = node.of().certificates_der
    assert during == (der(first), new.certificate_der, old.certificate_der, root.certificate_der)
    assert len(node.of().recipients) == 2
    node.pass_time(SETTLING)
    successor = node.certificate()
    assert new.certificate is not None
    successor.verify_directly_issued_by(new.certificate)
    assert node.of().certificates_der == (der(successor), new.certificate_der, root.certificate_der)
    assert opens(node.of(), first)


def test_a_renewed_certificate_of_the_ca_is_told_and_changes_nothing_else() -> None:
    installation = installed()
    node = Node(installation)
    first = node.certificate()
    installation.clock.advance(DAY)
    installation.run(installation.renewal.renew(ISSUING, ALICE))
    node.tick()
    issuing, root = installation.get(ISSUING), installation.get(ROOT)
    assert node.of().certificates_der == (der(first), issuing.certificate_der, root.certificate_der)
    assert len(ra_keys(installation)) == 1


def test_a_disabled_ca_keeps_its_registration_authority_and_gets_no_other() -> None:
    installation = installed()
    node = Node(installation)
    first = node.certificate()
    installation.run(installation.management.disable(ISSUING, ALICE))
    with capturedLogs() as logs:
        node.pass_time(YEAR * 0.8)
        node.renew()
        assert node.certificate() == first
        node.pass_time(YEAR * 0.15)
        node.renew()
    assert node.certificate() == first
    assert logs == []
    installation.run(installation.management.enable(ISSUING, ALICE))
    node.tick()
    assert len(node.of().recipients) == 2


def test_a_ca_that_is_disabled_at_the_start_is_told_and_served_once_it_is_enabled() -> None:
    installation = installed()
    installation.run(installation.management.disable(ISSUING, ALICE))
    with capturedLogs() as logs:
        node = Node(installation)
    assert node.health() == (HealthState.FAILED, "demo~issuing is disabled")
    with pytest.raises(Unavailable) as refused:
        node.of()
    assert refused.value.detail == "demo~issuing is disabled"
    assert logs == []
    installation.run(installation.management.enable(ISSUING, ALICE))
    node.tick()
    assert node.of().recipients


def test_a_deleted_ca_is_not_found() -> None:
    installation = installed()
    node = Node(installation)
    installation.run(installation.management.delete(ISSUING, ALICE))
    with pytest.raises(NotFound):
        node.of()


def test_a_key_that_somebody_destroyed_is_unavailable_until_there_is_another() -> None:
    """And no 404, which devices take for final."""
    installation = installed()
    node = Node(installation)
    certificate = node.certificate()
    [key] = ra_keys(installation)
    result_of(installation.keys.delete(key))
    with pytest.raises(Unavailable):
        opens(node.of(), certificate)
    with pytest.raises(Unavailable):
        signs_as(node.of(), certificate)
    node.pass_time(DAY)
    node.renew_now()
    node.pass_time(SETTLING)
    assert signs_as(node.of(), node.certificate())


class Refusing:
    """Keys that can be switched off."""

    def __init__(self, installation: Installation) -> None:
        self.on = True
        generate = installation.keys.generate

        async def refusing(*arguments: Any, **named: Any) -> KeyReference:
            if self.on:
                raise Unavailable("the HSM is away")
            return await generate(*arguments, **named)

        installation.keys.generate = refusing  # type: ignore[method-assign]  # of this one instance


def test_keys_that_are_away_at_the_start_are_used_when_they_come() -> None:
    installation = installed()
    away = Refusing(installation)
    with capturedLogs() as logs:
        node = Node(installation)
    assert node.health() == (HealthState.FAILED, "it gets no certificate: the HSM is away")
    assert [each["log_format"] for each in logs] == ["{what} {holder} gets no certificate: {reason}"]
    with pytest.raises(Unavailable) as refused:
        node.of()
    assert refused.value.detail == "it gets no certificate: the HSM is away"
    with capturedLogs():
        for _ in range(3100):
            node.pass_time(timedelta(seconds=1))
    away.on = False
    node.pass_time(timedelta(minutes=1))
    assert node.of().recipients
    assert node.health() == (HealthState.OK, "")


def test_a_renewal_that_fails_shows_while_the_old_one_goes_on() -> None:
    installation = installed()
    node = Node(installation)
    first = node.certificate()
    node.clock.advance(YEAR * 0.7)
    away = Refusing(installation)
    with capturedLogs(), pytest.raises(Unavailable, match="SCEP registration authorities were not renewed"):
        node.renew()
    assert node.certificate() == first
    assert node.health() == (HealthState.DEGRADED, "it gets no certificate: the HSM is away")
    away.on = False
    node.renew()
    node.pass_time(SETTLING)
    assert node.certificate() != first
    assert node.health() == (HealthState.OK, "")


def test_a_renewal_by_hand_that_fails_leaves_no_trace_in_health() -> None:
    """Nothing is due that would clear it."""
    installation = installed()
    node = Node(installation)
    Refusing(installation)
    with capturedLogs(), pytest.raises(Unavailable):
        node.renew_now()
    assert node.health() == (HealthState.OK, "")


@pytest.mark.parametrize(
    ("profiles", "lacks"),
    [
        ({"profile": SEPARATE[0]}, "has no keyEncipherment in its key_usage"),
        ({"profile": SEPARATE[1]}, "has no digitalSignature in its key_usage"),
        (
            {"profile": "timestamping"},
            "has no keyEncipherment in its key_usage",
        ),
        (
            {"signing_profile": SEPARATE[0], "encryption_profile": SEPARATE[0]},
            "scep-digital-signature has no keyEncipherment in its key_usage",
        ),
        (
            {"signing_profile": SEPARATE[1], "encryption_profile": SEPARATE[1]},
            "scep-key-encipherment has no digitalSignature in its key_usage",
        ),
    ],
    ids=str,
)
@pytest.mark.requirement("R-CEG-056")
def test_a_profile_without_the_key_usage_refuses_the_start(profiles: dict[str, str], lacks: str) -> None:
    entry = RegistrationAuthorityConfig.model_validate({"ca": str(ISSUING), **profiles})
    with pytest.raises(Rejected, match=lacks):
        Node(installed(), entry)


def test_a_profile_that_does_not_exist_refuses_the_start() -> None:
    with pytest.raises(Rejected, match="of demo~issuing cannot be made: profile nothing is not there"):
        Node(installed(), ENTRY.model_copy(update={"profile": "nothing"}))


class OtherIssuance:
    """A CA that gives certificates by another profile than it is asked for."""

    def __init__(self, installation: Installation, profile: str) -> None:
        self._issuance = installation.issuance
        self._profile = profile

    async def enroll(self, request: EnrollmentRequest) -> Issued:
        fields = {name: getattr(request, name) for name in EnrollmentRequest.__slots__}
        return await self._issuance.enroll(EnrollmentRequest(**{**fields, "profile": self._profile}))


@pytest.mark.parametrize(
    ("profile", "lacks"), [(SEPARATE[0], "keyEncipherment"), (SEPARATE[1], "digitalSignature")], ids=str
)
@pytest.mark.requirement("R-CEG-056")
def test_a_certificate_without_the_key_usage_is_refused_and_reported(profile: str, lacks: str) -> None:
    installation = installed()
    with capturedLogs() as logs:
        node = Node(installation, issuance=OtherIssuance(installation, profile))
    state, reason = node.health()
    assert state is HealthState.FAILED
    assert reason.endswith(f"cannot be used: its keyUsage lacks {lacks}")
    assert [each["log_level"].name for each in logs] == ["error"]
    with pytest.raises(Unavailable):
        node.of()
    assert ra_keys(installation) == set()


def test_a_ca_without_the_profile_is_told() -> None:
    with capturedLogs():
        node = Node(installed(profiles=("tls-server",)))
    says = f"it gets no certificate: CA demo~issuing has no profile '{PROFILE}'"
    assert node.health() == (HealthState.FAILED, says)


def test_a_revoked_certificate_is_used_for_nothing_any_more() -> None:
    installation = installed()
    node = Node(installation)
    revoked = node.certificate()
    installation.revoke(installation.get(ISSUING), revoked.serial_number)
    node.tick()
    node.tick()
    assert node.certificate() != revoked
    assert not opens(node.of(), revoked)


def test_a_store_that_is_away_lets_it_go_on_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    installation = installed()
    node = Node(installation)
    first = node.certificate()

    async def away(work: Callable[[Connection], Any]) -> Any:
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(installation.database, "read", away)
    with capturedLogs():
        node.tick(5)
        newcomer = Node(Installation(shares=installation), name="newcomer")
    assert node.certificate() == first
    assert newcomer.health() == (
        HealthState.FAILED,
        "its key and certificate cannot be read: the store does not answer",
    )
    node.clock.advance(2 * YEAR)
    with pytest.raises(Unavailable):
        node.of()


def test_the_token_with_the_key_cannot_be_swapped() -> None:
    installation = installed()
    Node(installation, ENTRY.model_copy(update={"keys": "hsm"}))
    keys = KeysConfig.model_validate({"software": {"master_key": {"file": "master.key"}}})
    with pytest.raises(DeploymentChanged, match=r"\[keys.pkcs11.hsm\] is missing, and there are keys in use at hsm"):
        result_of(Deployment(keys, database=installation.database, clock=installation.clock).hold())


def test_keys_of_a_ca_that_conf_names_no_more_are_destroyed_after_their_certificate() -> None:
    installation = installed()
    node = Node(installation)
    end = node.certificate().not_valid_after_utc
    node.built.stop()
    installation.make_issuing(CAReference("demo", "other"), profiles=(PROFILE,))
    after = Node(installation, ENTRY.model_copy(update={"ca": "demo~other"}), name="after the reload")
    after.clock.advance(end + LEFT_BEHIND - after.clock.now() - timedelta(seconds=1))
    after.tick()
    after.renew()
    [left, *_] = sorted(result_of(installation.database.read(RECORDS.read)), key=lambda each: each.not_after)
    assert left.holder == "demo~issuing"
    after.clock.advance(timedelta(seconds=1))
    after.renew()
    assert {each.holder for each in result_of(installation.database.read(RECORDS.read))} == {"demo~other"}


def test_the_end_lets_nobody_wait() -> None:
    installation = installed()
    slow = SlowIssuance(installation)
    node = Node(installation, issuance=slow)
    asked = Deferred.fromCoroutine(node.built.authorities.of(ISSUING))
    stopped = node.built.stop()
    assert asked.called
    asked.addErrback(lambda failure: failure.trap(Unavailable))
    assert not stopped.called
    slow.answers[0].callback(None)
    assert stopped.called
    assert installation.reactor.getDelayedCalls() == []


def test_health_warns_before_an_end_that_comes_without_a_successor() -> None:
    installation = installed()
    issuing = installation.get(ISSUING)
    assert issuing.certificate is not None
    end = issuing.certificate.not_valid_after_utc
    installation.clock.advance(end - installation.clock.now() - 40 * DAY)
    node = Node(installation)
    assert node.certificate().not_valid_after_utc == end
    node.pass_time(37 * DAY)
    assert node.health()[0] is HealthState.OK
    node.pass_time(DAY * 2)
    assert node.health() == (HealthState.DEGRADED, f"its certificate ends on {end:%Y-%m-%d %H:%M} UTC")


def test_metrics_say_when_certificates_end() -> None:
    node = Node(installed())
    [family] = node.built.keys.collect()
    [sample] = family.samples
    assert sample.labels == {"ca": "demo~issuing", "role": "signing and encryption"}
    assert sample.value == node.certificate().not_valid_after_utc.timestamp()


@pytest.mark.parametrize("role", Role)
def test_holders_are_named_by_ca_and_role(role: Role) -> None:
    assert role_of(holder_of("demo~issuing", role)) == ("demo~issuing", role)


def test_an_answer_signed_with_each_digest_verifies() -> None:
    node = Node(installed())
    authority = node.of()
    for digest in (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()):
        signed = result_of(authority.signer(digest).sign_data(b"content"))
        assert signed
        assert authority.signer(digest) is authority.signer(digest)


def test_oaep_is_decrypted_too() -> None:
    node = Node(installed())
    public_key = node.certificate().public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    [recipient] = node.of().recipients
    assert result_of(recipient.key.decrypt(public_key.encrypt(b"key", oaep), oaep)) == b"key"
