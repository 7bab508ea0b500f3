"""The store on a real SQLite file, with its threads."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from twisted.internet.defer import Deferred

from cspd.refusals import Refused, Unavailable
from cspd.store import schema
from cspd.store.database import ThreadedDatabase, open_database
from cspd.store.sqlite import SQLiteBackend
from tests.support.database_contract import DatabaseContract, Run, count
from tests.support.records import add_authority, add_certificate
from tests.support.threads import CallQueue

pytestmark = pytest.mark.interop


@pytest.fixture
def calls() -> CallQueue:
    return CallQueue()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.sqlite"


@pytest.fixture
def database(url: str, calls: CallQueue) -> Iterator[ThreadedDatabase]:
    schema.upgrade(url)
    database = open_database(url, reactor=calls)
    database.start()
    yield database
    calls.result_of(database.stop())


@pytest.fixture
def run(calls: CallQueue) -> Run:
    return calls.result_of


class TestSQLite(DatabaseContract):
    pass


def test_a_write_is_flushed_before_it_is_answered(database: ThreadedDatabase, run: Run) -> None:
    def settings(connection: Connection) -> tuple[object, ...]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return tuple(connection.execute(text(f"PRAGMA {name}")).scalar() for name in names)

    assert run(database.write(settings)) == ("wal", 2, 1)


def test_only_the_owner_may_read_the_files(database: ThreadedDatabase, run: Run, tmp_path: Path) -> None:
    run(database.write(add_authority))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["store.sqlite", "store.sqlite-shm", "store.sqlite-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_reader_cannot_write(database: ThreadedDatabase, run: Run) -> None:
    with pytest.raises(Unavailable) as refused:
        run(database.read(add_authority))
    assert "readonly" in refused.value.detail
    assert run(database.read(count)) == 0


def test_a_caller_who_gives_up_does_not_stop_the_work(database: ThreadedDatabase, run: Run) -> None:
    caller = Deferred.fromCoroutine(database.write(add_authority))
    caller.addErrback(lambda _: None)
    caller.cancel()
    run(database.write(lambda connection: add_certificate(connection, 1)))
    assert run(database.read(count)) == 1


def test_stop_finishes_what_is_queued_and_refuses_what_comes_later(url: str, calls: CallQueue) -> None:
    schema.upgrade(url)
    database = open_database(url, reactor=calls)
    waiting = [Deferred.fromCoroutine(database.write(add_authority))]
    waiting += [
        Deferred.fromCoroutine(database.write(lambda connection, serial=serial: add_certificate(connection, serial)))
        for serial in range(1, 1001)
    ]
    database.start()
    calls.result_of(database.stop())
    assert all(caller.called for caller in waiting)
    assert database.batches == 4
    assert database.largest_batch == 256
    with pytest.raises(Unavailable, match="shutting down"):
        calls.result_of(database.write(add_authority))
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("SELECT count(*) FROM certificates").fetchone() == (1000,)
    connection.close()


def test_a_locked_store_is_unavailable_until_the_lock_goes(url: str, calls: CallQueue, tmp_path: Path) -> None:
    schema.upgrade(url)
    database = ThreadedDatabase(calls, SQLiteBackend(tmp_path / "store.sqlite", lock_wait_seconds=0.1))
    database.start()
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        calls.result_of(database.write(add_authority))
    assert not database.available
    assert calls.result_of(database.read(count)) == 0  # readers go on
    other.execute("ROLLBACK")
    other.close()
    calls.result_of(database.write(add_authority))
    assert database.available
    calls.result_of(database.stop())


def test_a_full_disk_is_unavailable_and_loses_nothing_that_was_answered(database: ThreadedDatabase, run: Run) -> None:
    run(database.write(add_authority))

    def fill(connection: Connection) -> None:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages}"))
        for serial in range(1, 1000):
            add_certificate(connection, serial)

    with pytest.raises(Unavailable) as refused:
        run(database.write(fill))
    assert "full" in refused.value.detail
    run(database.write(lambda connection: add_certificate(connection, 1)))
    assert run(database.read(count)) == 1


def test_a_folder_that_is_missing_is_named(tmp_path: Path, calls: CallQueue) -> None:
    with pytest.raises(Refused, match=r"/missing/store.sqlite cannot be opened: No such file or directory"):
        open_database(f"sqlite:///{tmp_path}/missing/store.sqlite", reactor=calls)
