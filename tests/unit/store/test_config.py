"""The ``[store]`` section."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cspd.store.config import StoreConfig


def test_an_empty_section_is_one_file() -> None:
    assert str(StoreConfig().engine_url()) == "sqlite:///store.sqlite"


@pytest.mark.requirement("R-PLAT-115")
def test_a_server_is_verified_unless_somebody_says_otherwise() -> None:
    section = StoreConfig.model_validate({"url": "postgresql://cspd@db.example/cspd", "password": {"env": "PASSWORD"}})
    url = section.engine_url("pa55:w/rd")
    assert url.password == "pa55:w/rd"
    assert dict(url.query) == {"sslmode": "verify-full", "sslrootcert": "system"}
    assert "pa55" not in str(url)


def test_the_servers_issuers_may_be_given() -> None:
    section = StoreConfig.model_validate(
        {"url": "postgresql://cspd@db.example/cspd", "tls": {"mode": "verify-ca", "ca_file": "db.pem"}}
    )
    assert dict(section.engine_url().query) == {"sslmode": "verify-ca", "sslrootcert": "db.pem"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"url": "store.sqlite"}, '"sqlite:///path" or "postgresql://user@host:5432/database"'),
        ({"url": "sqlite://"}, '"sqlite:///path" or "postgresql://user@host:5432/database"'),
        ({"url": "mysql://a@b/c"}, '"sqlite:///path" or "postgresql://user@host:5432/database"'),
        ({"url": "postgresql://a:pa55@b/c"}, "the password goes into store.password"),
        ({"password": {"env": "PASSWORD"}}, "password is for postgresql:// only"),
        ({"tls": {}}, "tls is for postgresql:// only"),
        ({"url": "postgresql://a@b/c", "tls": {"mode": "verify-ca"}}, 'mode = "verify-ca" needs ca_file'),
        (
            {"url": "postgresql://a@b/c", "tls": {"mode": "require", "ca_file": "db.pem"}},
            'ca_file has no effect with mode = "require"',
        ),
        ({"readers": 0}, "greater than or equal to 1"),
        ({"pool": 5}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StoreConfig.model_validate(section)
    assert message in str(refused.value)
    assert "pa55" not in str(refused.value)
