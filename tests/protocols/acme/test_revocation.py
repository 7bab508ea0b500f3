"""Revocation by clients (RFC 8555, 7.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from cspd.store.tables import certificates
from tests.protocols.acme.client import Client, b64, csr
from tests.protocols.acme.server import Server

KEY = ec.generate_private_key(ec.SECP256R1())


def obtain(server: Server, client: Client, *names: str, key: Any = KEY) -> bytes:
    names = names or ("www.example.com",)
    order = server.ready_order(client, *names)
    url = client.post(order["finalize"], {"csr": b64(csr(key, names))}).json["certificate"]
    return x509.load_pem_x509_certificates(client.get(url).body)[0].public_bytes(Encoding.DER)


def state(server: Server) -> tuple[str, str | None]:
    with server.database.engine.connect() as connection:
        row = connection.execute(select(certificates.c.state, certificates.c.revocation_reason)).one()
        return row.state, row.revocation_reason


@pytest.mark.requirement("R-CEG-119")
def test_the_account_that_got_it_revokes() -> None:
    server = Server()
    client = server.client()
    certificate = obtain(server, client)
    answer = client.post("revoke-cert", {"certificate": b64(certificate), "reason": 4})
    assert (answer.status, answer.body) == (200, b"")
    assert state(server) == ("revoked", "superseded")


@pytest.mark.requirement("R-CEG-119")
@pytest.mark.parametrize("key", [KEY, rsa.generate_private_key(65537, 2048)], ids=["ec", "rsa"])
def test_the_key_of_the_certificate_revokes(key: Any) -> None:
    server = Server()
    certificate = obtain(server, server.client(), key=key)
    stranger = Client(server.web, key)
    assert stranger.post("revoke-cert", {"certificate": b64(certificate), "reason": 1}, uses_jwk=True).status == 200
    assert state(server) == ("revoked", "keyCompromise")


def test_an_account_that_controls_all_names_revokes() -> None:
    server = Server()
    certificate = obtain(server, server.client(), "a.example.com", "*.example.com")
    other = server.client()
    payload = {"certificate": b64(certificate)}
    server.ready_order(other, "a.example.com")
    assert other.post("revoke-cert", payload).error == (403, "unauthorized"), "one of two names"
    server.ready_order(other, "example.com")
    assert other.post("revoke-cert", payload).error == (403, "unauthorized"), "the name is not the wildcard"
    server.ready_order(other, "*.example.com")
    assert other.post("revoke-cert", payload).status == 200
    assert state(server) == ("revoked", "unspecified")


def test_proofs_that_have_ended_do_not_count() -> None:
    server = Server(authorization_expiry="P1D")
    certificate = obtain(server, server.client(), "a.example.com")
    other = server.client()
    server.ready_order(other, "a.example.com")
    server.clock.advance(timedelta(days=1))
    assert other.post("revoke-cert", {"certificate": b64(certificate)}).error == (403, "unauthorized")


def test_a_stranger_does_not_revoke() -> None:
    server = Server()
    certificate = obtain(server, server.client())
    payload = {"certificate": b64(certificate)}
    assert server.client().post("revoke-cert", payload).error == (403, "unauthorized")
    stranger = Client(server.web, ec.generate_private_key(ec.SECP256R1()))
    assert stranger.post("revoke-cert", payload, uses_jwk=True).error == (403, "unauthorized")
    assert state(server) == ("good", None)


@pytest.mark.requirement("R-CEG-119")
def test_a_second_revocation_says_so() -> None:
    server = Server()
    client = server.client()
    payload = {"certificate": b64(obtain(server, client))}
    assert client.post("revoke-cert", payload).status == 200
    assert client.post("revoke-cert", payload).error == (400, "alreadyRevoked")


@pytest.mark.requirement("R-CEG-119")
@pytest.mark.parametrize("reason", [-1, 2, 6, 7, 8, 9, 10, 11, 2**70])
def test_a_reason_that_the_ca_does_not_take_is_refused(reason: int) -> None:
    server = Server()
    client = server.client()
    payload = {"certificate": b64(obtain(server, client)), "reason": reason}
    assert client.post("revoke-cert", payload).error == (400, "badRevocationReason")
    assert state(server) == ("good", None)


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"revocation_reasons": ["keyCompromise", "certificateHold"]}, 200),
        ({"revocation_reasons_by_ca": {"demo~issuing": ["certificateHold"]}}, 200),
        ({"revocation_reasons_by_ca": {"demo~other": ["certificateHold"]}}, 400),
    ],
)
def test_reasons_are_configured(settings: dict[str, Any], status: int) -> None:
    server = Server(**settings)
    client = server.client()
    payload = {"certificate": b64(obtain(server, client)), "reason": 6}
    assert client.post("revoke-cert", payload).status == status


def test_a_certificate_of_another_ca_is_not_revoked_here() -> None:
    server = Server()
    certificate = obtain(server, server.client())
    elsewhere = Client(server.web, KEY, prefix="/acme/tenant1/demo~other/privatessl-tls-server")
    answer = elsewhere.post("revoke-cert", {"certificate": b64(certificate)}, uses_jwk=True)
    assert answer.error == (404, "malformed")
