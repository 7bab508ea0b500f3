"""Who is recognized by what, and what everybody else is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.authority.values import CAReference, RevocationReason
from cspd.keys.threads import InlinePool
from cspd.refusals import Unavailable
from cspd.x509.signatures import Algorithm
from cspd.x509.tlv import object_identifier, sequence
from protocols.cmp.codec import decode, encode
from protocols.cmp.config import RuleConfig
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.mac_algorithms import PBMAC1MAC, PasswordBasedMAC
from protocols.cmp.mac_keys import MACKeys
from protocols.cmp.messages import BodyType, PKIMessage
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.registration_authorities import CMC_RA
from protocols.cmp.status import PKIFailureInfo
from tests.protocols.cmp.signing_parties import ECDSA_SHA256, MAC, House, maced, signed
from tests.protocols.cmp.vectors import VECTORS, message
from tests.support.authorities import ALICE
from tests.support.pools import SteppedPool
from tests.support.running import result_of
from tests.unit.http.certificates import CLIENT_AUTH, SERVER_AUTH, make

ECDSA_SHA512 = sequence(object_identifier("1.2.840.10045.4.3.4"))


@pytest.fixture
def house() -> House:
    return House()


def rejected(house: House, made: PKIMessage, **terms: object) -> PKIMessageRejected:
    """What the sender is told."""
    with pytest.raises(PKIMessageRejected) as raised:
        house.authenticate(made, **terms)
    return raised.value


def fail_info(house: House, made: PKIMessage, **terms: object) -> PKIFailureInfo:
    """The bit of it."""
    return rejected(house, made, **terms).fail_info


@pytest.mark.requirement("R-CAGW-213")
@pytest.mark.parametrize("mac", [MAC, PBMAC1MAC(b"salt", 1000)])
def test_who_has_the_secret_of_the_reference_is_whom_it_was_made_for(
    house: House, mac: PasswordBasedMAC | PBMAC1MAC
) -> None:
    new = house.secret()
    sender = house.authenticate(maced(new.secret, new.terms.reference.encode(), mac=mac))
    assert (sender.identity, sender.protection) == ("device 7", ProtectionKind.MAC)
    assert sender.secret == new.terms
    assert sender.password == new.secret.encode()
    assert sender.mac_key == mac.derive(new.secret.encode())
    assert not sender.is_registration_authority
    assert new.secret not in repr(sender)


@pytest.mark.parametrize("name", ["mac-genm-1-req", "mac-ir-1-req", "mac-ir-sha1-1-req", "mac-poll-1-req"])
def test_what_openssl_sends_by_default_is_accepted_by_the_default_rules(name: str) -> None:
    algorithm = decode(VECTORS[name]).header.protection_alg
    assert algorithm is not None
    assert RuleConfig(id="default").algorithm_rules().read_mac(algorithm)


def test_a_wrong_mac_and_no_such_secret_are_one_answer(house: House) -> None:
    new = house.secret(tries=20)
    known = new.terms.reference.encode()
    texts = set()
    for made in (
        maced("wrong", known),
        maced(new.secret, b"A" * 16),
        maced(new.secret, known + b"\0"),
        maced(new.secret, b"\xff\x00\x01"),
        maced(new.secret, b"A" * 200),
        maced(new.secret, b""),
    ):
        refused = rejected(house, made)
        assert refused.fail_info is PKIFailureInfo.BAD_MESSAGE_CHECK
        texts.add(refused.status_string)
    assert len(texts) == 1


def test_nobody_is_recognized_by_what_stands_for_no_secret(house: House) -> None:
    assert fail_info(house, maced(b"random", b"A" * 16)) is PKIFailureInfo.BAD_MESSAGE_CHECK


def test_wrong_macs_lock_a_secret(house: House) -> None:
    new = house.secret(tries=3)
    reference = new.terms.reference.encode()
    for _ in range(3):
        rejected(house, maced("wrong", reference))
    assert fail_info(house, maced(new.secret, reference)) is PKIFailureInfo.BAD_MESSAGE_CHECK


@pytest.mark.parametrize("way", ["revoked", "expired", "of another protocol"])
def test_a_secret_that_is_not_usable_is_like_none(house: House, way: str) -> None:
    new = house.secret(purpose="est" if way == "of another protocol" else "cmp")
    if way == "revoked":
        result_of(house.secrets.revoke(new.terms.reference, ALICE))
    if way == "expired":
        house.installation.clock.advance(timedelta(days=2))
    refused = rejected(house, maced(new.secret, new.terms.reference.encode()))
    assert refused.status_info == rejected(house, maced(new.secret, b"A" * 16)).status_info


def test_a_one_time_secret_goes_on_with_what_it_was_used_for(house: House) -> None:
    new = house.secret()
    use = house.secrets.use(new.terms)
    result_of(house.installation.database.write(lambda connection: use(connection, house.issuing.id, 1)))
    reference = new.terms.reference.encode()
    assert house.authenticate(maced(new.secret, reference, body=BodyType.CERT_CONF)).identity == "device 7"
    assert house.authenticate(maced(new.secret, reference, body=BodyType.POLL_REQ)).identity == "device 7"
    for body in (BodyType.IR, BodyType.RR, BodyType.GENM, BodyType.NESTED):
        assert fail_info(house, maced(new.secret, reference, body=body)) is PKIFailureInfo.BAD_MESSAGE_CHECK


@pytest.mark.parametrize("elsewhere", [{"ca": CAReference("demo", "other")}, {"profile": "tls-server"}])
def test_a_secret_for_another_ca_or_profile_is_not_authorized(house: House, elsewhere: dict[str, object]) -> None:
    new = house.secret(**elsewhere)
    made = maced(new.secret, new.terms.reference.encode())
    assert fail_info(house, made) is PKIFailureInfo.NOT_AUTHORIZED


def test_a_message_without_protection_is_refused(house: House) -> None:
    made = message(BodyType.CR)
    assert fail_info(house, made) is PKIFailureInfo.BAD_MESSAGE_CHECK
    for half in (replace(maced("x", b"A"), protection=None), replace(made, protection=b"octets")):
        assert fail_info(house, half) is PKIFailureInfo.BAD_MESSAGE_CHECK


def test_a_kind_of_protection_that_is_off_is_wrong_integrity(house: House) -> None:
    assert fail_info(house, maced("x", b"A"), mac=False) is PKIFailureInfo.WRONG_INTEGRITY
    made = signed(make("device", now=house.now))
    assert fail_info(house, made, certificate=False) is PKIFailureInfo.SIGNER_NOT_TRUSTED  # it may be an RA
    nobody = House(ra_profile=None, ra_trust=False)
    assert fail_info(nobody, made, certificate=False) is PKIFailureInfo.WRONG_INTEGRITY


def test_iterations_and_hashes_outside_of_the_rules_are_bad_alg(house: House) -> None:
    for mac in (PasswordBasedMAC(b"salt", 99), PasswordBasedMAC(b"salt", 100_001)):
        assert fail_info(house, maced("x", b"A", mac=mac)) is PKIFailureInfo.BAD_ALG


def test_another_set_of_rules_is_that_of_the_path() -> None:
    house = House(rules=[{"id": "strict", "max_iterations": 499}])
    new = house.secret()
    made = maced(new.secret, new.terms.reference.encode())
    assert house.authenticate(made).identity == "device 7"
    assert fail_info(house, made, rules="strict") is PKIFailureInfo.BAD_ALG


def test_a_key_that_verified_a_message_is_kept_and_others_are_not(house: House) -> None:
    pool = SteppedPool()
    keys = MACKeys(pool, {"default": RuleConfig(id="default").algorithm_rules()}, kept=2)
    made = [replace(MAC, salt=bytes((number,))).derive(b"secret") for number in range(3)]
    for key in made:
        keys.keep(b"secret", key, "default")
    assert result_of(keys.derive(b"secret", made[2].algorithm, "default")) is made[2]
    assert not pool.tasks
    for secret, salt in ((b"secret", b"\0"), (b"another", b"\2")):
        keys.derive(secret, replace(MAC, salt=salt).algorithm, "default").send(None)
        assert pool.tasks.pop()


class _FullPool(InlinePool):
    def run(self, work: Callable[[], Any]) -> Any:
        """Refuse."""
        raise Unavailable("too many")


def test_too_many_derivations_are_unavailable() -> None:
    house = House(pool=_FullPool())
    with pytest.raises(Unavailable):
        house.authenticate(maced("x", b"A"))


def test_a_certificate_of_the_ca_is_its_subject(house: House) -> None:
    device = house.own(usage=SERVER_AUTH)  # no use is asked for
    sender = house.authenticate(signed(device))
    assert (sender.identity, sender.protection) == ("CN=device", ProtectionKind.SIGNATURE)
    assert sender.certificate == device.certificate
    assert sender.record is not None
    assert sender.record.serial == device.certificate.serial_number
    assert not sender.is_registration_authority
    assert not sender.by_vendor
    assert sender.mac_key is None


@pytest.mark.parametrize("reason", [RevocationReason.CERTIFICATE_HOLD, RevocationReason.SUPERSEDED])
def test_a_certificate_that_is_held_or_revoked_is_not_trusted(house: House, reason: RevocationReason) -> None:
    for device in (house.own(), house.registration_authority()):
        house.installation.revoke(house.issuing, device.certificate.serial_number, reason)
        refused = rejected(house, signed(device))
        assert refused.fail_info is PKIFailureInfo.SIGNER_NOT_TRUSTED
        assert "revoked" in refused.status_string


def test_an_expired_certificate_does_not_even_get_its_successor(house: House) -> None:
    for days in ((-9, -1), (1, 9)):
        for usage in (None, CMC_RA):
            made = signed(house.own(days=days, usage=usage), body=BodyType.KUR)
            assert fail_info(house, made) is PKIFailureInfo.SIGNER_NOT_TRUSTED


def test_a_certificate_of_the_ca_where_that_is_not_enough_is_not_authorized(house: House) -> None:
    made = signed(house.own())
    assert fail_info(house, made, certificate=False) is PKIFailureInfo.NOT_AUTHORIZED
    assert fail_info(house, made, certificate=False, vendor_trust="vendors") is PKIFailureInfo.NOT_AUTHORIZED


def test_a_certificate_of_another_ca_of_ours_is_not_trusted(house: House) -> None:
    made = signed(house.own(authority=house.second_ca()))
    assert fail_info(house, made) is PKIFailureInfo.SIGNER_NOT_TRUSTED


def test_a_device_is_vouched_for_by_its_vendor(house: House) -> None:
    middle = make("vendor's CA", house.vendor, is_ca=True, now=house.now)
    device = make("device", middle, usage=CLIENT_AUTH, now=house.now)
    sender = house.authenticate(signed(device, middle), vendor_trust="vendors")
    assert sender.by_vendor
    assert sender.record is None
    assert sender.identity == "CN=device"
    assert fail_info(house, signed(device), vendor_trust="vendors") is PKIFailureInfo.SIGNER_NOT_TRUSTED
    assert fail_info(house, signed(device, middle)) is PKIFailureInfo.SIGNER_NOT_TRUSTED


@pytest.mark.requirement("R-CAGW-210")
def test_strangers_are_not_trusted(house: House) -> None:
    for party in (
        make("device", now=house.now),
        make("device", house.other, now=house.now),
        make("device", house.vendor, now=house.now, days=(-9, -1)),
        make("evil", make("device", house.vendor, now=house.now), now=house.now),
        make("vendor", now=house.now),
    ):
        made = signed(party)
        assert fail_info(house, made, vendor_trust="vendors") is PKIFailureInfo.SIGNER_NOT_TRUSTED


def test_registration_authorities_have_the_key_usage_and_the_configured_origin(house: House) -> None:
    own = house.authenticate(signed(house.registration_authority()), certificate=False)
    assert own.is_registration_authority
    assert own.record is not None
    foreign = make("ra", house.vendor, usage=CMC_RA, now=house.now)
    stranger = house.authenticate(signed(foreign))
    assert stranger.is_registration_authority
    assert stranger.record is None
    assert not stranger.by_vendor


def test_others_are_no_registration_authorities(house: House) -> None:
    for usage in (None, CLIENT_AUTH):
        assert not house.authenticate(signed(house.own(usage=usage))).is_registration_authority
        made = signed(make("ra", house.vendor, usage=usage, now=house.now))
        assert house.authenticate(made, vendor_trust="vendors").by_vendor
    made = signed(make("ra", house.other, usage=CMC_RA, now=house.now))
    assert fail_info(house, made) is PKIFailureInfo.SIGNER_NOT_TRUSTED
    second = house.second_ca()  # which that trust is not for
    foreign = signed(make("ra", house.vendor, usage=CMC_RA, now=house.now))
    assert fail_info(house, foreign, ca=second.reference) is PKIFailureInfo.SIGNER_NOT_TRUSTED
    assert fail_info(house, signed(house.registration_authority()), ca=second.reference) is (
        PKIFailureInfo.SIGNER_NOT_TRUSTED
    )


def test_the_usage_of_a_registration_authority_needs_the_profile() -> None:
    house = House(ra_profile="cmp-ra")
    assert not house.authenticate(signed(house.registration_authority())).is_registration_authority


def _header(**values: Any) -> Callable[[PKIMessage], PKIMessage]:
    return lambda made: replace(made, header=replace(made.header, **values))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda made: replace(made, extra_certs_der=()), PKIFailureInfo.BAD_MESSAGE_CHECK),
        (lambda made: replace(made, extra_certs_der=(b"\x30\x00",)), PKIFailureInfo.BAD_DATA_FORMAT),
        (lambda made: replace(made, protection=b"\0" * 70), PKIFailureInfo.BAD_MESSAGE_CHECK),
        (lambda made: replace(made, protection=None), PKIFailureInfo.BAD_MESSAGE_CHECK),
        (_header(sender_nonce=b"#" * 16), PKIFailureInfo.BAD_MESSAGE_CHECK),
        (_header(sender_kid=b"other"), PKIFailureInfo.BAD_MESSAGE_CHECK),
        (_header(protection_alg=Algorithm("1.2.3")), PKIFailureInfo.BAD_ALG),
    ],
    ids=["no certificate", "no certificate but octets", "signature", "none", "header", "senderKID", "algorithm"],
)
def test_what_is_wrong_with_a_signature_is_said(
    house: House, change: Callable[[PKIMessage], PKIMessage], expected: PKIFailureInfo
) -> None:
    made = decode(encode(change(signed(house.own()))))
    assert fail_info(house, made) is expected


def test_another_name_than_that_of_the_certificate_is_bad_message_check(house: House) -> None:
    made = signed(house.own(), sender_der=b"\xa4\x02\x30\x00")
    assert fail_info(house, made) is PKIFailureInfo.BAD_MESSAGE_CHECK


@pytest.mark.requirement("R-CAGW-211")
def test_signatures_and_keys_outside_of_the_rules_are_bad_alg(house: House) -> None:
    sha512 = signed(house.own(), algorithm_der=ECDSA_SHA512, hash_=hashes.SHA512())
    assert fail_info(house, sha512) is PKIFailureInfo.BAD_ALG
    on_p521 = house.own("p521", key=ec.generate_private_key(ec.SECP521R1()))
    assert fail_info(house, signed(on_p521)) is PKIFailureInfo.BAD_ALG
    allows = {"id": "default", "digest_algorithms": ["SHA-512", "SHA-256"], "curves": ["secp521r1", "secp256r1"]}
    wide = House(rules=[allows])
    assert wide.authenticate(signed(wide.own(), algorithm_der=ECDSA_SHA512, hash_=hashes.SHA512()))
    assert wide.authenticate(signed(wide.own(key=ec.generate_private_key(ec.SECP521R1())), algorithm_der=ECDSA_SHA256))
