"""Certificates of other CAs, such as makers of devices: they get a first certificate, and nothing else (3.3.1)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.logger import capturedLogs

from cspd.refusals import Malformed
from protocols.est.labels import Labels
from tests.protocols.est.world import BASE, LABEL, World, configuration, header, only_certificate
from tests.support.authorities import ISSUING, Installation
from tests.support.clocks import FrozenClock
from tests.unit.http.certificates import CLIENT_AUTH, SERVER_AUTH, Party, make

NOW = FrozenClock().now()
MAKER = make("maker", is_ca=True, days=(-9, 900), now=NOW)
FACTORY = make("factory", MAKER, is_ca=True, days=(-9, 900), now=NOW)
DEVICE = make("device-7", FACTORY, usage=CLIENT_AUTH, days=(-9, 900), now=NOW)
SECTION: dict[str, Any] = {"authentication": ["certificate"], "users": [], "trust": ["makers.pem"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "makers.pem").write_bytes(MAKER.pem)
    return World(tmp_path, **SECTION)


def test_a_device_gets_its_first_certificate_by_that_of_its_maker(world: World) -> None:
    response = world.ask("simpleenroll", world.csr(), certificate=DEVICE.der, chain=(FACTORY.der,))
    own = only_certificate(response)
    [event] = [each for each in world.house.audit.events if each.event == "certificate-issued"]
    assert event.actor == "est:CN=device-7"
    # From now on that one speaks for its successors, and the maker's does not.
    only_certificate(world.ask("simplereenroll", world.csr(), certificate=own))
    response = world.ask("simplereenroll", world.csr(), certificate=DEVICE.der, chain=(FACTORY.der,))
    assert (response.status, response.body) == (403, b"the TLS client certificate was not issued here\n")


def shown(**fields: Any) -> Party:
    return make("device", FACTORY, **{"usage": CLIENT_AUTH, "days": (-9, 900), "now": NOW, **fields})


STRANGERS: dict[str, tuple[Party, ...]] = {
    "of another maker": (make("device", make("maker", is_ca=True, now=NOW), usage=CLIENT_AUTH, now=NOW),),
    "without the chain": (DEVICE,),
    "expired": (shown(days=(-9, -1)), FACTORY),
    "not valid yet": (shown(days=(1, 9)), FACTORY),
    "for servers": (shown(usage=SERVER_AUTH), FACTORY),
    "self-signed": (make("device", usage=CLIENT_AUTH, now=NOW),),
    "issued by a device": (make("device", DEVICE, usage=CLIENT_AUTH, now=NOW), DEVICE, FACTORY),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_other_certificates_get_nothing_and_the_log_says_why(world: World, name: str) -> None:
    certificate, *chain = (party.der for party in STRANGERS[name])
    with capturedLogs() as events:
        response = world.ask("simpleenroll", world.csr(), certificate=certificate, chain=tuple(chain))
    assert (response.status, header(response, b"www-authenticate")) == (403, None)
    assert response.body == b"the client's certificate is not trusted\n"
    [event] = [each for each in events if each.get("event") == "est-refused"]
    assert event["detail"]
    assert not world.house.audited("certificate-issued")


def test_octets_that_are_no_certificate_get_nothing(world: World) -> None:
    assert world.ask("simpleenroll", world.csr(), certificate=b"\x30\x00").status == 403


def test_our_own_certificates_are_no_maker_s(world: World) -> None:
    own = only_certificate(world.ask("simpleenroll", world.csr(), certificate=DEVICE.der, chain=(FACTORY.der,)))
    assert world.ask("simpleenroll", world.csr("b.example"), certificate=own).status == 403


def test_one_of_ours_that_is_trusted_must_not_be_revoked(tmp_path: Path) -> None:
    """One of our CAs may stand among the trusted ones, and its certificates then get others of any name."""
    house = Installation()
    house.make_hierarchy(profiles=("tls-client", "tls-server"))
    issuing = house.get(ISSUING)
    assert issuing.certificate is not None
    (tmp_path / "makers.pem").write_bytes(issuing.certificate.public_bytes(Encoding.PEM))
    world = World(tmp_path, house=house, trust=["makers.pem"])
    own = world.enroll()
    only_certificate(world.ask("simpleenroll", world.csr("b.example"), certificate=own))
    world.house.revoke(issuing, x509.load_der_x509_certificate(own).serial_number)
    response = world.ask("simpleenroll", world.csr("b.example"), certificate=own)
    assert (response.status, response.body) == (401, b"the client's certificate is revoked\n")


def test_who_has_a_password_too_is_asked_for_it(tmp_path: Path) -> None:
    (tmp_path / "makers.pem").write_bytes(MAKER.pem)
    world = World(tmp_path, trust=["makers.pem"])
    stranger, *_ = STRANGERS["of another maker"]
    response = world.ask("simpleenroll", world.csr(), certificate=stranger.der)
    assert (response.status, header(response, b"www-authenticate") is not None) == (401, True)
    only_certificate(world.ask("simpleenroll", world.csr(), certificate=stranger.der, user="alice:se:cret"))


def test_a_label_has_its_own_makers(tmp_path: Path) -> None:
    (tmp_path / "makers.pem").write_bytes(MAKER.pem)
    labels = [LABEL, {**LABEL, "id": "new", "trust": ["makers.pem"]}]
    world = World(tmp_path, authentication=["certificate"], users=[], labels=labels)
    asked = {"body": world.csr(), "certificate": DEVICE.der, "chain": (FACTORY.der,)}
    assert world.ask("simpleenroll", **asked).status == 403
    only_certificate(world.ask("simpleenroll", **asked, path=f"{BASE}/new"))
    assert world.ask("serverkeygen", **asked, path=f"{BASE}/new").status == 404


def test_a_subject_without_a_name_is_told_by_issuer_and_serial(world: World) -> None:
    device = make(None, FACTORY, usage=CLIENT_AUTH, days=(-9, 900), now=NOW)
    only_certificate(world.ask("simpleenroll", world.csr(), certificate=device.der, chain=(FACTORY.der,)))
    [event] = [each for each in world.house.audit.events if each.event == "certificate-issued"]
    assert event.actor == f"est:certificate {device.certificate.serial_number:x} of CN=factory"


@pytest.mark.parametrize("content", [None, b"", b"nothing", DEVICE.key_pem()], ids=["no file", "empty", "text", "key"])
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "makers.pem").write_bytes(content)
    section = configuration(**SECTION)
    with pytest.raises(Malformed, match=r"trust: .*makers\.pem (cannot be read|is not a PEM file)"):
        Labels(section, tenants=["demo"], folder=tmp_path)
    [problem] = section.inspect(tmp_path, NOW).problems
    assert problem.key == ("trust", 0)
    assert "makers.pem" in problem.what


@pytest.mark.parametrize(
    ("party", "at", "says"),
    [
        (MAKER, NOW, None),
        (MAKER, NOW + timedelta(days=901), "CN=maker is not valid at this time"),
        (DEVICE, NOW, "CN=device-7 is no CA"),
    ],
    ids=["good", "expired", "no CA"],
)
def test_config_check_warns_of_certificates_that_are_no_anchors(
    tmp_path: Path, party: Party, at: datetime, says: str | None
) -> None:
    (tmp_path / "makers.pem").write_bytes(party.pem)
    section = configuration(labels=[{**LABEL, "trust": ["makers.pem"]}])
    inspection = section.inspect(tmp_path, at)
    assert not inspection.problems
    assert [(each.key, each.what) for each in inspection.warnings] == (
        [] if says is None else [(("labels", 0, "trust", 0), f"{tmp_path / 'makers.pem'}: {says}")]
    )
    assert inspection.client_trust == [(("labels", 0, "trust", 0), "makers.pem")]
