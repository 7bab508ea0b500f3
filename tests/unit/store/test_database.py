"""What the database does in the reactor's thread: choosing, queueing, batching, counting."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import pytest
from twisted.internet.defer import Deferred

from cspd.refusals import Refused, Unavailable
from cspd.store.database import QUEUE_LIMIT, ThreadedDatabase, _Task, choose_backend, next_batch
from cspd.store.postgresql import PostgreSQLBackend
from cspd.store.sqlite import SQLiteBackend
from tests.support.running import result_of
from tests.support.threads import CallQueue


def queue_of(count: int, *, ended: bool = False) -> SimpleQueue[_Task | None]:
    queue: SimpleQueue[_Task | None] = SimpleQueue()
    for _ in range(count):
        queue.put(_Task(lambda _: None))
    if ended:
        queue.put(None)
    return queue


def test_a_batch_takes_what_waits_and_no_more_than_its_limit() -> None:
    queue = queue_of(5)
    assert [len(next_batch(queue, 3)[0]), len(next_batch(queue, 3)[0])] == [3, 2]


def test_the_end_mark_comes_after_the_last_batch() -> None:
    batch, goes_on = next_batch(queue_of(2, ended=True), 10)
    assert (len(batch), goes_on) == (2, False)
    assert next_batch(queue_of(0, ended=True), 10) == ([], False)


def test_more_callers_than_the_queue_holds_are_turned_away_at_once(tmp_path: Path) -> None:
    database = ThreadedDatabase(CallQueue(), SQLiteBackend(tmp_path / "store.sqlite"))
    for _ in range(QUEUE_LIMIT):
        Deferred.fromCoroutine(database.write(lambda _: None))
    assert database.waiting_writes == QUEUE_LIMIT
    with pytest.raises(Unavailable, match="too much to do"):
        result_of(database.write(lambda _: None))
    assert database.waiting_reads == 0


def test_a_database_that_never_started_stops_at_once(tmp_path: Path) -> None:
    database = ThreadedDatabase(CallQueue(), SQLiteBackend(tmp_path / "store.sqlite"))
    assert database.stop().called
    with pytest.raises(Unavailable, match="shutting down"):
        result_of(database.read(lambda _: None))


def test_the_url_chooses_the_database() -> None:
    sqlite = choose_backend("sqlite:////var/lib/cspd/store.sqlite")
    assert isinstance(sqlite, SQLiteBackend)
    assert sqlite.path == Path("/var/lib/cspd/store.sqlite")
    assert isinstance(choose_backend("postgresql://cspd@db.example/cspd"), PostgreSQLBackend)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://a:pa55word@b/c"])
def test_another_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Refused, match="the store is sqlite:///path or postgresql://") as refused:
        choose_backend(url)
    assert "pa55word" not in refused.value.reason
