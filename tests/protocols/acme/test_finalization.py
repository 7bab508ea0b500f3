"""Finalize, download: one certificate for one order, whatever breaks (RFC 8555, 7.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from cspd.authority.values import Pending
from cspd.refusals import BadName, BadProofOfPossession, BadPublicKey, Conflict, Unavailable
from cspd.store.tables import certificates
from tests.protocols.acme.client import Answer, Client, b64, csr
from tests.protocols.acme.server import Server

KEY = ec.generate_private_key(ec.SECP256R1())
CSR = csr(KEY, ["www.example.com"])


def finalize(client: Client, order: dict[str, Any], csr_der: bytes = CSR) -> Answer:
    return client.post(order["finalize"], {"csr": b64(csr_der)})


def issued(server: Server) -> int:
    with server.database.engine.connect() as connection:
        return len(connection.execute(select(certificates.c.serial)).all())


@pytest.mark.requirement("R-PLAT-146")
def test_an_empty_subject_becomes_the_first_name() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client, "b.example.com", "a.example.com")
    octets = csr(KEY, ["b.example.com", "a.example.com"])
    assert finalize(client, order, octets).json["status"] == "valid"
    (request,) = server.ca.requests
    assert request.csr_der == octets, "the CSR itself goes on unchanged"
    assert request.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "b.example.com")])


def test_of_the_subject_only_the_common_name_is_taken() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client, "www.example.com")
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Somebody Else Inc."),
                x509.NameAttribute(NameOID.COMMON_NAME, "WWW.example.com"),
            ]
        )
    )
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    assert finalize(client, order, builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)).status == 200
    (request,) = server.ca.requests
    assert request.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com")])
    assert request.subject_alt_names == (x509.DNSName("www.example.com"),)


def test_no_name_fits_a_common_name() -> None:
    server = Server()
    client = server.client()
    name = f"{'a' * 60}.example.com"
    order = server.ready_order(client, name)
    finalize(client, order, csr(KEY, [name]))
    assert server.ca.requests[0].subject == x509.Name([])


def test_names_in_capitals_are_the_same_names() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client, "www.example.com", "*.example.com")
    assert finalize(client, order, csr(KEY, ["*.EXAMPLE.com", "WWW.Example.Com"])).json["status"] == "valid"


def test_the_requested_validity_goes_to_the_core() -> None:
    server = Server()
    client = server.client()
    answer = client.order("www.example.com", notBefore="2026-11-25T00:00:00Z", notAfter="2026-12-25T00:00:00+01:00")
    for url in answer.json["authorizations"]:
        client.post(client.challenge(url)["url"], {})
    order = client.get(str(answer.header(b"location"))).json
    assert (order["notBefore"], order["notAfter"]) == ("2026-11-25T00:00:00Z", "2026-12-24T23:00:00Z")
    finalize(client, order)
    (request,) = server.ca.requests
    assert (str(request.not_before), str(request.not_after)) == (
        "2026-11-25 00:00:00+00:00",
        "2026-12-24 23:00:00+00:00",
    )


def test_a_requested_validity_can_be_forbidden() -> None:
    client = Server(allow_requested_validity=False).client()
    assert client.order("www.example.com", notAfter="2027-01-01T00:00:00Z").error == (400, "malformed")


def test_the_certificate_record_names_account_and_order() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    finalize(client, order)
    (request,) = server.ca.requests
    assert request.requester.identity == f"{client.kid} order {order['url'].rsplit('/', 1)[1]}"
    assert (request.requester.protocol, request.requester.address) == ("acme", "192.0.2.7")


@pytest.mark.requirement("R-CEG-117")
@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, bits) for bits in (2048, 3072, 4096)]
    + [ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)],
    ids=lambda key: f"{type(key).__name__}-{key.key_size}",
)
def test_csr_keys_of_usual_types_are_taken(key: Any) -> None:
    server = Server()
    client = server.client()
    assert finalize(client, server.ready_order(client), csr(key, ["www.example.com"])).json["status"] == "valid"


# Refusals of the core


@pytest.mark.requirement("R-CEG-117")
@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (BadPublicKey("RSA keys have at least 2048 bits"), (400, "badCSR")),
        (BadPublicKey("the key is a CA's"), (400, "badCSR")),
        (BadProofOfPossession("no"), (400, "badCSR")),
        (BadName("no"), (400, "badCSR")),
        (Conflict("the CA is disabled"), (409, "malformed")),
    ],
)
def test_a_refusal_of_the_core_ends_the_order(refusal: Exception, error: tuple[int, str]) -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.refusal = refusal
    assert finalize(client, order).error == error
    after = client.get(order["url"]).json
    assert after["status"] == "invalid"
    assert after["error"]["type"].endswith(error[1])
    server.ca.refusal = None
    assert finalize(client, order).error == (403, "orderNotReady")
    assert issued(server) == 0


def test_an_unexpected_failure_ends_the_order() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.refusal = RuntimeError("a bug")
    assert finalize(client, order).error == (500, "serverInternal")
    assert client.get(order["url"]).json["status"] == "invalid"


def test_a_profile_that_needs_approval_is_refused() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.answer = Pending(request_id="1", retry_after=timedelta(hours=1))
    assert finalize(client, order).error == (403, "unauthorized")


def test_a_wrong_csr_leaves_the_order_ready() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    assert finalize(client, order, csr(KEY, ["other.example.com"])).error == (400, "badCSR")
    assert finalize(client, order).json["status"] == "valid"


# Races and crashes


def test_finalized_twice_it_is_issued_once() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    first, second = finalize(client, order), finalize(client, order)
    assert first.json == second.json
    assert finalize(client, order, csr(ec.generate_private_key(ec.SECP256R1()), ["www.example.com"])).error == (
        403,
        "orderNotReady",
    )
    assert issued(server) == 1


def start_finalize(server: Server, client: Client, order: dict[str, Any]) -> tuple[Deferred[Any], list[Any]]:
    """A finalize that waits within the CA."""
    from cspd.http.message import Request

    path = order["finalize"].removeprefix("https://pki.example.com")
    route = next(route for route in server.service.routes if route.path.endswith("/finalize"))
    tenant, ca, profile, _, id = path.removeprefix("/acme/").split("/")[:5]
    request = Request(
        method="POST",
        target=path.encode(),
        path=path,
        query="",
        headers=((b"content-type", b"application/jose+json"),),
        body=client.request(order["finalize"], {"csr": b64(CSR)}),
        parameters={"tenant": tenant, "ca": ca, "profile": profile, "order": id},
        is_secure=True,
    )

    async def run() -> Any:
        return await route.handler(request)

    answers: list[Any] = []
    running = Deferred.fromCoroutine(run())
    running.addBoth(answers.append)
    return running, answers


def test_two_finalizes_at_once_give_one_certificate() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    _, answers = start_finalize(server, client, order)
    second = finalize(client, order)
    assert (second.status, second.json["status"], second.header(b"retry-after")) == (200, "processing", "1")
    assert answers == []
    server.ca.hold.callback(None)
    assert Answer(answers[0]).json["status"] == "valid"
    assert client.get(order["url"]).json["status"] == "valid"
    assert issued(server) == 1


def test_a_client_that_leaves_does_not_stop_the_issuance() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    running, _ = start_finalize(server, client, order)
    running.cancel()
    server.ca.hold.callback(None)
    assert client.get(order["url"]).json["status"] == "valid"


def test_an_issuance_that_takes_long_is_answered_with_processing() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    _, answers = start_finalize(server, client, order)
    server.reactor.advance(20)
    assert Answer(answers[0]).json["status"] == "processing"
    server.ca.hold.callback(None)
    assert client.get(order["url"]).json["status"] == "valid"


def test_a_refusal_that_comes_after_the_answer_is_no_error_of_ours() -> None:
    """The order tells of it; a traceback in the log would cry wolf."""
    events: list[LogEvent] = []
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    start_finalize(server, client, order)
    server.reactor.advance(20)
    server.ca.refusal = BadName("not that name")
    globalLogPublisher.addObserver(events.append)
    try:
        server.ca.hold.callback(None)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert client.get(order["url"]).json["error"]["detail"] == "not that name"
    assert not [event for event in events if "log_failure" in event]
    assert "not that name" in "".join(formatEvent(event) for event in events)


def crash(server: Server, client: Client) -> None:
    """Another process takes over after the lease."""
    server.ca.hold = server.ca.hold_after = None
    server.restart()
    client.web = server.web
    server.clock.advance(timedelta(minutes=3))
    server.run_job("acme-recover-orders")


def test_a_crash_before_the_signature_is_made_good() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    start_finalize(server, client, order)
    crash(server, client)
    after = client.get(order["url"]).json
    assert after["status"] == "valid"
    assert client.get(after["certificate"]).status == 200
    assert issued(server) == 1


def test_a_crash_after_the_signature_gives_that_certificate() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold_after = Deferred()
    start_finalize(server, client, order)
    assert issued(server) == 1
    crash(server, client)
    after = client.get(order["url"]).json
    assert after["status"] == "valid"
    assert client.get(after["certificate"]).status == 200
    assert issued(server) == 1, "not issued again"


def test_a_living_issuance_is_left_alone() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    start_finalize(server, client, order)
    server.clock.advance(timedelta(seconds=29))
    server.run_job("acme-recover-orders")
    assert len(server.ca.requests) == 1


def test_the_successor_on_sqlite_goes_on_at_once() -> None:
    """One process at a time uses the store: a lease of another one is a dead one's."""
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    start_finalize(server, client, order)
    server.ca.hold = None
    server.restart()
    client.web = server.web
    assert server.service.start is not None
    server.service.start()
    assert client.get(order["url"]).json["status"] == "valid"
    assert issued(server) == 1


