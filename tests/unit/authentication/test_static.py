"""Users of conf, and what is asked to build them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.authentication.assembly import build_password_check
from cspd.authentication.config import AuthenticationConfig
from cspd.authentication.static import StaticUsers
from cspd.authentication.values import Identity
from cspd.config.connectors import find_connector
from cspd.config.secrets import SecretUnavailable
from cspd.config.values import SecretReference
from cspd.refusals import NotFound, Unauthorized, Unavailable
from tests.support.running import result_of

USERS = StaticUsers("devices", {"router-7": "gr\u00fcn".encode()})


def test_the_right_password_is_the_users() -> None:
    assert result_of(USERS.check("router-7", "gr\u00fcn")) == Identity("router-7", "devices")


@pytest.mark.parametrize(
    ("user", "password"),
    [("router-7", "blau"), ("router-7", ""), ("router-7", "\ud800"), ("nobody", "gr\u00fcn"), ("", "")],
)
def test_an_unknown_user_and_a_wrong_password_are_told_the_same(user: str, password: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        result_of(USERS.check(user, password))
    assert refused.value.reason == "unknown user, or wrong password"


def build(section: AuthenticationConfig, secret: Any = lambda reference: b"x") -> Any:
    return build_password_check(
        "devices", section, connector=find_connector, reactor=None, secret=secret, folder=Path()
    )


def test_passwords_are_where_conf_says() -> None:
    section = AuthenticationConfig.model_validate({"users": [{"name": "a", "password": {"env": "A"}}]})
    check = build(section, lambda reference: {SecretReference(env="A"): b"pw"}[reference])
    assert result_of(check.check("a", "pw")).name == "a"


def test_a_secret_that_is_missing_and_an_unknown_connector_are_named() -> None:
    section = AuthenticationConfig.model_validate({"users": [{"name": "a", "password": {"env": "A"}}]})

    def missing(reference: SecretReference) -> bytes:
        raise SecretUnavailable("the environment variable A is not set")

    with pytest.raises(Unavailable, match="variable A is not set"):
        build(section, missing)
    with pytest.raises(NotFound, match='there is no password-check "oracle"'):
        build(AuthenticationConfig(kind="oracle"))


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"users": [{"name": "a", "password": {"env": "A"}}] * 2},
        {"kind": "ldap", "users": [{"name": "a", "password": {"env": "A"}}]},
        {"users": [{"name": "a", "password": {"env": "A"}}], "settings": {"a": 1}},
        {"users": [{"name": "a", "password": "secret"}]},
    ],
    ids=["nobody", "twice", "users of a connector", "settings of static", "a password in conf"],
)
def test_sections_that_mean_nothing_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AuthenticationConfig.model_validate(section)
