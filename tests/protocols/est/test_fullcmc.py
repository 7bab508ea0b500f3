"""fullcmc through the real router."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography import x509

from cspd.http.message import Response
from cspd.x509.cmc.codec import decode_pki_response
from cspd.x509.cmc.messages import PKI_RESPONSE, CMCFailInfo, CMCStatus, CMCStatusInfoV2
from cspd.x509.cms.signed import read_signed_data
from tests.protocols.est.cmc_client import Client
from tests.protocols.est.world import World, header

CMC_TYPE = "application/pkcs7-mime; smime-type=CMC-request"


def ask(world: World, message: bytes, user: str | None = "alice:se:cret") -> Response:
    return world.ask("fullcmc", base64.b64encode(message), user=user, content_type=CMC_TYPE)


def read(response: Response) -> tuple[CMCStatusInfoV2, tuple[bytes, ...]]:
    """The first status, and the certificates."""
    assert header(response, b"content-type") == b"application/pkcs7-mime; smime-type=CMC-response"
    signed_data = read_signed_data(base64.b64decode(response.body, validate=True))
    assert signed_data.content_type == PKI_RESPONSE
    assert signed_data.content is not None
    status = decode_pki_response(signed_data.content).control_sequence[0].value
    assert isinstance(status, CMCStatusInfoV2)
    return status, signed_data.certificates_der


def test_a_user_gets_a_certificate_and_renews_it(tmp_path: Path) -> None:
    world, client = World(tmp_path), Client()
    response = ask(world, client.send(client.csr()))
    assert response.status == 200
    _, certificates = read(response)
    (client.certificate,) = [
        each
        for each in map(x509.load_der_x509_certificate, certificates)
        if each.public_key() == client.key.public_key()
    ]
    [event] = world.house.audited("certificate-issued")
    assert event["request_id"] == "r-9"
    new = Client()
    assert ask(world, client.send(new.csr()), None).status == 200
    assert ask(world, client.send(new.csr("other.example")), None).status == 400


def test_a_certificate_renews_nothing_where_passwords_alone_count(tmp_path: Path) -> None:
    world, client = World(tmp_path, authentication=["basic"]), Client()
    _, certificates = read(ask(world, client.send(client.csr())))
    (client.certificate,) = [
        each
        for each in map(x509.load_der_x509_certificate, certificates)
        if each.public_key() == client.key.public_key()
    ]
    response = ask(world, client.send(client.csr()), None)
    assert response.status == 400
    assert read(response)[0].other_info is CMCFailInfo.BAD_IDENTITY


def test_a_request_waits_where_somebody_has_to_approve(tmp_path: Path) -> None:
    world, client = World(tmp_path, approval=True), Client()
    response = ask(world, client.send(client.csr()))
    assert response.status == 200
    assert read(response)[0].cmc_status is CMCStatus.PENDING


@pytest.mark.parametrize("user", ["alice:wrong", "bob:se:cret"])
def test_a_wrong_password_is_no_way_in(tmp_path: Path, user: str) -> None:
    client = Client()
    assert ask(World(tmp_path), client.send(client.csr()), user).status == 401


def test_what_is_no_full_pki_request_is_refused_in_words(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert ask(world, b"\x30\x00").status == 400
    assert world.ask("fullcmc", b"x", content_type="application/pkcs10").status == 415
