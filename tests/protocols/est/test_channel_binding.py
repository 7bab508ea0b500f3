"""Requests that are tied to the TLS connection that they come over (RFC 7030, 3.5; RFC 7894; RFC 9266)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.authority.approvals import RequestState
from cspd.http.channel_bindings import ChannelBindings
from cspd.x509 import tlv
from cspd.x509.csr import CHALLENGE_PASSWORD, EST_IDENTITY_LINKING, OTP_CHALLENGE
from tests.protocols.est.test_csr_attributes import tree
from tests.protocols.est.world import World, only_certificate, with_attributes
from tests.support.authorities import ALICE, ISSUING
from tests.support.running import result_of

ALICE_S = "alice:se:cret"
FINISHED = b"twelve octet"
EXPORTED = bytes(range(32))
TLS_1_2 = ChannelBindings(tls_unique=FINISHED)
TLS_1_3 = ChannelBindings(tls_exporter=EXPORTED)


def text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def status(world: World, attributes: Mapping[str, str], bindings: ChannelBindings) -> int:
    csr_der = with_attributes(world.key, attributes)
    return world.ask("simpleenroll", csr_der, user=ALICE_S, bindings=bindings).status


@pytest.mark.parametrize("rule", ["checked", "required"])
@pytest.mark.parametrize("attribute", [CHALLENGE_PASSWORD, EST_IDENTITY_LINKING], ids=["PKCS#9", "RFC 7894"])
@pytest.mark.parametrize(
    ("value", "bindings", "expected"),
    [
        (text(FINISHED), TLS_1_2, 200),
        (text(EXPORTED), TLS_1_3, 200),
        (text(b"another hash"), TLS_1_2, 400),
        (text(FINISHED), TLS_1_3, 400),
        (text(FINISHED) + "\n", TLS_1_2, 400),
        (text(FINISHED)[:-1], TLS_1_2, 400),
        (text(FINISHED), ChannelBindings(), 400),
        ("", TLS_1_2, 400),
        ("", ChannelBindings(), 400),
        ("my first password", TLS_1_3, 400),
        ("\u00fc", TLS_1_3, 400),
    ],
    ids=[
        "tls-unique",
        "tls-exporter",
        "another connection's",
        "tls-unique in TLS 1.3",
        "a line break",
        "cut short",
        "no TLS",
        "empty",
        "empty without TLS",
        "a password",
        "no ASCII",
    ],
)
def test_a_request_that_says_what_it_is_tied_to_has_to_be_right(
    tmp_path: Path, rule: str, attribute: str, value: str, bindings: ChannelBindings, expected: int
) -> None:
    world = World(tmp_path, channel_binding=rule)
    assert status(world, {attribute: value}, bindings) == expected
    assert len(world.house.audited("certificate-issued")) == (expected == 200)


@pytest.mark.parametrize(("rule", "expected"), [("off", 200), ("checked", 200), ("required", 400)])
def test_a_request_that_is_not_tied(tmp_path: Path, rule: str, expected: int) -> None:
    assert status(World(tmp_path, channel_binding=rule), {}, TLS_1_2) == expected


def test_off_looks_at_none_and_checked_is_what_holds_without_a_word(tmp_path: Path) -> None:
    assert status(World(tmp_path, channel_binding="off"), {CHALLENGE_PASSWORD: "anything"}, TLS_1_3) == 200
    assert status(World(tmp_path), {CHALLENGE_PASSWORD: "anything"}, TLS_1_3) == 400


def test_a_challenge_password_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    for rule, expected in (("off", 200), ("checked", 400)):
        world = World(tmp_path, channel_binding=rule)
        readable = x509.load_der_x509_csr(with_attributes(world.key, {CHALLENGE_PASSWORD: "word"}))
        tbs = readable.tbs_certrequest_bytes.replace(b"word", b"\xff\xfe\xfd\xfc")
        signature = world.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
        ecdsa_with_sha256 = tlv.sequence(tlv.object_identifier("1.2.840.10045.4.3.2"))
        csr_der = tlv.sequence(tbs, ecdsa_with_sha256, tlv.element(tlv.BIT_STRING, b"\x00" + signature))
        assert world.ask("simpleenroll", csr_der, user=ALICE_S, bindings=TLS_1_3).status == expected


def test_an_attribute_of_its_own_goes_before_the_challenge_password(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert status(world, {EST_IDENTITY_LINKING: text(EXPORTED), CHALLENGE_PASSWORD: "to revoke it by"}, TLS_1_3) == 200
    assert status(world, {EST_IDENTITY_LINKING: "wrong", CHALLENGE_PASSWORD: text(EXPORTED)}, TLS_1_3) == 400


def test_re_enrollment_is_tied_too(tmp_path: Path) -> None:
    world = World(tmp_path, channel_binding="required")
    tied = with_attributes(world.key, {CHALLENGE_PASSWORD: text(EXPORTED)})
    current = only_certificate(world.ask("simpleenroll", tied, user=ALICE_S, bindings=TLS_1_3))
    assert world.ask("simplereenroll", tied, certificate=current, bindings=TLS_1_2).status == 400
    assert world.ask("simplereenroll", world.csr(), certificate=current, bindings=TLS_1_3).status == 400
    only_certificate(world.ask("simplereenroll", tied, certificate=current, bindings=TLS_1_3))


def test_a_key_that_is_made_here_proves_nothing(tmp_path: Path) -> None:
    """The request is not signed by the key that is certified (RFC 7030, 4.4.1)."""
    world = World(tmp_path, channel_binding="required", server_key_generation=True)
    assert world.ask("serverkeygen", world.csr(), user=ALICE_S, bindings=TLS_1_3).status == 200


def test_a_request_that_waits_is_found_again_over_another_connection(tmp_path: Path) -> None:
    world = World(tmp_path, channel_binding="required", approval=True)
    bound = {which: with_attributes(world.key, {CHALLENGE_PASSWORD: text(which)}) for which in (FINISHED, EXPORTED)}
    assert world.ask("simpleenroll", bound[FINISHED], user=ALICE_S, bindings=TLS_1_2).status == 202
    assert world.ask("simpleenroll", bound[FINISHED], user=ALICE_S, bindings=TLS_1_3).status == 400
    [kept] = result_of(world.approvals.list(state=RequestState.WAITING))
    result_of(world.approvals.approve(kept.id, ALICE))
    only_certificate(world.ask("simpleenroll", bound[EXPORTED], user=ALICE_S, bindings=TLS_1_3))


def test_one_request_may_bring_a_password_and_be_tied(tmp_path: Path) -> None:
    world = World(tmp_path, channel_binding="required", authentication=["challenge"], users=[])
    new = result_of(
        world.secrets.create(
            purpose="est", identity="device 7", lifetime=timedelta(days=1), by=ALICE, ca=ISSUING, one_time=False
        )
    )
    password, bound = f"{new.terms.reference}:{new.secret}", text(EXPORTED)
    rows: list[tuple[dict[str, str], int]] = [
        ({OTP_CHALLENGE: password, EST_IDENTITY_LINKING: bound}, 200),
        ({OTP_CHALLENGE: password, CHALLENGE_PASSWORD: bound}, 200),
        ({CHALLENGE_PASSWORD: password, EST_IDENTITY_LINKING: bound}, 200),
        ({CHALLENGE_PASSWORD: password}, 400),
        ({OTP_CHALLENGE: password, EST_IDENTITY_LINKING: text(FINISHED)}, 400),
        ({CHALLENGE_PASSWORD: bound}, 403),
        ({OTP_CHALLENGE: bound, CHALLENGE_PASSWORD: password}, 403),
    ]
    for attributes, expected in rows:
        csr_der = with_attributes(world.key, attributes)
        assert world.ask("simpleenroll", csr_der, bindings=TLS_1_3).status == expected, attributes


@pytest.mark.parametrize(
    ("section", "asked"),
    [
        ({}, set()),
        ({"channel_binding": "required"}, {CHALLENGE_PASSWORD, EST_IDENTITY_LINKING}),
        ({"authentication": ["challenge"]}, {OTP_CHALLENGE}),
    ],
)
def test_csrattrs_asks_for_what_is_needed(tmp_path: Path, section: dict[str, object], asked: set[str]) -> None:
    response = World(tmp_path, **section).ask("csrattrs")
    found = {each for each in tree(base64.b64decode(response.body)) if isinstance(each, str)}
    assert found & {CHALLENGE_PASSWORD, EST_IDENTITY_LINKING, OTP_CHALLENGE} == asked
