"""The log of tokens: written in batches, chained, checked, exported, pruned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, select, update
from twisted.internet.defer import Deferred

from cspd.refusals import Conflict, Malformed, Unavailable
from cspd.store.interfaces import Database
from protocols.tsp import timestamp_records
from protocols.tsp.interfaces import LoggedToken
from protocols.tsp.tables import tsp_log_chains, tsp_logged_tokens
from protocols.tsp.timestamp_log import Head, StoredTimestampLog
from protocols.tsp.timestamp_log_export import csv_lines, json_lines, verify_csv, verify_json_lines
from protocols.tsp.timestamp_log_verification import BreakKind
from protocols.tsp.timestamp_records import TimestampRecords
from tests.protocols.tsp.held_database import HeldDatabase, as_coroutine
from tests.support.databases import InlineDatabase
from tests.support.records import MOMENT
from tests.support.running import result_of

ROWS = tsp_logged_tokens.c


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timestamp_records, "PAGE", 3)


@pytest.fixture
def database() -> InlineDatabase:
    return InlineDatabase()


def token(number: int) -> LoggedToken:
    return LoggedToken(
        issuer="qualified",
        serial_number=(1 << 62) + number,
        gen_time=MOMENT + timedelta(seconds=number),
        token_sha256=hashlib.sha256(bytes([number])).digest(),
    )


def append(database: Database, numbers: range, chain: str = "node-1") -> None:
    log = StoredTimestampLog(database, chain)
    for number in numbers:
        result_of(log.append(token(number)))


def change(database: InlineDatabase, work: Callable[[Connection], object]) -> None:
    result_of(database.write(work))


async def listed(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines]


def exported(database: InlineDatabase) -> list[str]:
    return result_of(listed(json_lines(TimestampRecords(database))))


def breaks(database: InlineDatabase, **options: dict[str, Head]) -> list[tuple[int, BreakKind]]:
    report = result_of(TimestampRecords(database).verify(**options))
    return [(each.sequence, each.kind) for each in report.breaks]


def test_an_empty_log_is_sound(database: InlineDatabase) -> None:
    report = result_of(TimestampRecords(database).verify())
    assert (report.is_sound, report.tokens, report.heads) == (True, 0, {})


def test_what_was_appended_is_chained_found_and_sound(database: InlineDatabase) -> None:
    append(database, range(1, 8))
    records = TimestampRecords(database)
    report = result_of(records.verify())
    assert (report.is_sound, report.tokens, report.heads["node-1"].sequence) == (True, 7, 7)
    (entry,) = result_of(records.find((1 << 62) + 5))
    assert (entry.chain, entry.sequence, entry.token) == ("node-1", 5, token(5))
    assert result_of(records.find(5)) == []


def test_the_hash_is_what_the_docs_say(database: InlineDatabase) -> None:
    append(database, range(1, 2))
    (entry,) = result_of(TimestampRecords(database).find((1 << 62) + 1))
    text = (
        '["node-1",1,"qualified","4000000000000001","2026-11-24T12:00:01.123456+00:00",'
        f'"{hashlib.sha256(bytes([1])).hexdigest()}","{"0" * 64}"]'
    )
    assert entry.hash == hashlib.sha256(text.encode()).digest()


def test_concurrent_callers_share_one_write_and_hear_when_it_is_durable() -> None:
    database = HeldDatabase(InlineDatabase())
    log = StoredTimestampLog(database, "node-1")
    callers = [Deferred.fromCoroutine(log.append(token(number))) for number in range(1, 65)]
    database.release()
    assert [caller.called for caller in callers] == [True] + [False] * 63
    assert len(database.held) == 1
    draining = Deferred.fromCoroutine(log.drain())
    database.release()
    assert all(caller.called for caller in callers)
    result_of(as_coroutine(draining))
    report = result_of(TimestampRecords(database).verify())
    assert (report.is_sound, report.tokens) == (True, 64)


def test_a_store_that_is_away_leaves_no_gap() -> None:
    database = HeldDatabase(InlineDatabase())
    log = StoredTimestampLog(database, "node-1")
    database.is_away = True
    with pytest.raises(Unavailable):
        result_of(log.append(token(1)))
    database.is_away = False
    waiting = Deferred.fromCoroutine(log.append(token(2)))
    database.release()
    result_of(as_coroutine(waiting))
    report = result_of(TimestampRecords(database).verify())
    assert (report.is_sound, report.heads["node-1"].sequence) == (True, 1)


def test_processes_of_one_name_continue_one_chain_and_others_have_their_own(database: InlineDatabase) -> None:
    for start in range(1, 9, 2):
        append(database, range(start, start + 1))
        append(database, range(start, start + 1), chain="node-2")
        append(database, range(start + 1, start + 2))
    report = result_of(TimestampRecords(database).verify())
    assert report.is_sound
    assert {chain: head.sequence for chain, head in report.heads.items()} == {"node-1": 8, "node-2": 4}


TAMPERING = {
    "another issuer": (lambda c: c.execute(update(tsp_logged_tokens).where(ROWS.sequence == 5).values(issuer="x")), 5),
    "another serial": (
        lambda c: c.execute(update(tsp_logged_tokens).where(ROWS.sequence == 5).values(serial_number=1)),
        5,
    ),
    "another time": (
        lambda c: c.execute(
            update(tsp_logged_tokens).where(ROWS.sequence == 5).values(gen_time=MOMENT + timedelta(microseconds=1))
        ),
        5,
    ),
    "another token": (
        lambda c: c.execute(update(tsp_logged_tokens).where(ROWS.sequence == 5).values(token_sha256=bytes(32))),
        5,
    ),
    "the first row": (lambda c: c.execute(update(tsp_logged_tokens).where(ROWS.sequence == 1).values(issuer="x")), 1),
    "the last row": (lambda c: c.execute(update(tsp_logged_tokens).where(ROWS.sequence == 8).values(issuer="x")), 8),
    "another hash": (lambda c: c.execute(update(tsp_logged_tokens).where(ROWS.sequence == 5).values(hash=b"x")), 5),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_a_changed_row_is_named(database: InlineDatabase, name: str) -> None:
    append(database, range(1, 9))
    tamper, place = TAMPERING[name]
    change(database, tamper)
    assert breaks(database) == [(place, BreakKind.CHANGED)]


@pytest.mark.parametrize("gone", [1, 2, 3, 4, 7])
def test_a_missing_row_is_named_by_the_one_after_it(database: InlineDatabase, gone: int) -> None:
    append(database, range(1, 9))
    change(database, lambda c: c.execute(delete(tsp_logged_tokens).where(ROWS.sequence == gone)))
    assert breaks(database) == [(gone + 1, BreakKind.MISSING)]


@pytest.mark.parametrize("last", [0, 5, 6, 7])
def test_rows_missing_at_the_end_are_named(database: InlineDatabase, last: int) -> None:
    append(database, range(1, 9))
    change(database, lambda c: c.execute(delete(tsp_logged_tokens).where(ROWS.sequence > last)))
    assert breaks(database) == [(8, BreakKind.MISSING)]


def test_rows_that_changed_places_are_named(database: InlineDatabase) -> None:
    append(database, range(1, 9))

    def swap(connection: Connection) -> None:
        for old, new in ((4, 99), (5, 4), (99, 5)):
            connection.execute(update(tsp_logged_tokens).where(ROWS.sequence == old).values(sequence=new))

    change(database, swap)
    assert breaks(database) == [(4, BreakKind.CHANGED)]


def test_a_row_written_anew_with_its_hash_is_named_by_the_one_after_it(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    other = InlineDatabase()
    append(other, range(1, 4))
    append(other, range(100, 101))
    (forged,) = result_of(TimestampRecords(other).find((1 << 62) + 100))

    def forge(connection: Connection) -> None:
        connection.execute(
            update(tsp_logged_tokens)
            .where(ROWS.sequence == 4)
            .values(
                serial_number=forged.token.serial_number,
                gen_time=forged.token.gen_time,
                token_sha256=forged.token.token_sha256,
                hash=forged.hash,
            )
        )

    change(database, forge)
    assert breaks(database) == [(5, BreakKind.UNLINKED)]


def test_a_chain_whose_end_was_forgotten_is_not_sound(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    change(database, lambda c: c.execute(delete(tsp_log_chains)))
    assert breaks(database) == [(0, BreakKind.UNLINKED)]


def test_a_row_added_behind_the_end_is_named(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    end = result_of(TimestampRecords(database).verify()).heads["node-1"]
    append(database, range(9, 10))
    change(database, lambda c: c.execute(update(tsp_log_chains).values(sequence=end.sequence, hash=end.hash)))
    assert breaks(database) == [(8, BreakKind.UNLINKED)]


def test_a_chain_computed_anew_shows_against_a_head_that_was_published(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    published = dict(result_of(TimestampRecords(database).verify()).heads)
    append(database, range(9, 12))
    assert breaks(database, known_heads=published) == []
    forged = InlineDatabase()
    append(forged, range(2, 20))
    assert breaks(forged) == []
    assert breaks(forged, known_heads=published) == [(8, BreakKind.CHANGED)]
    shorter = InlineDatabase()
    append(shorter, range(1, 5))
    assert breaks(shorter, known_heads=published) == [(8, BreakKind.MISSING)]
    assert breaks(InlineDatabase(), known_heads=published) == [(8, BreakKind.MISSING)]


@pytest.mark.parametrize("oldest", range(1, 9))
def test_a_pruned_chain_can_still_be_verified_and_goes_on(database: InlineDatabase, oldest: int) -> None:
    append(database, range(1, 9))
    append(database, range(8, 9), chain="node-2")
    records = TimestampRecords(database)
    before = result_of(records.verify()).heads
    removed = result_of(records.prune(token(oldest).gen_time))
    assert {chain: head.sequence for chain, head in removed.items()} == ({"node-1": oldest - 1} if oldest > 1 else {})
    append(database, range(9, 10))
    report = result_of(records.verify(known_heads=before | removed))
    assert report.is_sound
    assert report.tokens == 10 - oldest + 1
    assert result_of(records.prune(token(oldest).gen_time)) == {}


def test_a_chain_that_was_pruned_to_nothing_goes_on(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    records = TimestampRecords(database)
    heads = result_of(records.verify()).heads
    assert result_of(records.prune(MOMENT + timedelta(days=1))) == heads
    assert breaks(database) == []
    append(database, range(9, 11))
    report = result_of(records.verify(known_heads=heads))
    assert (report.is_sound, report.tokens, report.heads["node-1"].sequence) == (True, 2, 10)


def test_pruning_stops_at_the_first_token_that_is_not_older(database: InlineDatabase) -> None:
    """Tokens of issuers without ordering need not be logged in the order of their times."""
    for number in (1, 2, 9, 3, 10):
        append(database, range(number, number + 1))
    assert result_of(TimestampRecords(database).prune(token(4).gen_time))["node-1"].sequence == 2


def test_pruning_does_not_destroy_the_evidence_of_a_break(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    change(database, lambda c: c.execute(delete(tsp_logged_tokens).where(ROWS.sequence == 5)))
    with pytest.raises(Conflict, match="node-1 number 6 follows number 4"):
        result_of(TimestampRecords(database).prune(MOMENT + timedelta(days=1)))
    assert breaks(database) == [(6, BreakKind.MISSING)]


def test_pruning_while_the_check_runs_is_no_break(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    held = PruningDatabase(database)
    report = result_of(TimestampRecords(held).verify())
    assert (report.is_sound, report.tokens) == (True, 3 + 2)


class PruningDatabase:
    """Another process prunes after the first page was read."""

    def __init__(self, database: InlineDatabase) -> None:
        self._database = database
        self._reads = 0

    async def read(self, work: Callable[[Connection], object]) -> object:
        self._reads += 1
        if self._reads == 3:  # names, first page
            await TimestampRecords(self._database).prune(token(7).gen_time)
        return await self._database.read(work)

    async def write(self, work: Callable[[Connection], object]) -> object:
        return await self._database.write(work)


def test_both_exports_can_be_verified_without_the_store(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    append(database, range(1, 3), chain="node-2")
    records = TimestampRecords(database)
    heads = result_of(records.verify()).heads
    lines = exported(database)
    assert json.loads(lines[4]) | {"previous_hash": "", "hash": ""} == {
        "chain": "node-1",
        "sequence": 5,
        "issuer": "qualified",
        "serial_number": "4000000000000005",
        "gen_time": "2026-11-24T12:00:05.123456+00:00",
        "token_sha256": hashlib.sha256(bytes([5])).hexdigest(),
        "previous_hash": "",
        "hash": "",
    }
    for report in (
        verify_json_lines(lines, known_heads=heads),
        verify_csv(result_of(listed(csv_lines(records))), known_heads=heads),
    ):
        assert (report.is_sound, report.tokens, report.heads) == (True, 10, heads)


def test_the_export_of_a_pruned_log_can_be_verified(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    result_of(TimestampRecords(database).prune(token(4).gen_time))
    report = verify_json_lines(exported(database))
    assert (report.is_sound, report.tokens, report.heads["node-1"].sequence) == (True, 5, 8)


def test_an_export_that_was_tampered_with_shows(database: InlineDatabase) -> None:
    append(database, range(1, 9))
    heads = result_of(TimestampRecords(database).verify()).heads
    lines = exported(database)
    changed = [*lines[:3], lines[3].replace("qualified", "other"), *lines[4:]]
    for tampered, sequence, kind in (
        (changed, 4, BreakKind.CHANGED),
        ([*lines[:3], *lines[4:]], 5, BreakKind.MISSING),
        ([*lines[:3], lines[4], lines[3], *lines[5:]], 5, BreakKind.MISSING),
        (lines[:-1], 8, BreakKind.MISSING),
        ([], 8, BreakKind.MISSING),
    ):
        (found,) = verify_json_lines(tampered, known_heads=heads).breaks
        assert (found.sequence, found.kind) == (sequence, kind)


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"chain": "a", "sequence": "x"}', "9" * 5000, "[" * 100_000])
def test_a_file_that_is_no_export_is_refused(line: str) -> None:
    with pytest.raises(Malformed, match="line 1"):
        verify_json_lines([line])


def test_a_table_that_is_no_export_is_refused() -> None:
    with pytest.raises(Malformed, match="first line"):
        verify_csv([])
    with pytest.raises(Malformed, match="first line"):
        verify_csv(["chain,sequence\n"])
    header = "chain,sequence,issuer,serial_number,gen_time,token_sha256,previous_hash,hash\n"
    with pytest.raises(Malformed, match="line 2"):
        verify_csv([header, "a,1,b\n"])
    with pytest.raises(Malformed, match="not CSV"):
        verify_csv([header, "a" * 200_000])


def test_all_rows_are_exported_in_pages(database: InlineDatabase) -> None:
    append(database, range(1, 101))
    assert [json.loads(line)["sequence"] for line in exported(database)] == list(range(1, 101))
    stored = result_of(database.read(lambda c: c.execute(select(ROWS.hash).order_by(ROWS.sequence)).scalars().all()))
    assert [json.loads(line)["hash"] for line in exported(database)] == [each.hex() for each in stored]
