"""The whole conversation of RFC 8555, in memory."""

from __future__ import annotations

import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.protocols.acme.client import ACCOUNT_KEYS, PUBLIC, b64, csr
from tests.protocols.acme.server import Server


@pytest.mark.requirement("R-CEG-104")
@pytest.mark.parametrize("algorithm", ACCOUNT_KEYS)
def test_a_client_gets_a_certificate(algorithm: str) -> None:
    server = Server()
    client = server.client(ACCOUNT_KEYS[algorithm]())
    order = server.ready_order(client, "www.example.com", "example.com")
    key = ec.generate_private_key(ec.SECP256R1())

    finalized = client.post(order["finalize"], {"csr": b64(csr(key, ["example.com", "www.example.com"]))})

    assert finalized.status == 200
    assert finalized.json["status"] == "valid"
    assert finalized.header(b"location") == order["url"]
    downloaded = client.get(finalized.json["certificate"])
    assert downloaded.header(b"content-type") == "application/pem-certificate-chain"
    leaf, issuer = x509.load_pem_x509_certificates(downloaded.body)
    assert leaf.public_key() == key.public_key()
    assert issuer.public_bytes(Encoding.DER) == server.ca.authorities[0].certificate_der
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"example.com", "www.example.com"}


@pytest.mark.requirement("R-CEG-005")
@pytest.mark.requirement("R-CEG-101")
def test_the_directory_lists_what_there_is_and_nothing_else() -> None:
    answer = Server().web.send("GET", f"{PUBLIC}/acme/tenant1/demo~issuing/privatessl-tls-server/directory")
    base = f"{PUBLIC}/acme/tenant1/demo~issuing/privatessl-tls-server"
    assert answer.status == 200
    assert answer.json == {
        "newNonce": f"{base}/new-nonce",
        "newAccount": f"{base}/new-account",
        "newOrder": f"{base}/new-order",
        "revokeCert": f"{base}/revoke-cert",
        "keyChange": f"{base}/key-change",
        "meta": {"externalAccountRequired": False},
    }


def test_every_answer_has_nonce_link_and_no_store() -> None:
    server = Server()
    client = server.client()
    for answer in (
        server.web.send("GET", f"{client.base}/directory"),
        client.order("www.example.com"),
        client.order("bad_name.example.com"),
        server.web.send("GET", f"{client.base}/new-order"),
    ):
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", answer.header(b"replay-nonce") or "")
        assert answer.header(b"cache-control") == "no-store"
        assert answer.header(b"link") == f'<{client.base}/directory>;rel="index"'
