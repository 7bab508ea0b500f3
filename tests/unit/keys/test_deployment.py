"""A token cannot be swapped for another below the keys in use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, update

from cspd.keys.config import KeysConfig
from cspd.keys.deployment import Deployment, DeploymentChanged
from cspd.store.tables import authorities, ocsp_responders, organizations
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.running import result_of

TOKEN = {
    "module": "/lib/hsm.so",
    "token_label": "demo",
    "pin": {"file": "hsm.pin"},
    "vendor": "nshield",
    "sessions": 4,
}
SOFTWARE = {"master_key": {"file": "master.key"}}


def hold(database: InlineDatabase, **section: Any) -> None:
    configuration = KeysConfig.model_validate({"software": SOFTWARE, **section})
    result_of(Deployment(configuration, database=database, clock=FrozenClock()).hold())


def add_authority(database: InlineDatabase, key_reference: str | None) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    organization = {"name": "demo", "administrators": [], "created_at": now}
    authority = {
        "id": "1",
        "organization": "demo",
        "ca_id": "root",
        "kind": "root",
        "state": "active",
        "subject_der": b"",
        "key_reference": key_reference,
        "ocsp_enabled": True,
        "profiles": [],
        "administrators": [],
        "auditors": [],
        "record_before_signing": False,
        "created_at": now,
    }
    with database.engine.begin() as connection:
        connection.execute(insert(organizations).values(organization))
        connection.execute(insert(authorities).values(authority))


def test_the_same_token_starts_again() -> None:
    """Module, PIN, sessions and environment are free to change."""
    database = InlineDatabase()
    hold(database, pkcs11={"hsm": TOKEN})
    add_authority(database, "hsm:00")
    hold(database, pkcs11={"hsm": {**TOKEN, "module": "/lib/newer.so", "sessions": 9, "environment": {"A": "1"}}})


@pytest.mark.parametrize("change", [{"vendor": "thales"}, {"token_label": "other"}], ids=str)
def test_another_token_is_refused_while_its_keys_are_in_use(change: dict[str, str]) -> None:
    database = InlineDatabase()
    hold(database, pkcs11={"hsm": TOKEN})
    add_authority(database, "hsm:00")
    with pytest.raises(DeploymentChanged, match=r"\[keys.pkcs11.hsm\] is another token \((vendor|token_label) was"):
        hold(database, pkcs11={"hsm": {**TOKEN, **change}})
    hold(database, pkcs11={"hsm": TOKEN})


@pytest.mark.requirement("R-CA-006")
def test_another_token_is_accepted_while_no_key_is_in_use() -> None:
    database = InlineDatabase()
    hold(database, pkcs11={"hsm": TOKEN})
    add_authority(database, "software:00")
    hold(database, pkcs11={"hsm": {**TOKEN, "vendor": "thales"}})
    with database.engine.begin() as connection:
        connection.execute(update(authorities).values(key_reference="hsm:00"))
    with pytest.raises(DeploymentChanged, match="vendor was 'thales'"):
        hold(database, pkcs11={"hsm": TOKEN})


def test_a_missing_token_is_refused_while_its_keys_are_in_use() -> None:
    database = InlineDatabase()
    add_authority(database, "hsm:00")
    with pytest.raises(DeploymentChanged, match=r"\[keys.pkcs11.hsm\] is missing"):
        hold(database)


def test_a_deleted_authority_binds_nothing() -> None:
    database = InlineDatabase()
    add_authority(database, "hsm:00")
    with database.engine.begin() as connection:
        connection.execute(update(authorities).values(deleted_at=datetime(2026, 1, 2, tzinfo=UTC)))
    hold(database)


def test_an_ocsp_responder_binds_its_token() -> None:
    database = InlineDatabase()
    add_authority(database, None)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    responder = {
        "id": "r",
        "authority_id": "1",
        "issuer_certificate_id": "c",
        "key_reference": "hsm:01",
        "certificate_der": b"",
        "not_before": now,
        "not_after": now,
    }
    with database.engine.begin() as connection:
        connection.execute(insert(ocsp_responders).values(responder))
    with pytest.raises(DeploymentChanged):
        hold(database)