def test_a_reload_leaves_a_living_issuance_alone() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    start_finalize(server, client, order)
    server.service = server.build()
    assert server.service.start is not None
    server.service.start()
    assert len(server.ca.requests) == 1


def test_a_slow_issuance_keeps_its_lease() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = Deferred()
    start_finalize(server, client, order)
    for _ in range(12):
        server.clock.advance(timedelta(seconds=10))
        server.reactor.advance(10)
    server.run_job("acme-recover-orders")
    assert len(server.ca.requests) == 1


def test_a_signature_slower_than_its_lease_leaves_a_trace() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.hold = slow = Deferred()
    start_finalize(server, client, order)
    server.ca.hold = None
    server.clock.advance(timedelta(minutes=3))
    server.run_job("acme-recover-orders")
    slow.callback(None)
    assert issued(server) == 2
    (event,) = [event for event in server.audit.events if event.event == "acme-certificate-without-order"]
    assert event.fields["order"] == order["url"].rsplit("/", 1)[1]


def test_an_unavailable_core_is_asked_again() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.refusal = Unavailable("the token is gone", retry_after=timedelta(seconds=30))
    assert finalize(client, order).json["status"] == "processing"
    server.run_job("acme-recover-orders")
    assert len(server.ca.requests) == 1, "not before it may be back"
    server.ca.refusal = None
    server.clock.advance(timedelta(seconds=31))
    server.run_job("acme-recover-orders")
    assert client.get(order["url"]).json["status"] == "valid"


