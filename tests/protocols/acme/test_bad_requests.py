"""Requests that are wrong, each with its exact answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cspd.refusals import Unavailable
from protocols.acme.challenges.values import ValidationFailed
from protocols.acme.errors import ErrorType
from tests.protocols.acme.client import PREFIX, PUBLIC, Answer, Client, b64, csr
from tests.protocols.acme.server import Server

Case = Callable[[Server, Client], Answer]
P256 = ec.generate_private_key(ec.SECP256R1())


def finalize(server: Server, client: Client, csr_der: bytes, *names: str) -> Answer:
    order = server.ready_order(client, *(names or ("www.example.com",)))
    return client.post(order["finalize"], {"csr": b64(csr_der)})


def raw(method: str, path: str, body: bytes = b"", **options: Any) -> Case:
    return lambda server, client: server.web.send(method, f"{client.base}/{path}", body, **options)


def post(path: str, payload: Any, **options: Any) -> Case:
    return lambda server, client: client.post(path, payload, **options)


def at(prefix: str) -> Case:
    return lambda server, client: server.web.send("GET", f"{PUBLIC}/acme/{prefix}/directory")


def replayed(server: Server, client: Client) -> Answer:
    nonce = client.nonce()
    assert (
        client.post("new-order", {"identifiers": [{"type": "dns", "value": "a.example.com"}]}, nonce=nonce).status
        == 201
    )
    return client.post("new-order", {"identifiers": [{"type": "dns", "value": "a.example.com"}]}, nonce=nonce)


def tampered(server: Server, client: Client) -> Answer:
    body = client.request(f"{client.base}/new-order", {"identifiers": []})
    return server.web.send("POST", f"{client.base}/new-order", body.replace(b'"payload": "e', b'"payload": "f'))


def foreign(read: str) -> Case:
    """Read what another account has."""

    def case(server: Server, client: Client) -> Answer:
        other = server.client()
        order = other.order("www.example.com")
        url = {
            "order": str(order.header(b"location")),
            "authorization": order.json["authorizations"][0],
            "challenge": other.challenge(order.json["authorizations"][0])["url"],
            "finalize": order.json["finalize"],
            "account": str(other.kid),
        }[read]
        return client.post(url, {"csr": b64(csr(P256, ["www.example.com"]))} if read == "finalize" else b"")

    return case


def deactivated(server: Server, client: Client) -> Answer:
    assert client.post(str(client.kid), {"status": "deactivated"}).json["status"] == "deactivated"
    return client.order("www.example.com")


def key_of_the_account(server: Server, client: Client) -> Answer:
    return finalize(server, client, csr(client.key, ["www.example.com"]))


def not_ready(server: Server, client: Client) -> Answer:
    order = client.order("www.example.com").json
    return client.post(order["finalize"], {"csr": b64(csr(P256, ["www.example.com"]))})


def tampered_csr(server: Server, client: Client) -> Answer:
    octets = bytearray(csr(P256, ["www.example.com"]))
    octets[-1] ^= 1
    return finalize(server, client, bytes(octets))


def order_of(*names: str, type: str = "dns", **members: Any) -> Case:
    return post("new-order", {"identifiers": [{"type": type, "value": name} for name in names], **members})


def asks(*names: str, **options: Any) -> Case:
    return lambda server, client: finalize(server, client, csr(P256, list(names), **options))


CASES: dict[str, tuple[Case, int, str]] = {
    # Transport and methods
    "clear text": (raw("GET", "directory", is_secure=False), 403, "malformed"),
    "GET of a resource": (raw("GET", "new-order"), 405, "malformed"),
    "PUT of a resource": (raw("PUT", "new-order"), 405, "malformed"),
    "PUT of the directory": (raw("PUT", "directory"), 405, "malformed"),
    "DELETE of new-nonce": (raw("DELETE", "new-nonce"), 405, "malformed"),
    "POST of the directory with a payload": (post("directory", {}), 400, "malformed"),
    "POST of new-nonce without a JWS": (raw("POST", "new-nonce"), 400, "malformed"),
    "POST of new-nonce with another media type": (
        raw("POST", "new-nonce", content_type="application/json"), 415, "malformed"),
    "media type json": (raw("POST", "new-order", content_type="application/json"), 415, "malformed"),
    "no media type": (raw("POST", "new-order", content_type=""), 415, "malformed"),
    "oversized body": (raw("POST", "new-order", b"x" * 200_000), 413, "malformed"),
    "empty body": (raw("POST", "new-order"), 400, "malformed"),
    # Directories
    "unknown tenant": (at("tenant2/demo~issuing/privatessl-tls-server"), 404, "malformed"),
    "tenant in other case": (at("Tenant1/demo~issuing/privatessl-tls-server"), 404, "malformed"),
    "unknown CA": (at("tenant1/demo~nobody/privatessl-tls-server"), 404, "malformed"),
    "CA without organization": (at("tenant1/issuing/privatessl-tls-server"), 404, "malformed"),
    "unknown profile": (at("tenant1/demo~issuing/nothing"), 404, "malformed"),
    "profile that ACME does not serve": (at("tenant1/demo~issuing/basic-ca-subord"), 404, "malformed"),
    "profile with a slash": (at("tenant1/demo~issuing/a%2Fb"), 404, "malformed"),
    # JWS
    "no nonce": (post("new-order", {}, nonce=None), 400, "badNonce"),
    "invented nonce": (post("new-order", {}, nonce=b64(b"x" * 32)), 400, "badNonce"),
    "nonce that is no base64url": (post("new-order", {}, nonce="a+b"), 400, "malformed"),
    "replayed nonce": (replayed, 400, "badNonce"),
    "other URL": (post("new-order", {}, url=f"{PUBLIC}{PREFIX}/new-account"), 403, "unauthorized"),
    "URL of another host": (post("new-order", {}, url=f"https://evil.example{PREFIX}/new-order"), 403, "unauthorized"),
    "tampered payload": (tampered, 400, "malformed"),
    "signed by another key": (post("new-order", {}, key=P256), 400, "malformed"),
    "unknown kid": (post("new-order", {}, kid=f"{PUBLIC}{PREFIX}/account/nobody"), 400, "accountDoesNotExist"),
    "kid elsewhere": (post("new-order", {}, kid="https://evil.example/account/1"), 400, "accountDoesNotExist"),
    "kid with a path": (post("new-order", {}, kid=f"{PUBLIC}{PREFIX}/account/a/b"), 400, "accountDoesNotExist"),
    "jwk where kid belongs": (post("new-order", {}, uses_jwk=True), 400, "malformed"),
    "kid where jwk belongs": (post("new-account", {}), 400, "malformed"),
    "HMAC": (post("new-order", {}, alg="HS256"), 400, "badSignatureAlgorithm"),
    "none": (post("new-order", {}, alg="none"), 400, "badSignatureAlgorithm"),
    # Accounts
    "no account to return": (
        post("new-account", {"onlyReturnExisting": True}, uses_jwk=True, key=P256), 400, "accountDoesNotExist"),
    "contact by telephone": (post("new-account", {"contact": ["tel:+1"]}, uses_jwk=True), 400, "unsupportedContact"),
    "contact with headers": (
        post("new-account", {"contact": ["mailto:a@example.org?subject=x"]}, uses_jwk=True), 400, "invalidContact"),
    "two contacts in one": (
        post("new-account", {"contact": ["mailto:a@example.org,b@example.org"]}, uses_jwk=True), 400, "invalidContact"),
    "contact without scheme": (
        post("new-account", {"contact": ["a@example.org"]}, uses_jwk=True), 400, "invalidContact"),
    "contact with a line break": (
        post("new-account", {"contact": ["mailto:a@x.org\r\nBcc: b@x.org"]}, uses_jwk=True), 400, "invalidContact"),
    "contact is text": (post("new-account", {"contact": "mailto:a@example.org"}, uses_jwk=True), 400, "malformed"),
    "many contacts": (post("new-account", {"contact": ["mailto:a@example.org"] * 11}, uses_jwk=True), 400, "malformed"),
    "status that is not ours to set": (
        lambda server, client: client.post(str(client.kid), {"status": "revoked"}), 400, "malformed"),
    "another's account": (foreign("account"), 403, "unauthorized"),
    "deactivated account": (deactivated, 401, "unauthorized"),
    # Orders
    "another's order": (foreign("order"), 403, "unauthorized"),
    "unknown order": (post("order/nothing", b""), 404, "malformed"),
    "order read with a payload": (post("order/nothing", {}), 400, "malformed"),
    "no identifiers": (order_of(), 400, "malformed"),
    "identifiers is an object": (post("new-order", {"identifiers": {}}), 400, "malformed"),
    "identifier is text": (post("new-order", {"identifiers": ["a.example.com"]}), 400, "malformed"),
    "101 identifiers": (order_of(*(f"a{n}.example.com" for n in range(101))), 400, "malformed"),
    "IP address": (order_of("192.0.2.1", type="ip"), 400, "unsupportedIdentifier"),
    "IP address as name": (order_of("192.0.2.1"), 400, "rejectedIdentifier"),
    "control character": (order_of("a\x07b.example.com"), 400, "malformed"),
    "NUL": (order_of("a\x00b.example.com"), 400, "malformed"),
    "U-label": (order_of("b\u00fccher.example"), 400, "malformed"),
    "bad A-label": (order_of("xn--a.example"), 400, "malformed"),
    "long text": (order_of("a" * 3000), 400, "malformed"),
    "one label": (order_of("localhost"), 400, "rejectedIdentifier"),
    "time that is none": (order_of("a.example.com", notAfter="tomorrow"), 400, "malformed"),
    "time without zone": (order_of("a.example.com", notAfter="2027-01-01T00:00:00"), 400, "malformed"),
    "time in the past": (order_of("a.example.com", notAfter="2020-01-01T00:00:00Z"), 400, "malformed"),
    # Authorizations and challenges
    "another's authorization": (foreign("authorization"), 403, "unauthorized"),
    "another's challenge": (foreign("challenge"), 403, "unauthorized"),
    "unknown authorization": (post("authorization/nothing", b""), 404, "malformed"),
    "unknown challenge": (post("challenge/nothing", {}), 404, "malformed"),
    # Finalize
    "not ready": (not_ready, 403, "orderNotReady"),
    "another's finalize": (foreign("finalize"), 403, "unauthorized"),
    "CSR that is none": (lambda server, client: finalize(server, client, b"junk"), 400, "badCSR"),
    "CSR with a broken signature": (tampered_csr, 400, "badCSR"),
    "CSR with another name": (asks("other.example.com"), 400, "badCSR"),
    "CSR with one name more": (asks("www.example.com", "other.example.com"), 400, "badCSR"),
    "CSR without names": (asks(), 400, "badCSR"),
    "CSR whose common name differs": (asks("www.example.com", common_name="evil.example.com"), 400, "badCSR"),
    "CSR whose common name is no name": (asks("www.example.com", common_name="My server"), 400, "badCSR"),
    "CSR with an address": (
        asks("www.example.com", extra=[x509.RFC822Name("a@example.com")]), 400, "badCSR"),
    "CSR with the account's key": (key_of_the_account, 400, "badCSR"),
    # Revocation
    "unknown certificate": (post("revoke-cert", {"certificate": b64(b"0")}), 404, "malformed"),
    "no certificate": (post("revoke-cert", {}), 400, "malformed"),
    "reason is text": (post("revoke-cert", {"certificate": b64(b"0"), "reason": "1"}), 400, "malformed"),
    "reason is true": (post("revoke-cert", {"certificate": b64(b"0"), "reason": True}), 400, "malformed"),
    # Certificates
    "unknown serial": (post("certificate/abc", b""), 404, "malformed"),
    "serial that is none": (post("certificate/-1", b""), 404, "malformed"),
    "serial beyond the limit": (post("certificate/" + "f" * 41, b""), 404, "malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_bad_request_has_its_exact_answer(name: str) -> None:
    case, status, error = CASES[name]
    server = Server()
    client = server.client()

    answer = case(server, client)

    assert answer.error == (status, error), answer.body
    assert answer.json["status"] == status
    assert answer.header(b"replay-nonce"), "every answer has a fresh nonce"
    assert not server.ca.requests, "nothing reached the CA"


@pytest.mark.requirement("R-CEG-003")
def test_the_tenant_is_compared_with_case() -> None:
    server = Server()
    client = server.client()
    assert at("tenant1/demo~issuing/privatessl-tls-server")(server, client).status == 200
    assert at("Tenant1/demo~issuing/privatessl-tls-server")(server, client).error == (404, "malformed")


@pytest.mark.requirement("R-CEG-015")
def test_clear_text_is_refused() -> None:
    server = Server()
    assert server.web.send("GET", f"{PUBLIC}{PREFIX}/directory", is_secure=False).error == (403, "malformed")


@pytest.mark.requirement("R-CEG-016")
@pytest.mark.parametrize("path", ["tenant1/demo~nobody/privatessl-tls-server", "tenant1/demo~issuing/nothing"])
def test_an_unknown_ca_or_profile_is_a_problem_document(path: str) -> None:
    assert at(path)(Server(), None).error == (404, "malformed")  # type: ignore[arg-type]


@pytest.mark.requirement("R-CEG-103")
def test_a_reused_nonce_is_refused_and_the_answer_brings_one_that_works() -> None:
    server = Server()
    client = server.client()
    answer = replayed(server, client)
    assert answer.error == (400, "badNonce")
    fresh = answer.header(b"replay-nonce")
    again = client.post("new-order", {"identifiers": [{"type": "dns", "value": "a.example.com"}]}, nonce=fresh)
    assert again.status == 201


@pytest.mark.requirement("R-CEG-100")
@pytest.mark.requirement("R-PLAT-144")
def test_eddsa_when_switched_off_names_the_algorithms() -> None:
    server = Server(signature_algorithms=("ES256", "RS256"))
    client = Client(server.web, ed25519.Ed25519PrivateKey.generate())
    answer = client.post("new-account", {}, uses_jwk=True)
    assert answer.error == (400, "badSignatureAlgorithm")
    assert answer.json["algorithms"] == ["ES256", "RS256"]


def test_a_short_account_key_is_refused() -> None:
    server = Server()
    client = Client(server.web, rsa.generate_private_key(65537, 1024))
    assert client.post("new-account", {}, uses_jwk=True).error == (400, "badPublicKey")


def test_a_method_that_is_not_allowed_names_the_one_that_is() -> None:
    server = Server()
    assert server.web.send("GET", f"{PUBLIC}{PREFIX}/new-order").header(b"allow") == "POST"
    assert server.web.send("PUT", f"{PUBLIC}{PREFIX}/directory").header(b"allow") == "GET, HEAD, POST"


def test_an_unexpected_failure_tells_its_reference_only() -> None:
    server = Server()
    client = server.client()

    def explode(*_: Any) -> Any:
        raise RuntimeError("secret: database password")

    server.ca.by_id = server.ca.get = explode  # type: ignore[method-assign]
    answer = server.web.send("GET", f"{client.base}/directory")
    assert answer.error == (500, "serverInternal")
    assert answer.json["detail"] == "internal error; quote the reference request-1"


@pytest.mark.parametrize("type", [ErrorType.DNS, ErrorType.CONNECTION, ErrorType.INCORRECT_RESPONSE])
def test_a_failed_validation_says_why(type: ErrorType) -> None:
    server = Server()
    client = server.client()
    order = client.order("www.example.com")
    server.http01.failure = ValidationFailed(type, "it was not there")

    client.post(client.challenge(order.json["authorizations"][0])["url"], {})

    authorization = client.get(order.json["authorizations"][0]).json
    (challenge,) = authorization["challenges"]
    assert (authorization["status"], challenge["status"]) == ("invalid", "invalid")
    assert challenge["error"]["type"] == type.urn
    assert challenge["error"]["detail"] == "it was not there"
    after = client.get(str(order.header(b"location"))).json
    assert after["status"] == "invalid"
    assert after["error"]["subproblems"][0]["identifier"] == {"type": "dns", "value": "www.example.com"}


def test_a_store_that_is_away_is_said_and_comes_back() -> None:
    server = Server()
    client = server.client()
    server.restart()
    client.web = server.web
    request = client.request(f"{client.base}/new-order", {"identifiers": [{"type": "dns", "value": "a.example.com"}]})
    server.restart(seed=3)
    read, write = server.database.read, server.database.write

    async def away(work: Any) -> Any:
        raise Unavailable("the store does not answer", detail="password=secret")

    server.database.read = server.database.write = away  # type: ignore[method-assign]
    answer = server.web.send("POST", f"{client.base}/new-order", request)
    assert answer.error == (503, "serverInternal")
    assert answer.header(b"retry-after") == "30"
    assert answer.header(b"replay-nonce") is None
    assert b"secret" not in answer.body
    server.database.read, server.database.write = read, write  # type: ignore[method-assign]
    assert server.web.send("POST", f"{client.base}/new-order", request).status == 201


def test_what_the_http_server_refuses_itself_is_a_problem_document_too() -> None:
    """Such as a body that it does not read to its end."""
    for route in Server().service.routes:
        assert route.refuse is not None
        response = route.refuse(413, "the body is larger than allowed")
        assert (response.status, response.headers) == (413, ((b"content-type", b"application/problem+json"),))
        assert json.loads(response.body) == {
            "type": "urn:ietf:params:acme:error:malformed",
            "detail": "the body is larger than allowed",
            "status": 413,
        }
