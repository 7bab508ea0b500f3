"""The bytes that are hashed, and what a check of the chain says."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select, update

from cspd.audit.chain import START, HashChain, canonical_json
from cspd.audit.events import AuditEvent, Outcome
from cspd.audit.verification import BREAK_LIMIT, BreakKind, Head, verify
from cspd.store.tables import audit_events
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.running import result_of


@pytest.fixture
def database() -> InlineDatabase:
    return InlineDatabase()


def record(database: InlineDatabase, chain: str = "node-1", *, times: int = 1) -> None:
    log = HashChain(database, FrozenClock(), chain)
    for _ in range(times):
        result_of(log.record(AuditEvent(event="ca-created", actor="cspctl:root")))


def test_the_hash_can_be_computed_by_anybody(database: InlineDatabase) -> None:
    """The example of the documentation: an auditor needs no code of ours."""
    event = AuditEvent(
        event="certificate-issued",
        actor="acme:https://ca.example/acct/1",
        outcome=Outcome.REFUSED,
        fields={"serial": "0a", "ca": "demo~größe", "renewed": False, "note": None},
    )
    result_of(HashChain(database, FrozenClock(), "node-1").record(event))
    row = result_of(database.read(lambda connection: connection.execute(select(audit_events)).one()))
    assert row.fields == r'{"ca":"demo~gr\u00f6\u00dfe","note":null,"renewed":false,"serial":"0a"}'
    assert row.previous_hash == START
    hashed = (
        '["node-1",1,"2026-11-24T12:00:00.000000+00:00","certificate-issued","acme:https://ca.example/acct/1","refused",'
        r'"{\"ca\":\"demo~gr\\u00f6\\u00dfe\",\"note\":null,\"renewed\":false,\"serial\":\"0a\"}",'
        f'"{START}"]'
    )
    assert row.hash == hashlib.sha256(hashed.encode("ascii")).hexdigest()


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1}) == '{"a":2,"b":1}'


def test_each_chain_is_checked_by_itself(database: InlineDatabase) -> None:
    record(database, "node-1", times=2)
    record(database, "node-2", times=3)
    result_of(
        database.write(
            lambda c: c.execute(update(audit_events).where(audit_events.c.chain == "node-2").values(event="x"))
        )
    )
    assert result_of(database.read(lambda connection: verify(connection, "node-1"))).is_sound
    report = result_of(database.read(verify))
    assert {found.chain for found in report.breaks} == {"node-2"}
    assert {name: head.sequence for name, head in report.heads.items()} == {"node-1": 2, "node-2": 3}


def test_two_events_that_changed_places_show(database: InlineDatabase) -> None:
    record(database, times=4)
    moves = ((2, 99), (3, 2), (99, 3))
    for old, new in moves:
        result_of(
            database.write(
                lambda c, old=old, new=new: c.execute(
                    update(audit_events).where(audit_events.c.sequence == old).values(sequence=new)
                )
            )
        )
    report = result_of(database.read(verify))
    assert {2, 3} <= {found.sequence for found in report.breaks}


@pytest.mark.parametrize("known", [Head(2, "f" * 64), Head(9, "f" * 64)], ids=["rewritten", "truncated"])
def test_a_chain_that_is_not_the_published_one_shows(database: InlineDatabase, known: Head) -> None:
    record(database, times=3)
    assert result_of(database.read(verify)).is_sound
    report = result_of(database.read(lambda connection: verify(connection, known_heads={"node-1": known})))
    assert [found.sequence for found in report.breaks] == [known.sequence]


def test_a_chain_that_vanished_shows_against_its_published_head(database: InlineDatabase) -> None:
    record(database, "node-2")
    report = result_of(database.read(lambda connection: verify(connection, known_heads={"node-1": Head(5, "a" * 64)})))
    assert [(found.chain, found.kind) for found in report.breaks] == [("node-1", BreakKind.MISSING)]


def test_a_report_is_bounded(database: InlineDatabase) -> None:
    record(database, times=BREAK_LIMIT + 10)
    result_of(database.write(lambda connection: connection.execute(update(audit_events).values(actor="x"))))
    assert len(result_of(database.read(verify)).breaks) == BREAK_LIMIT
