"""Accounts (RFC 8555, 7.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.protocols.acme.client import PUBLIC, Answer, Client, algorithm_of, jwk_of, jws
from tests.protocols.acme.server import Server

NEW = ec.generate_private_key(ec.SECP384R1())


def test_a_key_has_one_account() -> None:
    server = Server()
    client = Client(server.web)
    first = client.register(contact=["mailto:a@example.org"])
    second = client.register(contact=["mailto:other@example.org"])
    assert (first.status, second.status) == (201, 200)
    assert first.header(b"location") == second.header(b"location") == client.kid
    assert second.json == {"status": "valid", "contact": ["mailto:a@example.org"]}


def test_an_existing_account_is_found() -> None:
    server = Server()
    client = server.client()
    found = client.post("new-account", {"onlyReturnExisting": True}, uses_jwk=True)
    assert (found.status, found.header(b"location")) == (200, client.kid)


def test_contacts_are_replaced_and_removed() -> None:
    server = Server()
    client = Client(server.web)
    client.register(contact=["mailto:a@example.org"])
    updated = client.post(str(client.kid), {"contact": ["mailto:b@example.org"], "orders": "ignored"})
    assert updated.json["contact"] == ["mailto:b@example.org"]
    assert client.post(str(client.kid), {"contact": []}).json["contact"] == []
    assert client.get(str(client.kid)).json == {"status": "valid", "contact": []}


def test_deactivation_ends_what_was_under_way() -> None:
    server = Server()
    client = server.client()
    pending = client.order("a.example.com")
    ready = server.ready_order(client, "b.example.com")
    client.post(str(client.kid), {"status": "deactivated"})
    assert client.get(str(client.kid)).error == (401, "unauthorized")
    assert client.post("new-account", {}, uses_jwk=True).error == (401, "unauthorized")
    rows = _statuses(server)
    assert rows == {"acme_orders": {"invalid"}, "acme_authorizations": {"deactivated"}}
    assert pending.status == 201
    assert ready["status"] == "ready"


def _statuses(server: Server) -> dict[str, set[str]]:
    from sqlalchemy import text

    with server.database.engine.connect() as connection:
        return {
            table: set(connection.scalars(text(f"SELECT status FROM {table}")))
            for table in ("acme_orders", "acme_authorizations")
        }


def test_the_audit_log_tells_of_accounts() -> None:
    server = Server()
    client = server.client()
    client.post(str(client.kid), {"contact": ["mailto:b@example.org"]})
    _change_key(client, NEW)
    client.key = NEW
    client.post(str(client.kid), {"status": "deactivated"})
    assert [event.event for event in server.audit.events] == [
        "acme-account-created",
        "acme-account-updated",
        "acme-account-key-changed",
        "acme-account-deactivated",
    ]
    assert {event.actor for event in server.audit.events} == {f"acme:{client.kid}"}


# Key change (7.3.5)


def _change_key(client: Client, new: Any, *, inner_key: Any = None, **change: Any) -> Answer:
    url = f"{client.base}/key-change"
    header = {"alg": algorithm_of(new), "url": url, "jwk": jwk_of(new)}
    payload = {"account": client.kid, "oldKey": jwk_of(client.key)}
    header |= {name: value for name, value in change.items() if name not in ("account", "oldKey")}
    payload |= {name: value for name, value in change.items() if name in ("account", "oldKey")}
    header = {name: value for name, value in header.items() if value is not None}
    payload = {name: value for name, value in payload.items() if value is not None}
    return client.post(url, jws(inner_key or new, header, json.dumps(payload).encode()))


def test_an_account_moves_to_another_key() -> None:
    server = Server()
    client = server.client()
    old = client.key
    order = client.order("a.example.com").header(b"location")

    assert _change_key(client, NEW).status == 200

    client.key = NEW
    assert client.get(str(order)).status == 200
    assert client.post("new-account", {"onlyReturnExisting": True}, uses_jwk=True).header(b"location") == client.kid
    client.key = old
    assert client.get(str(order)).error == (400, "malformed")
    assert client.post("new-account", {"onlyReturnExisting": True}, uses_jwk=True).error == (400, "accountDoesNotExist")


def test_a_key_with_an_account_is_no_new_key() -> None:
    server = Server()
    other = server.client(NEW)
    client = server.client()
    answer = _change_key(client, NEW)
    assert answer.error == (409, "malformed")
    assert answer.header(b"location") == other.kid


@pytest.mark.parametrize(
    "change",
    [
        {"account": f"{PUBLIC}/acme/tenant1/demo~issuing/privatessl-tls-server/account/other"},
        {"account": None},
        {"oldKey": None},
        {"oldKey": jwk_of(NEW)},
        {"oldKey": "key"},
        {"url": f"{PUBLIC}/elsewhere"},
        {"url": None},
        {"nonce": "AAAA"},
        {"jwk": None},
        {"jwk": None, "kid": "x"},
        {"inner_key": ec.generate_private_key(ec.SECP384R1())},
    ],
)
def test_a_wrong_inner_jws_is_refused(change: dict[str, Any]) -> None:
    server = Server()
    client = server.client()
    assert _change_key(client, NEW, **change).error == (400, "malformed")
    assert client.get(str(client.kid)).status == 200, "the old key still holds"


def test_a_key_change_is_not_signed_by_a_bare_key() -> None:
    server = Server()
    client = server.client()
    assert client.post("key-change", {}, uses_jwk=True).error == (400, "malformed")


def test_a_weak_key_gets_no_account() -> None:
    """Whoever finds the private half has the account and all that it proved."""
    server = Server()
    weak = rsa.generate_private_key(3, 2048)
    assert Client(server.web, weak).register().error == (400, "badPublicKey")
    client = server.client()
    assert _change_key(client, weak).error == (400, "badPublicKey")
    assert client.get(str(client.kid)).status == 200, "the old key still holds"
