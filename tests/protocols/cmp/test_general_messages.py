"""genm: each question, and what is answered (RFC 9483, 4.3; RFC 9810, 5.3.19)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from cspd.authority.key_links import KeyLinks
from cspd.authority.profile_values import ExtendedKeyUsageMode, ExtendedKeyUsageRules, KeyUsageBit, PolicyRules
from cspd.authority.values import AuthorityKind, CAReference
from cspd.keys.values import KeyType
from cspd.refusals import Conflict, Malformed, NotFound, Refused, Unavailable
from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.general_name_encoding import encode_general_names
from cspd.x509.signatures import Algorithm
from protocols.cmp import info_types
from protocols.cmp.crl_updates import MAX_STATUSES, CRLUpdates
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.general_messages import MAX_ITEMS, GeneralMessagesService
from protocols.cmp.info_types import CRLStatus, RootCaKeyUpdate
from protocols.cmp.interfaces import Terms
from protocols.cmp.key_algorithms import algorithm_of, encryption_algorithms, signature_algorithms
from protocols.cmp.messages import InfoTypeAndValue
from protocols.cmp.request_template import request_template
from protocols.cmp.root_updates import RootUpdates
from protocols.cmp.status import PKIFailureInfo
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation
from tests.support.running import result_of

RSA = Algorithm("1.2.840.113549.1.1.1", tlv.NULL)
P256 = Algorithm("1.2.840.10045.2.1", tlv.object_identifier("1.2.840.10045.3.1.7"))
P384 = Algorithm("1.2.840.10045.2.1", tlv.object_identifier("1.3.132.0.34"))
P521 = Algorithm("1.2.840.10045.2.1", tlv.object_identifier("1.3.132.0.35"))
DAY = timedelta(days=1)


class World:
    """A CA and who answers questions about it."""

    def __init__(self, **issuing: Any) -> None:
        self.house = house = Installation()
        house.make_hierarchy(**issuing)
        self.service = GeneralMessagesService(
            clock=house.clock,
            authorities=house.registry,
            profiles=house.profiles,
            root_updates=RootUpdates(
                authorities=house.registry, key_links=KeyLinks(clock=house.clock, database=house.database)
            ),
            crl_updates=CRLUpdates(authorities=house.registry, publication=house.publication, urls=house.urls),
        )

    def ask(
        self, *items: InfoTypeAndValue, ca: CAReference = ISSUING, profile: str = "tls-server"
    ) -> tuple[InfoTypeAndValue, ...]:
        return result_of(self.service.answer(items, Terms(ca=ca, profile=profile)))

    def one(self, info_type: str, value_der: bytes = b"", **terms: Any) -> InfoTypeAndValue:
        [answer] = self.ask(InfoTypeAndValue(info_type, value_der), **terms)
        return answer

    def update(self, root_der: bytes = b"", **terms: Any) -> RootCaKeyUpdate | None:
        answer = self.one(info_types.ROOT_CA_CERT, root_der, **terms)
        assert answer.info_type == info_types.ROOT_CA_KEY_UPDATE
        return info_types.read_root_ca_key_update(answer) if answer.info_value_der else None

    def crls(self, *statuses: CRLStatus, **terms: Any) -> list[x509.CertificateRevocationList]:
        [answer] = self.ask(info_types.crl_status_list(statuses), **terms)
        assert answer.info_type == info_types.CRLS
        found = info_types.read_structures(answer) if answer.info_value_der else ()
        return [x509.load_der_x509_crl(each) for each in found]


QUESTIONS = (
    info_types.ROOT_CA_CERT,
    info_types.CRL_STATUS_LIST,
    info_types.KEY_PAIR_PARAM_REQ,
    info_types.SUPP_LANG_TAGS,
    info_types.CA_CERTS,
)


@cache
def shared_world() -> World:
    """For questions that change nothing."""
    return World()


@pytest.fixture
def world() -> World:
    return World()


def at(url: str) -> CRLStatus:
    """The CRL at an URL."""
    names = encode_general_names([x509.UniformResourceIdentifier(url)])
    return CRLStatus(dpn_der=tlv.element(0xA0, Cursor.over(names).contents(tlv.SEQUENCE)))


def of(issuer: x509.Name) -> CRLStatus:
    """The CRL of an issuer."""
    return CRLStatus(issuer_der=encode_general_names([x509.DirectoryName(issuer)]))


# caCerts


def test_ca_certs_have_no_root(world: World) -> None:
    answer = world.one(info_types.CA_CERTS)
    assert answer.info_type == info_types.CA_CERTS
    assert info_types.read_structures(answer) == (world.house.get(ISSUING).certificate_der,)


def test_ca_certs_of_earlier_keys_are_there_until_they_expire(world: World) -> None:
    before = world.house.get(ISSUING)
    world.house.clock.advance(365 * DAY)
    after = result_of(world.house.renewal.rekey(ISSUING, ALICE))
    answer = world.one(info_types.CA_CERTS)
    assert info_types.read_structures(answer) == (after.certificate_der, before.certificate_der)
    assert before.certificate is not None
    world.house.clock.advance(before.certificate.not_valid_after_utc - world.house.clock.now())
    assert info_types.read_structures(world.one(info_types.CA_CERTS)) == (after.certificate_der,)


# rootCaCert


def test_no_update_of_a_root_with_one_key(world: World) -> None:
    root = world.house.get(ROOT)
    assert world.update() is None
    assert root.certificate_der is not None
    assert world.update(root.certificate_der) is None


def test_a_root_with_a_new_key_is_linked(world: World) -> None:
    old = world.house.get(ROOT)
    new = result_of(world.house.renewal.rekey(ROOT, ALICE))
    assert old.certificate_der is not None
    assert new.certificate_der is not None
    assert world.update(new.certificate_der) is None
    for update in (
        world.update(old.certificate_der),
        world.update(),
        world.update(ca=ROOT, profile="tlsproxy-ca-subord"),
    ):
        assert update is not None
        assert update.new_with_new_der == new.certificate_der
        assert old.certificate is not None
        assert new.certificate is not None
        x509.load_der_x509_certificate(update.new_with_old_der).verify_directly_issued_by(old.certificate)
        x509.load_der_x509_certificate(update.old_with_new_der).verify_directly_issued_by(new.certificate)


def test_a_client_may_have_missed_a_key(world: World) -> None:
    first = world.house.get(ROOT)
    second = result_of(world.house.renewal.rekey(ROOT, ALICE))
    result_of(world.house.renewal.rekey(ROOT, ALICE))
    for known in (first, second):
        assert known.certificate is not None
        assert known.certificate_der is not None
        update = world.update(known.certificate_der)
        assert update is not None
        x509.load_der_x509_certificate(update.new_with_old_der).verify_directly_issued_by(known.certificate)


def test_a_renewed_root_needs_no_links(world: World) -> None:
    old = world.house.get(ROOT)
    new = result_of(world.house.renewal.renew(ROOT, ALICE))
    assert old.certificate_der is not None
    assert new.certificate_der is not None
    assert world.update(old.certificate_der) == RootCaKeyUpdate(new.certificate_der)


def test_another_root_has_no_update_here(world: World) -> None:
    result_of(world.house.renewal.rekey(ROOT, ALICE))
    assert world.update(tlv.sequence(tlv.integer(1))) is None


def test_the_update_as_older_clients_ask_for_it(world: World) -> None:
    assert world.one(info_types.CA_KEY_UPDATE_INFO) == InfoTypeAndValue(info_types.CA_KEY_UPDATE_INFO)
    old = world.house.get(ROOT)
    new = result_of(world.house.renewal.rekey(ROOT, ALICE))
    answer = world.one(info_types.CA_KEY_UPDATE_INFO)
    old_with_new, new_with_old, new_with_new = info_types.read_structures(answer)
    assert new_with_new == new.certificate_der
    assert old.certificate is not None
    assert new.certificate is not None
    x509.load_der_x509_certificate(new_with_old).verify_directly_issued_by(old.certificate)
    x509.load_der_x509_certificate(old_with_new).verify_directly_issued_by(new.certificate)


# certReqTemplate


def test_the_template_of_a_profile(world: World) -> None:
    template = info_types.read_cert_req_template(world.one(info_types.CERT_REQ_TEMPLATE, profile="tls-server"))
    assert template == request_template(world.house.profiles["tls-server"])


def test_what_a_template_says(world: World) -> None:
    profile = world.house.profiles["tls-server"]
    profile = replace(
        profile,
        subject=replace(profile.subject, required=("2.5.4.3", "2.5.4.6")),
        subject_alt_name=replace(profile.subject_alt_name, required=True, critical=False),
        key_usage=frozenset({KeyUsageBit.DIGITAL_SIGNATURE, KeyUsageBit.KEY_AGREEMENT}),
        extended_key_usage=ExtendedKeyUsageRules(mode=ExtendedKeyUsageMode.FIXED, values=("1.3.6.1.5.5.7.3.1",)),
        certificate_policies=PolicyRules(fixed=("2.23.140.1.2.1",)),
        key_types=frozenset({KeyType.RSA_3072, KeyType.EC_P384, KeyType.ED25519}),
    )
    template = request_template(profile)
    fields = Cursor.over(template.cert_template_der).enter(tlv.SEQUENCE)
    subject = fields.contents(0xA5)
    assert subject == bytes.fromhex("3016 310930070603550403 0c00 310930070603550406 1300")
    extensions = {
        each.oid.dotted_string: (each.critical, each.value) for each in read_extensions(fields.contents(0xA9))
    }
    fields.finish()
    usage = extensions.pop("2.5.29.15")
    assert usage[0]
    assert isinstance(usage[1], x509.KeyUsage)
    assert (usage[1].digital_signature, usage[1].key_agreement, usage[1].key_encipherment) == (True, True, False)
    assert {oid: critical for oid, (critical, _) in extensions.items()} == {
        "2.5.29.17": False,
        "2.5.29.32": False,
        "2.5.29.37": False,
    }
    assert extensions["2.5.29.17"][1] == x509.SubjectAlternativeName([x509.DNSName("")])
    assert extensions["2.5.29.37"][1] == x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")])
    controls = Cursor.over(template.key_spec_der).enter(tlv.SEQUENCE)
    assert list(controls.elements()) == [
        tlv.sequence(tlv.object_identifier("1.3.6.1.5.5.7.5.1.12"), tlv.integer(3072)),
        tlv.sequence(
            tlv.object_identifier("1.3.6.1.5.5.7.5.1.11"),
            tlv.sequence(tlv.object_identifier(P384.oid), P384.parameters_der),
        ),
        tlv.sequence(tlv.object_identifier("1.3.6.1.5.5.7.5.1.11"), tlv.sequence(tlv.object_identifier("1.3.101.112"))),
    ]


def read_extensions(encoded: bytes) -> x509.Extensions:
    """Extensions, without the tag of their list, as cryptography reads them: in a certificate signed by nobody."""
    name = x509.Name([])
    time = tlv.element(0x17, b"260101000000Z")
    key = tlv.sequence(tlv.sequence(tlv.object_identifier("1.3.101.112")), tlv.element(tlv.BIT_STRING, bytes(33)))
    algorithm = tlv.sequence(tlv.object_identifier("1.3.101.112"))
    to_be_signed = tlv.sequence(
        tlv.element(0xA0, tlv.integer(2)),
        tlv.integer(1),
        algorithm,
        name.public_bytes(),
        tlv.sequence(time, time),
        name.public_bytes(),
        key,
        tlv.element(0xA3, tlv.sequence(encoded)),
    )
    certificate_der = tlv.sequence(to_be_signed, algorithm, tlv.element(tlv.BIT_STRING, bytes(65)))
    return x509.load_der_x509_certificate(certificate_der).extensions


def test_a_template_that_asks_for_nothing_is_empty(world: World) -> None:
    profile = world.house.profiles["tls-server"]
    profile = replace(
        profile,
        subject=replace(profile.subject, required=()),
        subject_alt_name=replace(profile.subject_alt_name, required=False),
        key_usage=frozenset(),
        extended_key_usage=ExtendedKeyUsageRules(mode=ExtendedKeyUsageMode.REQUEST),
    )
    assert request_template(profile).cert_template_der == tlv.sequence()


# currentCRL and crlStatusList


def test_the_current_crl(world: World) -> None:
    answer = world.one(info_types.CURRENT_CRL)
    crl = x509.load_der_x509_crl(answer.info_value_der)
    assert crl.issuer == world.house.get(ISSUING).subject


def test_there_is_no_current_crl_of_a_ca_that_has_expired(world: World) -> None:
    world.house.clock.advance(365 * 30 * DAY)
    assert world.one(info_types.CURRENT_CRL) == InfoTypeAndValue(info_types.CURRENT_CRL)


@pytest.mark.parametrize("url", ["issuing/crl.crl", "root/crl.crl"])
def test_a_crl_by_its_url(world: World, url: str) -> None:
    [crl] = world.crls(at(f"http://pki.example/crl/demo/{url}"))
    assert crl.issuer == world.house.get(CAReference("demo", url.split("/")[0])).subject


def test_a_crl_by_its_issuer(world: World) -> None:
    [crl] = world.crls(of(world.house.get(ISSUING).subject))
    assert crl.issuer == world.house.get(ISSUING).subject


def test_a_crl_is_sent_only_if_it_is_newer(world: World) -> None:
    issuing = world.house.get(ISSUING)
    [crl] = world.crls(of(issuing.subject))
    known = crl.last_update_utc
    assert world.crls(replace(of(issuing.subject), this_update=known)) == []
    assert world.crls(replace(of(issuing.subject), this_update=known + DAY)) == []
    assert world.crls(replace(of(issuing.subject), this_update=known - DAY)) == [crl]
    world.house.clock.advance(timedelta(hours=1))
    world.house.revoke(issuing, world.house.issue(issuing, 77))
    world.house.reactor.advance(2)
    [newer] = world.crls(replace(of(issuing.subject), this_update=known))
    assert newer.get_revoked_certificate_by_serial_number(77) is not None


def test_an_issuer_has_a_crl_for_each_of_its_keys(world: World) -> None:
    result_of(world.house.renewal.rekey(ISSUING, ALICE))
    issuing = world.house.get(ISSUING)
    assert len(world.crls(of(issuing.subject))) == 2
    assert len(world.crls(at("http://pki.example/crl/demo/issuing/crl-1.crl"))) == 1


def test_a_delta_crl_by_its_url() -> None:
    world = World(crl_days=7, delta_crl_hours=12)
    world.one(info_types.CURRENT_CRL)
    [crl] = world.crls(at("http://pki.example/crl/demo/issuing/delta.crl"))
    assert crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).critical


def test_a_crl_that_is_asked_for_twice_comes_once(world: World) -> None:
    subject = world.house.get(ISSUING).subject
    assert len(world.crls(of(subject), of(subject), at("http://pki.example/crl/demo/issuing/crl.crl"))) == 1


@pytest.mark.parametrize(
    "status",
    [
        at("http://elsewhere.example/crl.crl"),
        at("http://pki.example/crl/demo/issuing/delta.crl"),
        at("http://pki.example/crl/demo/issuing/crl-1.crl"),
        of(x509.Name([])),
        CRLStatus(dpn_der=tlv.element(0xA1, b"")),
    ],
)
def test_a_source_that_is_not_known_has_no_crl(world: World, status: CRLStatus) -> None:
    assert world.crls(status) == []


def test_a_crl_that_cannot_be_made_now_is_no_crl_that_is_not_newer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise Unavailable("no token")

    monkeypatch.setattr(world.house.keys, "sign", broken)
    with pytest.raises(Unavailable):
        world.crls(of(world.house.get(ISSUING).subject))


# algorithms


def test_the_algorithms_of_a_profile(world: World) -> None:
    profile = world.house.profiles["cmp-digital-signature-key-encipherment"]
    assert signature_algorithms(profile) == (RSA, P256, P384, P521)
    assert encryption_algorithms(profile) == (RSA,)
    for_agreement = replace(profile, key_usage=frozenset({KeyUsageBit.KEY_AGREEMENT}))
    assert signature_algorithms(for_agreement) == ()
    assert encryption_algorithms(for_agreement) == (P256, P384, P521)


def test_every_key_type_has_an_algorithm() -> None:
    assert all(tlv.object_identifier(algorithm_of(each).oid) for each in KeyType)


def test_the_types_of_keys() -> None:
    world = World(profiles=("cmp-digital-signature", "tls-server"))
    answer = world.one(info_types.SIGN_KEY_PAIR_TYPES, profile="cmp-digital-signature")
    assert info_types.read_algorithms(answer) == (RSA, P256, P384, P521)
    answer = world.one(info_types.ENC_KEY_PAIR_TYPES, profile="cmp-digital-signature")
    assert answer == InfoTypeAndValue(info_types.ENC_KEY_PAIR_TYPES)


@pytest.mark.parametrize(("oid", "parameters"), [(P256.oid, P256.parameters_der), (RSA.oid, tlv.NULL)])
def test_the_parameters_of_an_algorithm(world: World, oid: str, parameters: bytes) -> None:
    answer = world.one(info_types.KEY_PAIR_PARAM_REQ, tlv.object_identifier(oid))
    assert answer.info_type == info_types.KEY_PAIR_PARAM_REP
    assert info_types.read_one_algorithm(answer) == Algorithm(oid, parameters)


def test_an_algorithm_that_is_not_certified_has_no_parameters(world: World) -> None:
    answer = world.one(info_types.KEY_PAIR_PARAM_REQ, tlv.object_identifier("1.2.840.10040.4.1"))
    assert answer == InfoTypeAndValue(info_types.KEY_PAIR_PARAM_REP)


def test_the_preferred_cipher_is_the_one_that_we_use(world: World) -> None:
    assert info_types.read_one_algorithm(world.one(info_types.PREFERRED_SYMM_ALG)).oid == "2.16.840.1.101.3.4.1.42"


def test_nothing_can_be_encrypted_for_a_ca(world: World) -> None:
    assert world.one(info_types.CA_PROT_ENC_CERT) == InfoTypeAndValue(info_types.CA_PROT_ENC_CERT)


def test_the_language_is_english(world: World) -> None:
    [answer] = world.ask(info_types.texts(info_types.SUPP_LANG_TAGS, ["de", "fr"]))
    assert answer == info_types.texts(info_types.SUPP_LANG_TAGS, ["en"])


# the message


def test_answers_are_in_the_order_of_the_questions(world: World) -> None:
    asked = [info_types.CURRENT_CRL, info_types.CA_CERTS, info_types.PREFERRED_SYMM_ALG]
    assert [each.info_type for each in world.ask(*map(InfoTypeAndValue, asked))] == asked


def test_no_question_asks_for_everything(world: World) -> None:
    answers = world.ask()
    assert [each.info_type for each in answers if not each.info_value_der] == [info_types.ENC_KEY_PAIR_TYPES]
    assert [each.info_type for each in answers] == [
        info_types.CA_CERTS,
        info_types.SIGN_KEY_PAIR_TYPES,
        info_types.ENC_KEY_PAIR_TYPES,
        info_types.PREFERRED_SYMM_ALG,
        info_types.CURRENT_CRL,
    ]


def test_what_is_not_known_is_said_in_the_end(world: World) -> None:
    answers = world.ask(
        InfoTypeAndValue("1.2.3", tlv.NULL), InfoTypeAndValue(info_types.CA_CERTS), InfoTypeAndValue("1.2.4")
    )
    assert [each.info_type for each in answers] == [info_types.CA_CERTS, info_types.UNSUPPORTED_OIDS]
    assert info_types.read_unsupported_oids(answers[-1]) == ("1.2.3", "1.2.4")


@pytest.mark.parametrize(
    "items",
    [
        [InfoTypeAndValue(f"1.2.{number}") for number in range(MAX_ITEMS + 1)],
        [InfoTypeAndValue(info_types.CA_CERTS)] * 2,
    ],
)
def test_too_many_questions_are_a_bad_request(world: World, items: Sequence[InfoTypeAndValue]) -> None:
    with pytest.raises(PKIMessageRejected) as rejected:
        world.ask(*items)
    assert rejected.value.fail_info is PKIFailureInfo.BAD_REQUEST


@pytest.mark.parametrize(
    "item",
    [
        *(
            InfoTypeAndValue(info_type, tlv.NULL)
            for info_type in (
                info_types.CA_CERTS,
                info_types.CA_KEY_UPDATE_INFO,
                info_types.CERT_REQ_TEMPLATE,
                info_types.CURRENT_CRL,
                info_types.SIGN_KEY_PAIR_TYPES,
                info_types.ENC_KEY_PAIR_TYPES,
                info_types.PREFERRED_SYMM_ALG,
                info_types.CA_PROT_ENC_CERT,
                info_types.ROOT_CA_CERT,
                info_types.CRL_STATUS_LIST,
                info_types.KEY_PAIR_PARAM_REQ,
                info_types.SUPP_LANG_TAGS,
            )
        ),
        InfoTypeAndValue(info_types.CRL_STATUS_LIST),
        InfoTypeAndValue(info_types.CRL_STATUS_LIST, tlv.sequence()),
        InfoTypeAndValue(info_types.KEY_PAIR_PARAM_REQ),
        InfoTypeAndValue(info_types.SUPP_LANG_TAGS),
        InfoTypeAndValue(info_types.SUPP_LANG_TAGS, tlv.sequence()),
        info_types.crl_status_list([CRLStatus(dpn_der=tlv.element(0xA0, b""))]),
        info_types.crl_status_list([CRLStatus(dpn_der=tlv.element(0xA0, tlv.element(0x83, b"")))]),
        info_types.crl_status_list([CRLStatus(issuer_der=tlv.sequence())]),
        info_types.crl_status_list([of(x509.Name([]))] * (MAX_STATUSES + 1)),
    ],
)
def test_a_value_that_the_question_does_not_have_is_malformed(world: World, item: InfoTypeAndValue) -> None:
    with pytest.raises(Malformed):
        world.ask(item)


def test_a_ca_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFound):
        world.ask(ca=CAReference("demo", "nobody"))


def test_a_profile_that_the_ca_does_not_have(world: World) -> None:
    with pytest.raises(Conflict):
        world.ask(profile="cmp-digital-signature")


def test_a_ca_below_an_external_root_has_no_crl_of_it(world: World) -> None:
    root = replace(world.house.get(ROOT), kind=AuthorityKind.EXTERNAL_ROOT)

    class Registry:
        async def get(self, reference: CAReference) -> Any:
            return await world.house.registry.get(reference)

        async def by_id(self, authority_id: str) -> Any:
            return root

    updates = CRLUpdates(
        authorities=Registry(),  # type: ignore[arg-type]  # all that is asked of it
        publication=world.house.publication,
        urls=world.house.urls,
    )
    assert result_of(updates.newer(world.house.get(ISSUING), [of(root.subject)])) == ()


@given(st.sampled_from(QUESTIONS), st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_value_is_answered_or_refused(info_type: str, value_der: bytes) -> None:
    world = shared_world()
    for value in (value_der, tlv.sequence(value_der), tlv.sequence(tlv.sequence(tlv.element(0xA0, value_der)))):
        try:
            assert world.ask(InfoTypeAndValue(info_type, value))
        except (Refused, PKIMessageRejected):
            continue
