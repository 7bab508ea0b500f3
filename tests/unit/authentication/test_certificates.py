"""Clients with certificates: those of strangers, and ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from sqlalchemy import update
from twisted.internet.task import Clock

from cspd.authentication.certificates import CertifiedClient, ClientCertificates, TrustAnchors
from cspd.authority.certificates import Certificates
from cspd.authority.status import StatusService
from cspd.refusals import Malformed, Unauthorized
from cspd.store.tables import certificates as table
from tests.support.issuing import House
from tests.support.running import result_of
from tests.unit.http.certificates import CLIENT_AUTH, SERVER_AUTH, Party, make

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOT = make("root", is_ca=True, now=NOW)
ISSUING = make("issuing", ROOT, is_ca=True, now=NOW)
DEVICE = make("device", ISSUING, usage=CLIENT_AUTH, now=NOW)
ANCHORS = TrustAnchors.from_pem(ROOT.pem)


class Door:
    """Lets clients with certificates in."""

    def __init__(self) -> None:
        self.house = house = House()
        status = StatusService(clock=house.clock, database=house.database, reactor=Clock())
        self.check = ClientCertificates(certificates=Certificates(house.database), status=status)
        self.anchors = TrustAnchors([x509.load_der_x509_certificate(house.root.certificate_der or b"")])

    def open(self, *sent: bytes, at: datetime = NOW, anchors: TrustAnchors = ANCHORS) -> CertifiedClient:
        return result_of(self.check.check(sent[0], sent[1:], anchors, at))

    def change(self, serial: int, state: str) -> None:
        statement = update(table).where(table.c.serial == serial).values(state=state, revoked_at=self.house.clock.now())
        result_of(self.house.database.write(lambda connection: connection.execute(statement).rowcount))


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_client_is_its_subject_and_its_path(door: Door) -> None:
    client = door.open(DEVICE.der, ISSUING.der)
    assert (client.identity.name, client.identity.method) == ("CN=device", "certificate")
    assert client.path == (DEVICE.certificate, ISSUING.certificate, ROOT.certificate)
    assert client.record is None


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (lambda: (DEVICE,), "no certificate of the issuer is known"),
        (lambda: (make("device", ISSUING, usage=SERVER_AUTH, now=NOW), ISSUING), "not for this use"),
        (lambda: (make("device", ISSUING, usage=CLIENT_AUTH, days=(-9, -1), now=NOW), ISSUING), "is not valid at"),
        (lambda: (make("device", usage=CLIENT_AUTH, now=NOW),), "no certificate of the issuer is known"),
        (lambda: (make("evil", DEVICE, usage=CLIENT_AUTH, now=NOW), DEVICE, ISSUING), "is no CA"),
        (lambda: (make("evil", make("root", is_ca=True, now=NOW), usage=CLIENT_AUTH, now=NOW),), "is not signed by"),
    ],
    ids=["issuer missing", "for servers", "expired", "self-signed", "issued by a client", "another root of that name"],
)
def test_others_are_not_let_in(door: Door, sent: Callable[[], tuple[Party, ...]], detail: str) -> None:
    with pytest.raises(Unauthorized, match=r"^the client's certificate is not trusted$") as refused:
        door.open(*(party.der for party in sent()))
    assert detail in refused.value.detail


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", DEVICE.der[:-1]])
def test_octets_that_are_no_certificate_are_not_let_in(door: Door, octets: bytes) -> None:
    with pytest.raises(Unauthorized):
        door.open(octets)
    with pytest.raises(Unauthorized):
        door.open(DEVICE.der, octets)


def test_a_certificate_of_ours_comes_with_its_record(door: Door) -> None:
    issued = door.house.enroll()
    client = door.open(issued.certificate_der, *issued.chain_der, at=door.house.clock.now(), anchors=door.anchors)
    assert client.record is not None
    assert client.record.serial == issued.serial


@pytest.mark.parametrize("state", ["revoked", "held", "reserved"])
def test_a_certificate_of_ours_that_is_not_good_is_not_let_in(door: Door, state: str) -> None:
    issued = door.house.enroll()
    door.change(issued.serial, state)
    with pytest.raises(Unauthorized, match="is revoked"):
        door.open(issued.certificate_der, *issued.chain_der, at=door.house.clock.now(), anchors=door.anchors)


def test_anchors_are_pem() -> None:
    for pem in (b"", b"nothing", DEVICE.key_pem()):
        with pytest.raises(Malformed):
            TrustAnchors.from_pem(pem)
