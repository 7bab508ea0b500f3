"""Where challenges are handed out: requests through the router to responses, and on to certificates."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from twisted.logger import capturedLogs

from cspd.audit.events import AuditEvent
from cspd.authentication.static import StaticUsers
from cspd.authority.values import CAReference, Issued
from cspd.http.message import Request, Response
from cspd.http.router import Router
from cspd.refusals import BadRevocationReason, NotFound, Rejected, Unauthorized, all_refusals
from protocols.scep.admin_page_endpoint import AdminPageEndpoint, AdminPageRules
from protocols.scep.challenge_requests import STATUS, ChallengeRequests
from protocols.scep.interfaces import Place
from protocols.scep.webhook import DeliverySignatures
from protocols.scep.webhook_endpoint import WebhookEndpoint, WebhookRules
from tests.protocols.scep.challenge_office import ISSUING, TERMS, Office
from tests.support.running import result_of

KEY = b"a key that two programs have"
EVENT = json.dumps({"webhook": {"webhookEvent": "SCEPChallenge"}, "event": {"payloadIdentifier": "CDB0BC64"}}).encode()
BASIC = base64.b64encode(b"mdm:pass code").decode()
USERS = StaticUsers("people", {"mdm": b"pass code", "another": b"pass code"})
WEBHOOK = "/scep/main/demo~issuing/tls-client/challenge"
PAGE = "/scep/main/demo~issuing/tls-client/mscep_admin/"


SIGNATURES = DeliverySignatures(key=KEY, tolerance=timedelta(minutes=5))
BOTH_WAYS = WebhookRules(signatures=SIGNATURES, users=USERS, max_usable=3)
ONE_TIME = AdminPageRules(users=USERS)


class Counter:
    """Hands out challenges of an office."""

    def __init__(
        self, *, webhook: WebhookRules | None = BOTH_WAYS, admin_page: AdminPageRules | None = ONE_TIME
    ) -> None:
        self.office = Office()
        house = self.office.house
        requests = ChallengeRequests(places=self, audit=house.audit)
        making = self.office.making(Random(3))
        hook = WebhookEndpoint(
            clock=house.clock, rules={} if webhook is None else {ISSUING: webhook}, requests=requests, making=making
        )
        page = AdminPageEndpoint(
            clock=house.clock,
            rules={} if admin_page is None else {ISSUING: admin_page},
            requests=requests,
            making=making,
            authorities=house.authorities,
        )
        self.router = Router([*hook.routes(), *page.routes()])

    async def find(self, tenant: str, *names: str) -> Place:
        """Implements :class:`protocols.scep.interfaces.Places` for one tenant."""
        if tenant != "main":
            raise NotFound("no such tenant")
        ca, profile = names
        terms = replace(TERMS, ca=CAReference.parse(ca), profile=profile)
        return Place(terms=terms, authorizer=self.office.authorizer())

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_secure: bool = True,
    ) -> Response:
        """What a request is answered."""
        match = self.router.resolve("GET" if method == "HEAD" else method, path)
        request = Request(
            method=method,
            target=path.encode(),
            path=path,
            query="",
            headers=tuple((name.lower().encode(), value.encode()) for name, value in (headers or {}).items()),
            body=body,
            parameters=match.parameters,
            peer="192.0.2.9",
            is_secure=is_secure,
            request_id="r-9",
        )
        return result_of(match.route.handler(request))  # type: ignore[arg-type]  # a coroutine

    def post(self, body: bytes = EVENT, path: str = WEBHOOK, **headers: str) -> Response:
        """Ask by the webhook as Jamf Pro does."""
        return self.request("POST", path, body, {"Authorization": f"Basic {BASIC}", **headers})

    def signed(self, body: bytes = EVENT, path: str = WEBHOOK, **headers: str) -> Response:
        """Ask by the webhook with a signature of now."""
        return self.request("POST", path, body, {**self.signature(body), **headers})

    def signature(self, body: bytes = EVENT) -> dict[str, str]:
        """The headers of a signed delivery."""
        timestamp = str(int(self.office.house.clock.now().timestamp()))
        mac = hmac.new(KEY, timestamp.encode() + b"." + body, "sha256").hexdigest()
        return {"X-Cspd-Timestamp": timestamp, "X-Cspd-Signature": f"sha256={mac}"}

    def get(self, path: str = PAGE, user: str = BASIC, **values: Any) -> Response:
        """Look at the page."""
        return self.request("GET", path, headers={"Authorization": f"Basic {user}"}, **values)

    def page(self, **values: Any) -> str:
        """The text of the page."""
        response = self.get(**values)
        assert response.status == 200
        return response.body.decode("utf-16")

    def events(self) -> list[AuditEvent]:
        """What was audited."""
        return self.office.house.audit.events

    def refusals(self) -> list[AuditEvent]:
        """The audited refusals to hand out a challenge."""
        return [event for event in self.events() if event.event == "scep-challenge-request-refused"]


def challenge_on(page: str) -> str:
    found = re.search(r"enrollment challenge password is: <B> (\w+) </B>", page)
    assert found is not None, page
    return found[1]


@pytest.fixture
def counter() -> Counter:
    return Counter()


def test_a_challenge_of_the_webhook_gives_one_certificate(counter: Counter) -> None:
    for response in (counter.post(), counter.signed()):
        assert response.status == 200
        headers = dict(response.headers)
        assert headers[b"content-type"] == b"text/plain; charset=utf-8"
        assert headers[b"cache-control"] == b"no-store"
        challenge = response.body.decode()
        authorization = counter.office.authorize(challenge)
        assert authorization.identity == "CDB0BC64"
        assert isinstance(counter.office.enroll(counter.office.request(challenge), authorization), Issued)
        with pytest.raises(Unauthorized):
            counter.office.authorize(challenge)


def test_each_challenge_that_was_made_is_audited(counter: Counter) -> None:
    counter.post()
    counter.signed()
    counter.page()
    made = [event for event in counter.events() if event.event == "enrollment-secret-created"]
    assert [event.actor for event in made] == ["scep-webhook:mdm", "scep-webhook:key", "scep-admin-page:mdm"]
    assert [event.fields["identity"] for event in made] == ["CDB0BC64", "CDB0BC64", "mdm"]
    assert {(event.fields["ca"], event.fields["profile"]) for event in made} == {("demo~issuing", "tls-client")}


def test_no_challenge_and_no_password_is_told_to_the_log(counter: Counter) -> None:
    with capturedLogs() as logs:
        challenges = [counter.post().body.decode(), counter.signed().body.decode(), challenge_on(counter.page())]
        counter.post(Authorization="Basic " + base64.b64encode(b"mdm:wrong one").decode())
    told = repr(logs) + repr(counter.events())
    for secret in (*challenges, *(each[16:] for each in challenges[:2]), "wrong one", BASIC):
        assert secret not in told


def test_an_answer_in_json_is_had_by_asking_for_it(counter: Counter) -> None:
    response = counter.post(Accept="application/json")
    answer = json.loads(response.body)
    assert dict(response.headers)[b"content-type"] == b"application/json"
    assert answer["expires_at"] == "2026-11-24T13:00:00Z"
    assert counter.office.authorize(answer["challenge"])


def test_a_delivery_that_comes_again_gets_the_same_challenge(counter: Counter) -> None:
    headers = counter.signature()
    first = counter.request("POST", WEBHOOK, EVENT, headers)
    counter.office.house.clock.advance(timedelta(minutes=4))
    again = counter.request("POST", WEBHOOK, EVENT, headers)
    assert (again.status, again.body) == (200, first.body)
    later = counter.signed()
    assert later.body != first.body


def test_a_delivery_that_comes_again_gets_nothing_once_its_challenge_was_used(counter: Counter) -> None:
    headers = counter.signature()
    challenge = counter.request("POST", WEBHOOK, EVENT, headers).body.decode()
    counter.office.enroll(counter.office.request(challenge), counter.office.authorize(challenge))
    again = counter.request("POST", WEBHOOK, EVENT, headers)
    assert again.status == 409
    assert counter.refusals()[-1].fields["reason"] == (
        "the challenge that this was answered with is used, revoked or locked"
    )


def test_a_delivery_for_another_profile_is_another_one(counter: Counter) -> None:
    headers = counter.signature()
    first = counter.request("POST", WEBHOOK, EVENT, headers)
    other = counter.request("POST", WEBHOOK.replace("tls-client", "tls-server"), EVENT, headers)
    assert other.status == 200
    assert other.body != first.body


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "user name and password are needed"),
        ({"Authorization": "Basic " + base64.b64encode(b"mdm:wrong").decode()}, 401, "unknown user, or wrong password"),
        ({"Authorization": "Basic %"}, 400, "the Authorization header is not HTTP Basic"),
        ({"X-Cspd-Signature": "0" * 64}, 403, "the signature of the delivery is wrong"),
        (
            {"X-Cspd-Signature": "0" * 64, "Authorization": f"Basic {BASIC}"},
            403,
            "the signature of the delivery is wrong",
        ),
    ],
)
def test_who_does_not_show_who_he_is_gets_nothing(
    counter: Counter, headers: dict[str, str], status: int, reason: str
) -> None:
    response = counter.request("POST", WEBHOOK, EVENT, headers)
    assert (response.status, response.body.decode()) == (status, reason + "\n")
    assert (b"www-authenticate" in dict(response.headers)) == (status == 401)
    assert [event.fields["reason"] for event in counter.refusals()] == ([reason] if headers and status != 400 else [])


def test_an_old_delivery_is_refused_and_so_is_a_changed_one(counter: Counter) -> None:
    headers = counter.signature()
    changed = counter.request("POST", WEBHOOK, EVENT + b" ", headers)
    assert changed.status == 403
    counter.office.house.clock.advance(timedelta(minutes=6))
    old = counter.request("POST", WEBHOOK, EVENT, headers)
    assert (old.status, old.body) == (403, b"the timestamp of the delivery is not about now\n")
    assert [event.event for event in counter.events()] == ["scep-challenge-request-refused"] * 2


def test_a_webhook_with_a_key_alone_takes_no_password() -> None:
    counter = Counter(webhook=WebhookRules(signatures=SIGNATURES, signature_header=b"x-hub"))
    assert counter.post().status == 403
    headers = counter.signature()
    assert counter.request("POST", WEBHOOK, EVENT, headers).status == 403
    headers["X-Hub"] = headers.pop("X-Cspd-Signature")
    assert counter.request("POST", WEBHOOK, EVENT, headers).status == 200


def test_a_webhook_with_users_alone_takes_no_signature() -> None:
    counter = Counter(webhook=WebhookRules(users=USERS))
    assert counter.signed().status == 401
    assert counter.post().status == 200


def test_other_events_get_nothing(counter: Counter) -> None:
    assert counter.post(b'{"webhook": {"webhookEvent": "ComputerAdded"}}').status == 400
    assert counter.signed(b"x" * 65537).status == 400
    assert counter.events() == []


def test_who_asks_has_a_limited_number_of_challenges(counter: Counter) -> None:
    assert [counter.post().status for _ in range(4)] == [200, 200, 200, 429]
    assert counter.refusals()[-1].fields["reason"] == "3 secrets that were made wait to be used"
    assert counter.signed().status == 200  # somebody else


@pytest.mark.parametrize("path", [WEBHOOK, PAGE, PAGE[:-1]])
def test_nothing_is_handed_out_without_tls(counter: Counter, path: str) -> None:
    method = "POST" if path == WEBHOOK else "GET"
    headers = {"Authorization": f"Basic {BASIC}"}
    response = counter.request(method, path, EVENT, headers, is_secure=False)
    assert (response.status, response.body) == (403, b"challenges are handed out over TLS only\n")
    assert counter.events() == []
    assert counter.request(method, path, EVENT, headers).status == 200


@pytest.mark.parametrize("path", [WEBHOOK, PAGE])
def test_what_is_not_served_is_not_found(path: str) -> None:
    counter = Counter(webhook=None, admin_page=None)
    method = "POST" if path == WEBHOOK else "GET"
    headers = {"Authorization": f"Basic {BASIC}"}
    for where in (path, path.replace("/main/", "/other/"), path.replace("issuing", "root")):
        assert counter.request(method, where, EVENT, headers).status == 404


def test_a_challenge_of_the_page_gives_one_certificate(counter: Counter) -> None:
    page = counter.page()
    challenge = challenge_on(page)
    assert re.fullmatch("[0-9A-F]{16}", challenge)
    assert "can be used only once and will expire within 60 minutes" in page
    authorization = counter.office.authorize(challenge)
    assert authorization.identity == "mdm"
    assert isinstance(counter.office.enroll(counter.office.request(challenge), authorization), Issued)
    with pytest.raises(Unauthorized):
        counter.office.authorize(challenge)
    assert challenge_on(counter.page()) != challenge


def test_the_page_asks_for_a_password(counter: Counter) -> None:
    response = counter.request("GET", PAGE)
    assert (response.status, dict(response.headers)[b"www-authenticate"]) == (
        401,
        b'Basic realm="cspd SCEP", charset="UTF-8"',
    )
    wrong = counter.get(user=base64.b64encode(b"mdm:wrong").decode())
    assert wrong.status == 401
    assert [event.fields["reason"] for event in counter.refusals()] == ["unknown user, or wrong password"]


def test_a_full_cache_is_a_page_of_its_own(counter: Counter) -> None:
    for _ in range(5):
        challenge_on(counter.page())
    assert "The password cache is full." in counter.page()
    assert counter.refusals()[-1].actor == "scep:mdm"
    challenge_on(counter.page(user=base64.b64encode(b"another:pass code").decode()))
    counter.office.house.clock.advance(timedelta(minutes=60))
    challenge_on(counter.page())


def test_looking_at_the_head_of_the_page_makes_nothing(counter: Counter) -> None:
    response = counter.request("HEAD", PAGE, headers={"Authorization": f"Basic {BASIC}"})
    assert response.status == 405
    assert counter.events() == []


def test_the_page_must_not_be_kept_or_framed(counter: Counter) -> None:
    headers = dict(counter.get().headers)
    assert headers[b"content-type"] == b"text/html; charset=utf-16"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"
    utf_8 = Counter(admin_page=AdminPageRules(users=USERS, encoding="utf-8", digits=32)).get()
    assert dict(utf_8.headers)[b"content-type"] == b"text/html; charset=utf-8"
    assert len(challenge_on(utf_8.body.decode())) == 32


def test_a_reusable_challenge_is_the_same_throughout_its_time() -> None:
    counter = Counter(admin_page=AdminPageRules(users=USERS, reusable=True, max_usable=1))
    page = counter.page()
    challenge = challenge_on(page)
    assert "can be used multiple times and will expire within 120 minutes" in page
    for _ in range(2):
        authorization = counter.office.authorize(challenge)
        assert isinstance(counter.office.enroll(counter.office.request(challenge), authorization), Issued)
    counter.office.house.clock.advance(timedelta(minutes=59))
    again = counter.page()
    assert challenge_on(again) == challenge
    assert "within 61 minutes" in again
    counter.office.house.clock.advance(timedelta(minutes=62))
    assert challenge_on(counter.page()) != challenge
    with pytest.raises(Unauthorized):
        counter.office.authorize(challenge)


REFUSES_CERTIFICATES = {Rejected, BadRevocationReason}
"""Nothing that is asked for here."""


def test_every_refusal_has_a_status() -> None:
    unmapped = {kind for kind in all_refusals() if not any(each in STATUS for each in kind.__mro__)}
    assert {kind for kind in unmapped if not REFUSES_CERTIFICATES.intersection(kind.__mro__)} == set()


def test_without_a_master_key_there_are_no_challenges(counter: Counter) -> None:
    counter.office.secrets._master_key = None
    assert (counter.post().status, counter.get().status) == (409, 409)
