"""What conf says of challenges, and what is built of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from cspd.authentication.static import StaticUsers
from cspd.config.secrets import SecretUnavailable
from cspd.config.values import SecretReference
from cspd.http.router import Router
from cspd.plugin import Services
from cspd.refusals import NotFound, Refused, Unavailable
from protocols.scep.challenge_assembly import challenge_routes
from protocols.scep.challenge_config import ChallengeSettings, challenge_authorizer
from protocols.scep.challenges import STATIC_IDENTITY
from tests.protocols.scep.challenge_office import ISSUING, Office
from tests.support.running import result_of

KEY = {"env": "WEBHOOK_KEY"}


def settings(**values: Any) -> ChallengeSettings:
    return ChallengeSettings.model_validate(values)


def secret(values: Mapping[str, bytes]) -> Callable[[SecretReference], bytes]:
    def resolve(reference: SecretReference) -> bytes:
        assert reference.env is not None
        if reference.env not in values:
            raise SecretUnavailable(f"the environment variable {reference.env} is not set")
        return values[reference.env]

    return resolve


def services(values: Mapping[str, bytes]) -> Services:
    office = Office()
    return cast(
        Services,
        SimpleNamespace(
            clock=office.house.clock,
            random=Random(1),
            database=office.house.database,
            authorities=office.house.authorities,
            audit=office.house.audit,
            enrollment_secrets=office.secrets,
            secret=secret(values),
            password_checks={"mdm": StaticUsers("mdm", {"mdm": b"pass code"})},
        ),
    )


def test_a_service_is_safe_unless_it_is_told_otherwise() -> None:
    rules = settings().rules(secret({}))
    assert (rules.static, rules.insecure, rules.one_time) == (None, False, True)


def test_the_static_challenge_is_a_reference() -> None:
    with pytest.raises(ValidationError):
        settings(challenge="in clear")
    office = Office()
    authorizer = challenge_authorizer(
        settings(challenge={"env": "CHALLENGE"}),
        secret=secret({"CHALLENGE": b"from the environment"}),
        secrets=office.secrets,
        audit=office.house.audit,
    )
    authorization = result_of(authorizer.authorize(office.request("from the environment")))
    assert authorization.identity == STATIC_IDENTITY


def test_a_challenge_that_is_not_there_prevents_the_start() -> None:
    with pytest.raises(Unavailable, match="challenge: the environment variable CHALLENGE is not set"):
        settings(challenge={"env": "CHALLENGE"}).rules(secret({}))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"one_time_challenges": False}, "nobody can enroll"),
        ({"one_time_challenges": False, "challenge": KEY, "webhook": {"key": KEY}}, "hand them out"),
        ({"one_time_challenges": False, "insecure": True, "mscep_admin": {"users": ["mdm"]}}, "hand them out"),
        ({"webhook": {}}, "key, users, or both"),
        ({"webhook": {"key": KEY, "lifetime": "9m"}}, "at least twice the tolerance"),
        ({"webhook": {"key": KEY, "signature_header": "X Y"}}, "signature_header"),
        ({"mscep_admin": {}}, "users"),
        ({"mscep_admin": {"users": []}}, "users"),
        ({"mscep_admin": {"users": ["mdm"], "digits": 8}}, "digits"),
        ({"mscep_admin": {"users": ["mdm"], "encoding": "latin-1"}}, "encoding"),
        ({"mscep_admin": {"users": ["mdm"], "max_outstanding": 0}}, "max_outstanding"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        settings(**values)


def test_a_webhook_of_users_may_have_short_lived_challenges() -> None:
    webhook = settings(webhook={"users": ["mdm"], "lifetime": "1m"}).webhook
    assert webhook is not None
    assert webhook.lifetime == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, []),
        ({"insecure": True}, ["anybody gets a certificate, for any name that the profile allows"]),
        (
            {"insecure": True, "challenge": KEY},
            ["whoever sends no challenge is let in, for any name that the profile allows"],
        ),
    ],
)
def test_what_is_insecure_is_warned_of(values: dict[str, Any], what: list[str]) -> None:
    warnings = list(settings(**values).challenge_warnings(("services", 0)))
    assert [each.what for each in warnings] == what
    assert all(each.key == ("services", 0, "insecure") for each in warnings)


@pytest.mark.parametrize(
    ("values", "problems", "warnings"),
    [
        ({"CHALLENGE": b"eleven char", "WEBHOOK_KEY": b"k" * 15}, [("webhook", "key")], [("challenge",)]),
        ({"CHALLENGE": b"twelve chars", "WEBHOOK_KEY": b"k" * 16}, [], []),
        ({}, [], []),
    ],
)
def test_short_secrets_are_told(
    values: dict[str, bytes], problems: list[tuple[str, ...]], warnings: list[tuple[str, ...]]
) -> None:
    section = settings(challenge={"env": "CHALLENGE"}, webhook={"key": KEY})
    found = section.inspect_challenge_secrets(("services", 0), secret(values))
    assert [each.key[2:] for each in found.problems] == problems
    assert [each.key[2:] for each in found.warnings] == warnings
    assert all("eleven" not in str(each) for each in found.warnings)
    assert list(settings().inspect_challenge_secrets(("services", 0), secret(values)).warnings) == []


def test_the_routes_of_a_service_are_its_webhook_and_its_page() -> None:
    built = challenge_routes(
        {ISSUING: settings(webhook={"key": KEY, "users": ["mdm"]}, mscep_admin={"users": ["mdm"]})},
        places=cast(Any, None),
        services=services({"WEBHOOK_KEY": b"k" * 16}),
    )
    router = Router(built)
    assert router.resolve("POST", "/scep/main/demo~issuing/tls-client/challenge")
    assert router.resolve("GET", "/scep/main/demo~issuing/tls-client/mscep_admin")
    assert router.resolve("GET", "/scep/main/demo~issuing/tls-client/mscep_admin/")


@pytest.mark.parametrize(
    ("values", "key", "what", "kind"),
    [
        ({"webhook": {"key": KEY}}, b"", "webhook: key: the environment variable WEBHOOK_KEY is not set", Unavailable),
        ({"webhook": {"key": KEY}}, b"k" * 15, "webhook: key: it has 15 bytes and needs 16", Unavailable),
        ({"webhook": {"users": ["no"]}}, b"", r"webhook: users: there is no \[authentication.no\]", NotFound),
        ({"mscep_admin": {"users": ["no"]}}, b"", r"mscep_admin: users: there is no \[authentication.no\]", NotFound),
    ],
)
def test_what_cannot_be_built_says_why(values: dict[str, Any], key: bytes, what: str, kind: type[Refused]) -> None:
    with pytest.raises(kind, match=f"^{what}$"):
        challenge_routes(
            {ISSUING: settings(**values)},
            places=cast(Any, None),
            services=services({"WEBHOOK_KEY": key} if key else {}),
        )
