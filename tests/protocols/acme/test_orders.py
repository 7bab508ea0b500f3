"""Orders, authorizations and challenges (RFC 8555, 7.4 and 7.5)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from cspd.plugin import PublicAddress
from protocols.acme.challenges.values import ValidationFailed
from protocols.acme.errors import ErrorType
from tests.protocols.acme.client import PUBLIC, Client
from tests.protocols.acme.server import Server
from tests.support.running import result_of


def test_an_order_names_its_authorizations() -> None:
    server = Server()
    client = server.client()
    answer = client.order("WWW.example.com", "*.example.com", "www.example.com")
    order = answer.json
    assert answer.status == 201
    assert order == {
        "status": "pending",
        "expires": "2026-12-01T12:00:00Z",
        "identifiers": [
            {"type": "dns", "value": "www.example.com"},
            {"type": "dns", "value": "*.example.com"},
        ],
        "authorizations": order["authorizations"],
        "finalize": f"{answer.header(b'location')}/finalize",
    }
    plain, wildcard = (client.get(url).json for url in order["authorizations"])
    assert plain["identifier"] == {"type": "dns", "value": "www.example.com"}
    assert "wildcard" not in plain
    assert wildcard["identifier"] == {"type": "dns", "value": "example.com"}
    assert wildcard["wildcard"] is True


@pytest.mark.requirement("R-CEG-105")
def test_wildcards_are_proved_by_dns_only() -> None:
    server = Server()
    client = server.client()
    order = client.order("www.example.com", "*.example.com").json
    plain, wildcard = (client.get(url).json for url in order["authorizations"])
    assert {challenge["type"] for challenge in plain["challenges"]} == {"http-01", "dns-01"}
    assert {challenge["type"] for challenge in wildcard["challenges"]} == {"dns-01"}


def test_each_challenge_has_its_own_token() -> None:
    server = Server()
    client = server.client()
    order = client.order("a.example.com", "b.example.com").json
    tokens = [challenge["token"] for url in order["authorizations"] for challenge in client.get(url).json["challenges"]]
    assert len(set(tokens)) == 4
    assert all(len(token) == 43 for token in tokens)


def test_a_proof_makes_the_order_ready() -> None:
    server = Server()
    client = server.client()
    order = client.order("a.example.com", "b.example.com")
    url = str(order.header(b"location"))
    first, second = order.json["authorizations"]
    client.post(client.challenge(first)["url"], {})
    assert client.get(url).json["status"] == "pending"
    challenge = client.challenge(second)
    client.post(challenge["url"], {})
    assert client.get(url).json["status"] == "ready"
    authorization = client.get(second).json
    assert authorization["status"] == "valid"
    (valid,) = authorization["challenges"]
    assert (valid["status"], valid["validated"]) == ("valid", "2026-11-24T12:00:00Z")
    (_, target) = server.http01.targets
    assert target.key_authorization == f"{challenge['token']}.{client.thumbprint}"


def test_a_challenge_says_that_it_is_processing() -> None:
    server = Server()
    client = server.client()
    server.http01.wait = Deferred()
    authorization = client.order("a.example.com").json["authorizations"][0]
    url = client.challenge(authorization)["url"]

    answer = client.post(url, {})

    assert answer.json["status"] == "processing"
    assert answer.header(b"retry-after") == "1"
    assert answer.header(b"link") == (f'<{authorization}>;rel="up", <{client.base}/directory>;rel="index"')
    assert client.get(authorization).header(b"retry-after") == "1"
    client.post(url, {})
    server.http01.wait.callback(None)
    assert client.get(url).json["status"] == "valid"
    assert len(server.http01.targets) == 1, "asked twice, validated once"


def test_an_answer_to_a_decided_challenge_changes_nothing() -> None:
    server = Server()
    client = server.client()
    authorization = client.order("a.example.com").json["authorizations"][0]
    http01, dns01 = client.challenge(authorization), client.challenge(authorization, "dns-01")
    client.post(http01["url"], {})
    assert client.post(http01["url"], {}).json["status"] == "valid"
    assert client.post(dns01["url"], {}).json["status"] == "pending"
    assert server.dns01.targets == []


@pytest.mark.requirement("R-CEG-107")
def test_a_failed_challenge_ends_the_order() -> None:
    server = Server()
    client = server.client()
    order = client.order("a.example.com", "b.example.com")
    server.http01.failure = ValidationFailed(ErrorType.INCORRECT_RESPONSE, "it redirects")
    client.post(client.challenge(order.json["authorizations"][0])["url"], {})
    after = client.get(str(order.header(b"location"))).json
    assert after["status"] == "invalid"
    assert after["error"]["subproblems"][0]["type"] == "urn:ietf:params:acme:error:incorrectResponse"


def test_an_authorization_is_deactivated_and_takes_the_order_with_it() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client, "a.example.com")
    url = order["authorizations"][0]
    assert client.post(url, {"status": "deactivated"}).json["status"] == "deactivated"
    assert client.post(url, {"status": "deactivated"}).json["status"] == "deactivated"
    assert client.get(order["url"]).json["status"] == "invalid"
    assert client.post(order["finalize"], {"csr": "AAAA"}).error == (403, "orderNotReady")


def test_an_invalid_authorization_is_not_deactivated() -> None:
    server = Server()
    client = server.client()
    url = client.order("a.example.com").json["authorizations"][0]
    server.http01.failure = ValidationFailed(ErrorType.DNS, "no")
    client.post(client.challenge(url)["url"], {})
    assert client.post(url, {"status": "deactivated"}).error == (400, "malformed")


def test_a_proof_that_comes_after_deactivation_changes_nothing() -> None:
    server = Server()
    client = server.client()
    server.http01.wait = Deferred()
    order = client.order("a.example.com")
    url = order.json["authorizations"][0]
    client.post(client.challenge(url)["url"], {})
    client.post(url, {"status": "deactivated"})
    server.http01.wait.callback(None)
    assert client.get(url).json["status"] == "deactivated"
    assert client.get(str(order.header(b"location"))).json["status"] == "invalid"


# Expiry and clean-up


@pytest.mark.requirement("R-CEG-037")
@pytest.mark.requirement("R-CEG-114")
@pytest.mark.parametrize(("setting", "days"), [({}, 7), ({"order_expiry": "p1D"}, 1)])
def test_an_order_that_nobody_finishes_becomes_invalid(setting: dict[str, str], days: int) -> None:
    server = Server(**setting)
    client = server.client()
    pending = str(client.order("a.example.com").header(b"location"))
    ready = server.ready_order(client, "b.example.com")
    server.clock.advance(timedelta(days=days) - timedelta(seconds=1))
    assert client.get(pending).json["status"] == "pending"
    server.clock.advance(timedelta(seconds=1))
    assert client.get(pending).json["status"] == "invalid"
    assert client.get(ready["url"]).json["status"] == "invalid"
    assert client.post(ready["finalize"], {"csr": "AAAA"}).error == (403, "orderNotReady")


def test_a_ready_order_ends_with_the_first_of_its_authorizations() -> None:
    """RFC 8555, 7.1.6: an order becomes invalid when an authorization of it expires."""
    server = Server(authorization_expiry="PT1H")
    client = server.client()
    order = server.ready_order(client, "www.example.com")
    assert order["expires"] == "2026-11-24T13:00:00Z"
    server.clock.advance(timedelta(hours=1))
    assert client.get(order["url"]).json["status"] == "invalid"
    assert client.post(order["finalize"], {"csr": "AAAA"}).error == (403, "orderNotReady")


def test_early_years_have_four_digits() -> None:
    """RFC 3339; a client may ask for any notBefore."""
    order = Server().client().order("www.example.com", notBefore="0001-02-03T04:05:06.7+00:00").json
    assert order["notBefore"] == "0001-02-03T04:05:06Z"


def test_an_expired_authorization_takes_no_proof() -> None:
    server = Server()
    client = server.client()
    url = client.order("a.example.com").json["authorizations"][0]
    challenge = client.challenge(url)
    server.clock.advance(timedelta(days=7))
    assert client.get(url).json["status"] == "expired"
    assert client.post(challenge["url"], {}).error == (400, "malformed")


@pytest.mark.requirement("R-CEG-115")
@pytest.mark.requirement("R-CEG-116")
def test_expired_objects_are_deleted_by_their_jobs() -> None:
    server = Server()
    jobs = {job.name: job.schedule for job in server.service.jobs}
    assert jobs["acme-delete-expired-authorizations"] == "0 0 * * * *"
    assert jobs["acme-delete-expired-orders"] == "0 0 * ? * *"
    client = server.client()
    order = client.order("a.example.com")
    url, authorization = str(order.header(b"location")), order.json["authorizations"][0]
    server.clock.advance(timedelta(days=6))
    for name in jobs:
        server.run_job(name)
    assert client.get(url).status == client.get(authorization).status == 200
    server.clock.advance(timedelta(days=1, seconds=1))
    for name in jobs:
        server.run_job(name)
    assert client.get(url).error == (404, "malformed")
    assert client.get(authorization).error == (404, "malformed")


@pytest.mark.requirement("R-CEG-038")
def test_the_schedules_are_those_of_the_configuration() -> None:
    server = Server(delete_expired_orders="0 0/15 * * * ?", delete_expired_authorizations="5 1 2 * * *")
    jobs = {job.name: job.schedule for job in server.service.jobs}
    assert jobs["acme-delete-expired-authorizations"] == "5 1 2 * * *"
    assert jobs["acme-delete-expired-orders"] == "0 0/15 * * * ?"


# Restarts and nodes


@pytest.mark.requirement("R-CEG-157")
def test_everything_survives_a_restart() -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client, "a.example.com")
    nonce = client.nonce()
    server.restart()
    client.web = server.web
    assert client.post(order["url"], b"", nonce=nonce).json["status"] == "ready"
    assert client.post(order["url"], b"", nonce=nonce).error == (400, "badNonce")


def test_a_validation_that_a_dead_process_began_is_taken_up() -> None:
    server = Server()
    client = server.client()
    server.http01.wait = Deferred()
    order = client.order("a.example.com")
    client.post(client.challenge(order.json["authorizations"][0])["url"], {})

    server.http01.wait = None
    server.restart()  # the first process never finishes
    client.web = server.web
    server.run_job("acme-resume-validations")
    url = str(order.header(b"location"))
    assert client.get(url).json["status"] == "pending", "the lease of the first process lives"
    server.clock.advance(timedelta(seconds=31))
    server.run_job("acme-resume-validations")
    assert client.get(url).json["status"] == "ready"


def test_a_living_validation_keeps_its_lease() -> None:
    server = Server()
    client = server.client()
    server.http01.wait = Deferred()
    order = client.order("a.example.com")
    client.post(client.challenge(order.json["authorizations"][0])["url"], {})
    for _ in range(6):
        server.clock.advance(timedelta(seconds=10))
        server.reactor.advance(10)
    other = server.build(seed=3)

    async def resume() -> None:
        await next(job for job in other.jobs if job.name == "acme-resume-validations").run()

    result_of(resume())
    assert len(server.http01.targets) == 1


def test_a_stopped_process_gives_its_validations_back() -> None:
    server = Server()
    client = server.client()
    server.http01.wait = Deferred()
    order = client.order("a.example.com")
    client.post(client.challenge(order.json["authorizations"][0])["url"], {})

    async def stop() -> None:
        assert server.service.stop is not None
        await server.service.stop()

    result_of(stop())
    server.http01.wait = None
    server.restart()
    client.web = server.web
    assert server.service.start is not None
    server.service.start()
    assert client.get(str(order.header(b"location"))).json["status"] == "ready"


def test_what_is_too_much_at_once_waits_in_the_store() -> None:
    """Orders cost their maker nothing; what they make us hold in memory has a bound."""
    server = Server(max_validations=1)
    client = server.client()
    server.http01.wait = Deferred()
    orders = [client.order("a.example.com") for _ in range(15)]
    for order in orders:
        client.post(client.challenge(order.json["authorizations"][0])["url"], {})

    def ready() -> int:
        return sum(client.get(str(order.header(b"location"))).json["status"] == "ready" for order in orders)

    waiting, server.http01.wait = server.http01.wait, None
    waiting.callback(None)
    assert ready() == 11, "one at work and ten that waited"
    server.run_job("acme-resume-validations")
    assert ready() == 15


def test_a_validator_that_breaks_is_an_internal_error() -> None:
    server = Server()
    client = server.client()
    server.http01.failure = RuntimeError("a bug")
    url = client.order("a.example.com").json["authorizations"][0]
    client.post(client.challenge(url)["url"], {})
    (challenge,) = client.get(url).json["challenges"]
    assert challenge["error"]["type"] == "urn:ietf:params:acme:error:serverInternal"
    assert "bug" not in challenge["error"]["detail"]


@pytest.mark.requirement("R-CEG-118")
@pytest.mark.parametrize(
    "other", ["tenant1/demo~issuing/privatessl-tls-client", "tenant1/demo~other/privatessl-tls-server"]
)
def test_directories_are_apart(other: str) -> None:
    server = Server()
    client = server.client()
    order = server.ready_order(client, "a.example.com")
    elsewhere = Client(server.web, client.key, prefix=f"/acme/{other}")
    assert elsewhere.post("new-account", {"onlyReturnExisting": True}, uses_jwk=True).error == (
        400,
        "accountDoesNotExist",
    )
    elsewhere.register()
    path = order["finalize"].removeprefix(client.base)
    assert elsewhere.post(f"{elsewhere.base}{path}", {"csr": "AAAA"}).error == (404, "malformed")
    elsewhere.kid = client.kid
    assert elsewhere.order("a.example.com").error == (400, "accountDoesNotExist")


def test_a_name_of_one_label_can_be_allowed() -> None:
    server = Server(single_label_names=("LOCALHOST",))
    assert server.client().order("localhost").status == 201


@pytest.mark.requirement("R-CEG-017")
def test_directories_are_listed_with_a_command() -> None:
    url = f"{PUBLIC}/acme/tenant1/{{ca}}/privatessl-tls-server/directory"
    found = [shown.command for shown in Server().service.enrollment_urls if shown.url == url]
    assert found == [
        f"certbot certonly --standalone --agree-tos --register-unsafely-without-email --server {url} -d NAME",
        f"lego --accept-tos --email you@example.com --server {url} --http -d NAME run",
    ]


def test_commands_of_the_demo_name_its_trust_anchor_and_a_name_that_works() -> None:
    public = PublicAddress(http="http://localhost", https=PUBLIC, trust_anchor=Path("/my pki/root.pem"))
    certbot, lego, *_ = (shown.command for shown in Server(public=public, demo=True).service.enrollment_urls)
    assert certbot.startswith("REQUESTS_CA_BUNDLE='/my pki/root.pem' certbot certonly ")
    assert certbot.endswith(" -d localhost")
    assert lego.startswith("LEGO_CA_CERTIFICATES='/my pki/root.pem' lego ")
