"""Two nodes of the timestamping authority on one PostgreSQL, and the database going away under them."""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults

from cspd.clock import SystemClock
from cspd.refusals import Unavailable
from cspd.store import schema
from cspd.store.database import ThreadedDatabase, open_database
from protocols.tsp.gen_times import StoredGenTimes
from protocols.tsp.interfaces import LoggedToken
from protocols.tsp.serials import StoredSerialNumbers
from protocols.tsp.timestamp_log import StoredTimestampLog
from protocols.tsp.timestamp_log_export import json_lines, verify_json_lines
from protocols.tsp.timestamp_records import TimestampRecords
from tests.support.clocks import FrozenClock
from tests.support.postgresql import PostgreSQLServer, postgresql, postgresql_server
from tests.support.processes import wait_until
from tests.support.records import MOMENT
from tests.support.threads import CallQueue

pytestmark = pytest.mark.interop
__all__ = ["postgresql", "postgresql_server"]  # fixtures

SPAN = timedelta(minutes=10)
"""Larger than any wait of a slow machine."""


@pytest.fixture
def calls() -> CallQueue:
    return CallQueue()


@pytest.fixture
def nodes(postgresql: str, calls: CallQueue) -> Iterator[list[ThreadedDatabase]]:
    schema.upgrade(postgresql)
    nodes = [open_database(postgresql, reactor=calls) for _ in range(2)]
    for node in nodes:
        node.start()
    yield nodes
    for node in nodes:
        calls.result_of(node.stop())


def together(*works: Coroutine[Any, Any, Any]) -> Deferred[list[Any]]:
    return gatherResults([Deferred.fromCoroutine(work) for work in works], consumeErrors=True)


def token(number: int) -> LoggedToken:
    return LoggedToken(
        issuer="qualified",
        serial_number=(1 << 159) + number,
        gen_time=MOMENT + timedelta(seconds=number),
        token_sha256=hashlib.sha256(bytes([number])).digest(),
    )


@pytest.mark.requirement("R-TSA-028")
def test_two_nodes_whose_clocks_stand_still_share_the_numbers(nodes: list[ThreadedDatabase], calls: CallQueue) -> None:
    slots = [StoredSerialNumbers(node, FrozenClock(), bytes, block_size=8) for node in nodes * 2]
    given = calls.result_of(together(*(slot.next(octets) for _ in range(100) for slot in slots for octets in (8, 20))))
    assert len(set(given)) == len(given) == 800


@pytest.mark.requirement("R-TSA-027")
def test_ten_thousand_concurrent_callers_of_two_nodes_get_times_in_their_order(
    nodes: list[ThreadedDatabase], calls: CallQueue
) -> None:
    slots = [StoredGenTimes(node, SystemClock(), tolerance=SPAN) for node in nodes]
    given = calls.result_of(
        together(*(slots[number % 2].next("a", SystemClock().now()) for number in range(10_000))), seconds=120
    )
    assert len(set(given)) == 10_000
    for node in range(2):
        assert given[node::2] == sorted(given[node::2])
    assert calls.result_of(slots[0].next("a", SystemClock().now())) > max(given)


def test_issuers_are_locked_in_one_order_so_that_nodes_do_not_block_each_other(
    nodes: list[ThreadedDatabase], calls: CallQueue
) -> None:
    """A deadlock costs PostgreSQL a second before it is noticed, and both nodes a second run."""
    slots = [StoredGenTimes(node, SystemClock(), tolerance=SPAN) for node in nodes]
    issuers = ["a", "b", "c", "d"]

    async def callers(slot: StoredGenTimes, names: list[str]) -> dict[str, list[datetime]]:
        given: dict[str, list[datetime]] = {name: [] for name in names}
        for _ in range(40):
            times = await together(*(slot.next(name, SystemClock().now()) for name in names))
            for name, time in zip(names, times, strict=True):
                given[name].append(time)
        return given

    first, second = calls.result_of(together(callers(slots[0], issuers), callers(slots[1], issuers[::-1])))
    for name in issuers:
        assert first[name] == sorted(first[name])
        assert second[name] == sorted(second[name])
        assert len({*first[name], *second[name]}) == 80
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert calls.result_of(nodes[0].read(lambda c: c.exec_driver_sql(deadlocks).scalar_one())) == 0


def test_two_processes_of_one_name_append_to_one_chain(nodes: list[ThreadedDatabase], calls: CallQueue) -> None:
    logs = [StoredTimestampLog(node, "node-1") for node in nodes]
    calls.result_of(together(*(logs[number % 2].append(token(number)) for number in range(1, 201))))
    records = TimestampRecords(nodes[0])
    report = calls.result_of(records.verify())
    assert (report.breaks, report.tokens) == ((), 200)
    assert [entry.token for entry in calls.result_of(records.find(token(7).serial_number))] == [token(7)]


def test_the_log_is_exported_and_pruned(nodes: list[ThreadedDatabase], calls: CallQueue) -> None:
    logs = [StoredTimestampLog(node, f"node-{number}") for number, node in enumerate(nodes)]
    for number in range(1, 41):
        calls.result_of(together(*(log.append(token(number)) for log in logs)))
    records = TimestampRecords(nodes[0])
    heads = calls.result_of(records.verify()).heads

    async def export() -> list[str]:
        return [line async for line in json_lines(records)]

    assert verify_json_lines(calls.result_of(export()), known_heads=heads).tokens == 80
    removed = calls.result_of(records.prune(token(21).gen_time))
    assert {chain: head.sequence for chain, head in removed.items()} == {"node-0": 20, "node-1": 20}
    report = calls.result_of(records.verify(known_heads=heads))
    assert (report.breaks, report.tokens) == ((), 40)
    exported = verify_json_lines(calls.result_of(export()), known_heads=heads)
    assert (exported.breaks, exported.tokens) == ((), 40)


def test_the_reserve_of_numbers_outlives_the_database_and_all_recovers_by_itself() -> None:
    server, calls = PostgreSQLServer(), CallQueue()
    try:
        server.start()
        schema.upgrade(server.url())
        database = open_database(server.url(), reactor=calls)
        database.start()
        serials = StoredSerialNumbers(database, SystemClock(), bytes, block_size=64)
        times = StoredGenTimes(database, SystemClock(), tolerance=SPAN)
        calls.result_of(serials.start())
        before = calls.result_of(times.next("a", SystemClock().now()))
        server.kill()
        given = [calls.result_of(serials.next(8)) for _ in range(64)]
        for work in (serials.next(8), times.next("a", SystemClock().now())):
            with pytest.raises(Unavailable):
                calls.result_of(work)
        server.start()

        def works() -> bool:
            try:
                given.append(calls.result_of(serials.next(8)))
            except Unavailable:
                return False
            return True

        wait_until(works, what="the store")
        assert len(set(given)) == len(given) == 65
        assert calls.result_of(times.next("a", SystemClock().now())) > before
        calls.result_of(database.stop())
    finally:
        server.remove()