def test_an_order_does_not_wait_for_ever() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client)
    server.ca.refusal = Unavailable("the token is gone")
    finalize(client, order)
    server.clock.advance(timedelta(days=8))
    server.run_job("acme-recover-orders")
    assert client.get(order["url"]).json["status"] == "invalid"


# Download


def test_a_certificate_is_downloaded_until_it_ends() -> None:
    server = Server()
    client = server.client()
    url = finalize(client, server.ready_order(client)).json["certificate"]
    server.clock.advance(timedelta(days=89))
    server.run_job("acme-delete-expired-orders")
    assert client.get(url).status == 200
    server.clock.advance(timedelta(days=2))
    server.run_job("acme-delete-expired-orders")
    assert client.get(url).error == (404, "malformed")


@pytest.mark.requirement("R-PLAT-148")
@pytest.mark.parametrize(("setting", "length"), [(False, 2), (True, 3)])
def test_the_chain_ends_with_the_root_when_configured(setting: bool, length: int) -> None:
    server = Server(include_root=setting)
    client = server.client()
    chain = client.get(finalize(client, server.ready_order(client)).json["certificate"]).body
    certificates_ = x509.load_pem_x509_certificates(chain)
    assert len(certificates_) == length
    assert (certificates_[-1] == server.ca.root) is setting


def test_another_account_does_not_get_the_certificate() -> None:
    server = Server()
    client = server.client()
    url = finalize(client, server.ready_order(client)).json["certificate"]
    assert server.client().get(url).error == (403, "unauthorized")


def test_a_certificate_is_read_by_post_as_get() -> None:
    server = Server()
    client = server.client()
    url = finalize(client, server.ready_order(client)).json["certificate"]
    assert client.post(url, {}).error == (400, "malformed")
    assert server.web.send("GET", url).error == (405, "malformed")
