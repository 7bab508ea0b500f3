"""Group commit, step by step and without threads, on a SQLite file and on a database that fails when told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, text

from cspd.refusals import Conflict, Unavailable
from cspd.store.backends import Trouble
from cspd.store.sqlite import SQLiteBackend
from cspd.store.transactions import CONFLICT_ATTEMPTS, Done, Failed, Outcome, Reader, Writer


class PlannedError(Exception):
    """Stands for the driver's."""


class PlannedBackend(SQLiteBackend):
    """SQLite, with errors of the kinds that only a server has."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.meaning: Trouble | None = None
        self.fail_commits = 0
        self.connections = 0
        self.commits = 0

    def trouble(self, error: BaseException) -> Trouble | None:
        return self.meaning if isinstance(error, PlannedError) else super().trouble(error)

    def writer_engine(self) -> Engine:
        engine = super().writer_engine()
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "commit", self._committing)
        return engine

    def _connected(self, *_: object) -> None:
        self.connections += 1

    def _committing(self, _: object) -> None:
        if self.fail_commits:
            self.fail_commits -= 1
            raise PlannedError
        self.commits += 1


@pytest.fixture
def backend(tmp_path: Path) -> PlannedBackend:
    return PlannedBackend(tmp_path / "store.sqlite")


@pytest.fixture
def writer(backend: PlannedBackend) -> Writer:
    writer = Writer(backend)
    writer.run(
        [lambda connection: connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")) and None]
    )
    backend.commits = backend.connections = 0
    return writer


def add(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
        return number

    return work


def refuse_after(number: int) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        add(number)(connection)
        raise Conflict("taken")

    return work


def fail_once(number: int) -> Callable[[Connection], int]:
    failures = [PlannedError()]

    def work(connection: Connection) -> int:
        add(number)(connection)
        if failures:
            raise failures.pop()
        return number

    return work


def numbers(backend: SQLiteBackend) -> list[int]:
    reader = Reader(backend)
    outcome = reader.run(lambda connection: list(connection.execute(text("SELECT number FROM numbers")).scalars()))
    reader.close()
    assert isinstance(outcome, Done)
    return outcome.value  # type: ignore[no-any-return]  # the list above


def kinds(outcomes: list[Outcome]) -> list[object]:
    return [outcome.value if isinstance(outcome, Done) else type(outcome.error) for outcome in outcomes]


def test_a_batch_is_one_commit(writer: Writer, backend: PlannedBackend) -> None:
    assert kinds(writer.run([add(number) for number in range(50)])) == list(range(50))
    assert backend.commits == 1
    assert numbers(backend) == list(range(50))


@pytest.mark.parametrize("position", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_work_that_refuses_undoes_only_itself(writer: Writer, backend: PlannedBackend, position: int) -> None:
    works: list[Callable[[Connection], object]] = [add(1), add(2)]
    works.insert(position, refuse_after(3))
    expected: list[object] = [1, 2]
    expected.insert(position, Conflict)
    assert kinds(writer.run(works)) == expected
    assert numbers(backend) == [1, 2]


def test_a_work_alone_that_refuses_commits_nothing(writer: Writer, backend: PlannedBackend) -> None:
    assert kinds(writer.run([refuse_after(1)])) == [Conflict]
    assert backend.commits == 0
    assert numbers(backend) == []


def test_a_later_work_sees_what_an_earlier_one_of_its_batch_wrote(writer: Writer) -> None:
    query = text("SELECT count(*) FROM numbers")
    assert kinds(writer.run([add(1), lambda connection: connection.execute(query).scalar()])) == [1, 1]


def test_after_a_conflict_the_works_run_again_one_by_one(writer: Writer, backend: PlannedBackend) -> None:
    backend.meaning = Trouble.CONFLICT
    assert kinds(writer.run([add(1), fail_once(2), refuse_after(3), add(4)])) == [1, 2, Conflict, 4]
    assert backend.commits == 3
    assert numbers(backend) == [1, 2, 4]


def test_a_conflict_at_commit_is_run_again(writer: Writer, backend: PlannedBackend) -> None:
    backend.meaning = Trouble.CONFLICT
    backend.fail_commits = 2
    assert kinds(writer.run([add(1)])) == [1]
    assert numbers(backend) == [1]


def test_a_work_that_conflicts_for_ever_is_given_up(writer: Writer, backend: PlannedBackend) -> None:
    backend.meaning = Trouble.CONFLICT
    backend.fail_commits = CONFLICT_ATTEMPTS
    assert kinds(writer.run([add(1)])) == [Unavailable]
    assert kinds(writer.run([add(2)])) == [2]


def test_a_connection_that_died_while_idle_is_replaced_unseen(writer: Writer, backend: PlannedBackend) -> None:
    backend.meaning = Trouble.LOST
    assert kinds(writer.run([fail_once(1), add(2)])) == [1, 2]
    assert backend.connections == 1
    assert numbers(backend) == [1, 2]


def test_a_fresh_connection_that_dies_is_unavailable_for_the_whole_batch(
    writer: Writer, backend: PlannedBackend
) -> None:
    backend.meaning = Trouble.LOST
    works = [refuse_after(1), fail_once(2), fail_once(3)]
    assert kinds(writer.run(works)) == [Unavailable] * 3
    assert numbers(backend) == []


def test_a_connection_lost_during_commit_is_not_run_again(writer: Writer, backend: PlannedBackend) -> None:
    """Nobody knows whether the server kept it: a second run could write everything twice."""
    backend.meaning = Trouble.LOST
    backend.fail_commits = 1
    assert kinds(writer.run([add(1), refuse_after(2)])) == [Unavailable] * 2
    assert kinds(writer.run([add(3)])) == [3]


def test_trouble_of_the_database_makes_the_next_batch_connect_anew(writer: Writer, backend: PlannedBackend) -> None:
    backend.meaning = Trouble.UNABLE
    assert kinds(writer.run([add(1), fail_once(2)])) == [Unavailable] * 2
    assert kinds(writer.run([add(3)])) == [3]
    assert backend.connections == 1
    assert numbers(backend) == [3]


def test_a_work_that_commits_by_itself_is_found_out(writer: Writer) -> None:
    (outcome,) = writer.run([lambda connection: connection.commit()])
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, Unavailable)
    assert "ended the transaction" in outcome.error.detail
    assert kinds(writer.run([add(1)])) == [1]


def test_a_work_that_wants_to_exit_ends_only_its_batch(writer: Writer) -> None:
    def leave(_: Connection) -> None:
        raise SystemExit

    assert kinds(writer.run([add(1), leave])) == [SystemExit] * 2
    assert kinds(writer.run([add(1)])) == [1]


def test_the_drivers_words_do_not_reach_the_client(writer: Writer, backend: PlannedBackend) -> None:
    backend.meaning = Trouble.UNABLE
    (outcome,) = writer.run([fail_once(1)])
    assert isinstance(outcome, Failed)
    assert str(outcome.error) == "the store cannot answer now"


def test_a_reader_tries_a_stale_connection_once_more(backend: PlannedBackend, writer: Writer) -> None:
    backend.meaning = Trouble.LOST
    reader = Reader(backend)
    failures: list[Exception] = [PlannedError()]

    def work(_: Connection) -> str:
        if failures:
            raise failures.pop()
        return "read"

    assert kinds([reader.run(lambda _: 1)]) == [1]
    assert kinds([reader.run(work)]) == ["read"]
    failures += [PlannedError(), PlannedError()]
    assert kinds([reader.run(work)]) == [Unavailable]
    assert kinds([reader.run(work)]) == ["read"]
    reader.close()
