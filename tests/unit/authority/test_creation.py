"""Making roots and issuing CAs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, SignatureAlgorithmOID
from twisted.internet.defer import Deferred

from cspd.authority.values import AuthorityKind, AuthorityState, CAReference
from cspd.keys.values import KeyType
from cspd.refusals import BadName, BadValidity, Conflict, Forbidden, NotFound, Refused, Rejected, Unavailable
from cspd.x509.names import ATTRIBUTE_ALIASES
from tests.support.authorities import ALICE, BOB, ISSUING, ROOT, Installation, named, new_issuing, new_root
from tests.support.running import result_of


def extension(
    certificate: x509.Certificate | None, kind: type[x509.ExtensionType]
) -> x509.Extension[x509.ExtensionType]:
    assert certificate is not None
    return certificate.extensions.get_extension_for_class(kind)


@pytest.mark.requirement("R-CA-020")
def test_a_root_signs_itself() -> None:
    here = Installation()
    here.make_organization()
    root = here.make_root(auditors=("carol",))
    assert (root.kind, root.state, root.administrators, root.auditors) == (
        AuthorityKind.ROOT,
        AuthorityState.ACTIVE,
        ("alice",),
        ("carol",),
    )
    assert root.certificate is not None
    root.certificate.verify_directly_issued_by(root.certificate)
    assert root.certificate.subject == named("root of demo")
    constraints = extension(root.certificate, x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=None)
    assert root.chain_der == ()
    (created,) = here.audited("ca-created")
    assert created["ca"] == "demo~root"
    assert created["serial"] == format(root.certificate.serial_number, "x")


@pytest.mark.requirement("R-CA-022")
@pytest.mark.requirement("R-CA-053")
def test_a_root_signs_an_issuing_ca() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert issuing.certificate is not None
    assert root.certificate is not None
    issuing.certificate.verify_directly_issued_by(root.certificate)
    assert extension(issuing.certificate, x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    (point,) = extension(issuing.certificate, x509.CRLDistributionPoints).value  # type: ignore[attr-defined]
    assert point.full_name[0].value == "http://pki.example/crl/demo/root/crl.crl"
    access = {
        each.access_method: each.access_location.value
        for each in extension(issuing.certificate, x509.AuthorityInformationAccess).value  # type: ignore[attr-defined]
    }
    assert access == {
        AuthorityInformationAccessOID.OCSP: "http://pki.example/ocsp/demo/root",
        AuthorityInformationAccessOID.CA_ISSUERS: f"http://pki.example/crl/demo/root/{root.certificate_id}.cer",
    }
    ski = extension(root.certificate, x509.SubjectKeyIdentifier).value
    aki = extension(issuing.certificate, x509.AuthorityKeyIdentifier).value
    assert aki.key_identifier == ski.digest  # type: ignore[attr-defined]


@pytest.mark.requirement("R-CA-052")
def test_the_root_knows_the_certificate_of_its_issuing_ca() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert issuing.certificate is not None
    status = result_of(here.status.status(root.id, issuing.certificate.serial_number))
    assert status is not None
    assert status.state.value == "good"


def test_a_root_that_accounts_for_every_signature_records_before_it() -> None:
    here = Installation()
    here.make_organization()
    root = here.make_root(record_before_signing=True)
    issuing = here.make_issuing()
    assert issuing.certificate is not None
    status = result_of(here.status.status(root.id, issuing.certificate.serial_number))
    assert status is not None
    assert status.state.value == "good"


@pytest.mark.requirement("R-CA-025")
@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        (KeyType.EC_P256, SignatureAlgorithmOID.ECDSA_WITH_SHA256),
        (KeyType.EC_P384, SignatureAlgorithmOID.ECDSA_WITH_SHA384),
        (KeyType.EC_P521, SignatureAlgorithmOID.ECDSA_WITH_SHA512),
        (KeyType.RSA_2048, SignatureAlgorithmOID.RSA_WITH_SHA256),
        (KeyType.RSA_3072, SignatureAlgorithmOID.RSA_WITH_SHA256),
        (KeyType.RSA_4096, SignatureAlgorithmOID.RSA_WITH_SHA512),
        (KeyType.ED25519, SignatureAlgorithmOID.ED25519),
        (KeyType.ED448, SignatureAlgorithmOID.ED448),
        (KeyType.ML_DSA_44, x509.ObjectIdentifier("2.16.840.1.101.3.4.3.17")),
        (KeyType.ML_DSA_65, x509.ObjectIdentifier("2.16.840.1.101.3.4.3.18")),
        (KeyType.ML_DSA_87, x509.ObjectIdentifier("2.16.840.1.101.3.4.3.19")),
    ],
)
def test_the_signature_follows_the_key(key_type: KeyType, algorithm: x509.ObjectIdentifier) -> None:
    here = Installation()
    here.make_organization()
    root = here.make_root(key_type=key_type)
    issuing = here.make_issuing(key_type=KeyType.EC_P256)
    assert issuing.certificate is not None
    assert root.certificate is not None
    assert root.certificate.signature_algorithm_oid == algorithm
    assert issuing.certificate.signature_algorithm_oid == algorithm
    assert root.ocsp_key_type is key_type


@pytest.mark.requirement("R-CA-026")
def test_the_default_ends_after_twenty_and_ten_years() -> None:
    here = Installation()
    root, issuing = here.make_hierarchy()
    assert root.certificate is not None
    assert issuing.certificate is not None
    start = here.clock.now()
    assert root.certificate.not_valid_before_utc == start
    assert root.certificate.not_valid_after_utc == start.replace(year=start.year + 20)
    assert issuing.certificate.not_valid_after_utc == start.replace(year=start.year + 10)


@pytest.mark.requirement("R-CA-026")
def test_the_default_of_an_issuing_ca_ends_with_its_root() -> None:
    here = Installation()
    here.make_organization()
    end = here.clock.now() + timedelta(days=100)
    here.make_root(not_after=end)
    issuing = here.make_issuing()
    assert issuing.certificate is not None
    assert issuing.certificate.not_valid_after_utc == end


@pytest.mark.requirement("R-CA-026")
@pytest.mark.parametrize("days", [-1, 0, 20 * 366])
def test_a_root_with_a_bad_end_is_refused(days: int) -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(BadValidity) as refusal:
        here.make_root(not_after=here.clock.now() + timedelta(days=days))
    assert refusal.value.refusal_code == "bad-field.not-after"
    assert not here.keys.private_keys


@pytest.mark.requirement("R-CA-026")
@pytest.mark.parametrize("days", [-1, 101, 10 * 366])
def test_an_issuing_ca_with_a_bad_end_is_refused(days: int) -> None:
    here = Installation()
    here.make_organization()
    here.make_root(not_after=here.clock.now() + timedelta(days=100))
    with pytest.raises(BadValidity):
        here.make_issuing(not_after=here.clock.now() + timedelta(days=days))


def test_nothing_is_signed_under_an_expired_root() -> None:
    here = Installation()
    here.make_organization()
    here.make_root(not_after=here.clock.now() + timedelta(days=100))
    here.clock.advance(timedelta(days=100))
    with pytest.raises(Conflict):
        here.make_issuing()


@pytest.mark.requirement("R-CA-024")
@pytest.mark.parametrize("ca_id", ["", "ab", "a" * 19, "Root", "ro ot", "ro~ot", "ro.ot", "../..", "root\n"])
def test_a_bad_ca_id_is_refused(ca_id: str) -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(BadName) as refusal:
        here.make_root(CAReference("demo", ca_id))
    assert refusal.value.refusal_code == "bad-field.ca-id"


@pytest.mark.requirement("R-CA-024")
def test_a_taken_ca_id_is_refused_and_the_key_not_kept() -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    with pytest.raises(Conflict):
        here.make_root()
    assert len(here.keys.private_keys) == 1


@pytest.mark.requirement("R-CA-024")
def test_the_id_of_a_deleted_ca_rests_for_a_day() -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    result_of(here.management.delete(ROOT, ALICE))
    here.clock.advance(timedelta(hours=23, minutes=59))
    with pytest.raises(Conflict):
        here.make_root()
    here.clock.advance(timedelta(minutes=1))
    assert here.make_root().state is AuthorityState.ACTIVE


@pytest.mark.requirement("R-CA-027")
@pytest.mark.parametrize(
    "subject",
    [
        x509.Name([]),
        x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x"), x509.NameAttribute(NameOID.PSEUDONYM, "y")]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x07b")]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "  ")]),
    ],
    ids=["empty", "no common name", "unknown attribute", "control character", "blank"],
)
def test_a_bad_subject_is_refused(subject: x509.Name) -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(BadName) as refusal:
        here.make_root(subject=subject)
    assert refusal.value.refusal_code == "bad-field.subject"


@pytest.mark.requirement("R-CA-027")
def test_a_subject_may_have_all_34_attribute_types() -> None:
    here = Installation()
    here.make_organization()
    countries = {each for alias, each in ATTRIBUTE_ALIASES.items() if "country" in alias}
    types = dict.fromkeys(ATTRIBUTE_ALIASES.values())
    assert len(types) == 34
    subject = x509.Name([x509.NameAttribute(each, "DE" if each in countries else "example") for each in types])
    root = here.make_root(subject=subject)
    assert root.certificate is not None
    assert root.certificate.subject == subject


@pytest.mark.requirement("R-CA-028")
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"administrators": ()}, "bad-field.administrators"),
        ({"administrators": ("",)}, "bad-field.administrators"),
        ({"auditors": ("a\nb",)}, "bad-field.auditors"),
        ({"profiles": ()}, "bad-field.profiles"),
        ({"profiles": ("no-such-profile",)}, "bad-field.profiles"),
        ({"profiles": ("basic-ca-subord",)}, "bad-field.profiles"),
        ({"profiles": ("azure-firewall-ca-subord",)}, "bad-field.profiles"),
        ({"ocsp_key_type": None}, "bad-field.ocsp-key-type"),
        ({"crl_days": 0}, "bad-field.crl-days"),
        ({"delta_crl_hours": 1}, "bad-field.delta-crl-hours"),
        ({"crl_days": 1, "delta_crl_hours": 24}, "bad-field.delta-crl-hours"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(fields: dict[str, object], code: str) -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    with pytest.raises(Rejected) as refusal:
        here.make_issuing(**fields)
    assert refusal.value.refusal_code == code
    assert len(here.keys.private_keys) == 1


@pytest.mark.requirement("R-CA-028")
def test_a_root_offers_the_profiles_of_external_subordinates() -> None:
    here = Installation()
    here.make_organization()
    assert here.make_root().profiles == {"azure-firewall-ca-subord", "tlsproxy-ca-subord"}
    with pytest.raises(Rejected):
        here.make_root(CAReference("demo", "root2"), profiles=("tls-server",))


@pytest.mark.requirement("R-CA-028")
def test_an_issuing_ca_may_offer_all_74_subscriber_profiles_and_the_generic_ones() -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    every = tuple(each.id for each in here.profiles.values() if each.may_be_enabled_on(AuthorityKind.ISSUING))
    assert len(every) >= 74
    assert here.make_issuing(profiles=every).profiles == set(every)


@pytest.mark.requirement("R-CA-022")
def test_the_root_must_be_of_the_same_organization() -> None:
    here = Installation()
    here.make_hierarchy()
    here.make_organization("other")
    with pytest.raises(NotFound):
        here.make_issuing(CAReference("other", "issuing"))


def test_an_issuing_ca_signs_no_cas() -> None:
    here = Installation()
    here.make_hierarchy()
    with pytest.raises(Rejected) as refusal:
        here.make_issuing(CAReference("demo", "below"), issuer="issuing")
    assert refusal.value.refusal_code == "bad-field.issuer"


def test_a_disabled_root_signs_nothing() -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    result_of(here.management.disable(ROOT, ALICE))
    with pytest.raises(Conflict):
        here.make_issuing()


def test_only_administrators_of_the_organization_make_cas() -> None:
    here = Installation()
    here.make_organization()
    with pytest.raises(Forbidden):
        result_of(here.creation.create_root(new_root(), BOB))
    here.make_root()
    with pytest.raises(Forbidden):
        result_of(here.creation.create_issuing(new_issuing(), BOB))


def test_a_root_deleted_while_a_ca_is_made_under_it_leaves_nothing_behind() -> None:
    here = Installation()
    here.make_organization()
    here.make_root()
    there = Installation(shares=here)
    there.get(ROOT)  # the other node still believes in it
    result_of(here.management.delete(ROOT, ALICE))
    with pytest.raises(Refused):
        there.make_issuing()
    assert not here.keys.private_keys


def test_a_key_that_cannot_sign_is_destroyed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Installation()
    here.make_organization()

    async def broken(*_: object) -> None:
        raise Unavailable("no token")

    monkeypatch.setattr(here.keys, "sign", broken)
    with pytest.raises(Unavailable):
        here.make_root()
    assert not here.keys.private_keys
    assert result_of(here.registry.list()) == ()


def test_the_stored_key_is_the_certified_one() -> None:
    here = Installation()
    _, issuing = here.make_hierarchy()
    assert issuing.key is not None
    assert issuing.certificate is not None
    stored = result_of(here.keys.public_key(issuing.key))
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert issuing.certificate.public_key().public_bytes(*form) == stored.public_bytes(*form)
    assert here.get(ISSUING).key_index == 0


def test_a_client_that_leaves_does_not_take_the_key_along() -> None:
    here = Installation()
    here.make_organization()
    waiting: list[Deferred[None]] = []
    write = here.database.write

    async def slow_write(work: Any) -> Any:
        result = await write(work)
        waiting.append(Deferred())
        await waiting[-1]
        return result

    here.database.write = slow_write  # type: ignore[method-assign]
    asked = Deferred.fromCoroutine(here.creation.create_root(new_root(), ALICE))
    asked.cancel()
    asked.addErrback(lambda _: None)
    waiting[0].callback(None)
    assert here.get(ROOT).key in here.keys.private_keys
