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


@pytest.mark.requirement("R-CEG-014")
@pytest.mark.parametrize("host", ["192.0.2.80:8443", "other.example.com", ""])
def test_the_host_header_selects_nothing(host: str) -> None:
    """The handler is given the request as it came by any name or address; its URLs are the configured ones."""
    server = Server()
    answer = server.web.send("GET", f"{PUBLIC}/acme/tenant1/demo~issuing/privatessl-tls-server/directory", host=host)
    assert answer.json["newOrder"].startswith(PUBLIC)


@pytest.mark.requirement("R-CEG-121")
def test_nobody_is_told_to_slow_down() -> None:
    server = Server()
    client = server.client()
    answers = [client.order(f"a{number}.example.com") for number in range(150)]
    assert {answer.status for answer in answers} == {201}
    assert {answer.header(b"retry-after") for answer in answers} == {None}


def test_a_percent_encoded_reference_is_the_same_directory() -> None:
    server = Server()
    url = f"{PUBLIC}/acme/tenant1/demo%7Eissuing/privatessl-tls-server"
    new_nonce = server.web.send("GET", f"{url}/directory").json["newNonce"]
    assert new_nonce.endswith("/demo~issuing/privatessl-tls-server/new-nonce")


def test_a_nonce_is_had_by_head_and_by_get() -> None:
    server = Server()
    url = f"{PUBLIC}/acme/tenant1/demo~issuing/privatessl-tls-server/new-nonce"
    head, get = server.web.send("HEAD", url), server.web.send("GET", url)
    assert (head.status, get.status) == (200, 204)
    assert head.header(b"replay-nonce") != get.header(b"replay-nonce")


def test_directory_and_nonce_are_read_by_post_as_get_too() -> None:
    """RFC 8555, 6.3: in addition to GET."""
    client = Server().client()
    directory = client.get("directory")
    assert (directory.status, directory.json["newNonce"]) == (200, f"{client.base}/new-nonce")
    nonce = client.get("new-nonce")
    assert (nonce.status, nonce.body) == (204, b"")
    assert nonce.header(b"replay-nonce")
