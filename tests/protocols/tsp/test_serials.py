"""Serial numbers never repeat, whatever happens to processes, clocks and the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs

from cspd.refusals import Unavailable
from cspd.store.interfaces import Database
from cspd.x509.tlv import integer
from protocols.tsp import microseconds
from protocols.tsp.serials import BLOCK_SIZE, StoredSerialNumbers
from protocols.tsp.tables import tsp_serial_counter
from tests.protocols.tsp.held_database import HeldDatabase, as_coroutine
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.running import result_of

T = TypeVar("T")


class CountingDatabase(InlineDatabase):
    """A database that counts the attempts to write and can go away."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0
        self.is_away = False

    async def write(self, work: Callable[[Connection], T]) -> T:
        self.attempts += 1
        if self.is_away:
            raise Unavailable("the store cannot answer now")
        return await super().write(work)


def counter(number: int) -> int:
    """Of 8 octets."""
    return number >> 8 & (1 << 54) - 1


def constant(count: int) -> bytes:
    """Worst luck: the random part never helps."""
    return bytes(count)


def numbers_of(database: Database, clock: FrozenClock, block_size: int = 4) -> StoredSerialNumbers:
    return StoredSerialNumbers(database, clock, constant, block_size=block_size)


def unreserved(database: InlineDatabase) -> int | None:
    query = select(tsp_serial_counter.c.unreserved)
    return result_of(database.read(lambda connection: connection.execute(query).scalar_one_or_none()))


def restore(database: InlineDatabase, value: int | None) -> None:
    def work(connection: Connection) -> None:
        connection.execute(delete(tsp_serial_counter))
        if value is not None:
            connection.execute(insert(tsp_serial_counter).values(id=1, unreserved=value))

    result_of(database.write(work))


@pytest.mark.requirement("R-TSA-028")
@pytest.mark.parametrize("octets", range(8, 21))
@pytest.mark.parametrize("random", [b"\x00", b"\xff"])
def test_a_number_is_positive_and_has_exactly_its_length_in_der(octets: int, random: bytes) -> None:
    numbers = StoredSerialNumbers(InlineDatabase(), FrozenClock(), lambda count: random * count)
    for _ in range(3):
        number = result_of(numbers.next(octets))
        assert number > 0
        assert integer(number)[:2] == bytes([2, octets])


@pytest.mark.parametrize("octets", [7, 21])
def test_other_lengths_are_a_mistake_of_the_caller(octets: int) -> None:
    with pytest.raises(ValueError, match="8 to 20"):
        result_of(numbers_of(InlineDatabase(), FrozenClock()).next(octets))


def test_what_is_left_beside_the_counter_is_random() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return b"\xa5" * count

    numbers = StoredSerialNumbers(InlineDatabase(), FrozenClock(), random_bytes)
    assert result_of(numbers.next(8)) & 0xFF == 0xA5
    assert result_of(numbers.next(20)) & (1 << 104) - 1 == int.from_bytes(b"\xa5" * 13, "big")
    assert asked == [1, 13]


def test_the_last_moment_of_the_counter_still_works_and_no_later_one() -> None:
    database = InlineDatabase()
    last = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(1 << 54) - 4)
    numbers = numbers_of(database, FrozenClock(last))
    assert [result_of(numbers.next(8)) >> 8 for _ in range(4)] == list(range((1 << 55) - 4, 1 << 55))
    with pytest.raises(Unavailable):
        result_of(numbers.next(8))
    assert unreserved(database) == 1 << 54


def test_a_clock_that_is_centuries_ahead_does_no_lasting_harm() -> None:
    database, clock = InlineDatabase(), FrozenClock(datetime(2600, 1, 1, tzinfo=UTC))
    with pytest.raises(Unavailable):
        result_of(numbers_of(database, clock).next(8))
    assert unreserved(database) is None


def test_numbers_go_up_by_one_and_jump_to_the_clock_with_each_block() -> None:
    database, clock = InlineDatabase(), FrozenClock()
    numbers = numbers_of(database, clock)
    first = [counter(result_of(numbers.next(8))) for _ in range(4)]  # two of these blocks were reserved at the start
    assert first == list(range(microseconds.from_datetime(clock.now()), microseconds.from_datetime(clock.now()) + 4))
    clock.advance(timedelta(seconds=1))
    later = [counter(result_of(numbers.next(8))) for _ in range(8)]
    assert later[4:] == list(range(later[4], later[4] + 4))
    assert later[4] == microseconds.from_datetime(clock.now())


def test_the_first_number_waits_until_its_block_is_durable_and_the_callers_share_the_wait() -> None:
    database = HeldDatabase(InlineDatabase())
    numbers = numbers_of(database, FrozenClock(), block_size=64)
    waiting = [Deferred.fromCoroutine(numbers.next(8)) for _ in range(10)]
    assert [caller.called for caller in waiting] == [False] * 10
    assert len(database.held) == 1
    database.release()
    given = [result_of(as_coroutine(caller)) for caller in waiting]
    assert given == sorted(set(given)), "in the order in which they asked"


def test_more_callers_than_a_block_has_numbers_are_served_from_several() -> None:
    database = HeldDatabase(InlineDatabase())
    numbers = numbers_of(database, FrozenClock(), block_size=4)
    waiting = [Deferred.fromCoroutine(numbers.next(8)) for _ in range(10)]
    for _ in range(3):
        database.release()
    assert len({result_of(as_coroutine(caller)) for caller in waiting}) == 10


def test_a_caller_who_leaves_does_not_end_the_reservation_of_the_others() -> None:
    database = HeldDatabase(InlineDatabase())
    numbers = numbers_of(database, FrozenClock(), block_size=64)
    leaving, staying = (Deferred.fromCoroutine(numbers.next(8)) for _ in range(2))
    leaving.cancel()
    leaving.addErrback(lambda failure: failure.trap(CancelledError))
    database.release()
    assert result_of(as_coroutine(staying)) > 0


def test_no_caller_waits_once_there_is_a_reserve() -> None:
    """The next block is asked for at half of the one in use, and comes while the other half is given."""
    database = HeldDatabase(InlineDatabase())
    numbers = numbers_of(database, FrozenClock(), block_size=64)
    starting = Deferred.fromCoroutine(numbers.start())
    database.release()
    result_of(as_coroutine(starting))
    given = set()
    for _ in range(10):
        given |= {result_of(numbers.next(8)) for _ in range(31)}
        assert database.held == []
        given |= {result_of(numbers.next(8)) for _ in range(32)}
        assert len(database.held) == 1
        database.release()
        given.add(result_of(numbers.next(8)))
    assert len(given) == 640


def test_an_outage_of_the_store_is_bridged_by_the_reserve_and_then_refused() -> None:
    database = HeldDatabase(InlineDatabase())
    numbers = numbers_of(database, FrozenClock(), block_size=2048)
    starting = Deferred.fromCoroutine(numbers.start())
    database.release()
    result_of(as_coroutine(starting))
    database.is_away = True
    with capturedLogs() as log:
        given = {result_of(numbers.next(8)) for _ in range(2048)}
        assert len(given) == 2048
        assert numbers.reserve == 0
        for _ in range(3):
            with pytest.raises(Unavailable):
                result_of(numbers.next(8))
    assert [event["log_level"] for event in log] == [LogLevel.error], "once, not for each attempt"
    database.is_away = False
    waiting = Deferred.fromCoroutine(numbers.next(8))
    database.release()
    assert result_of(as_coroutine(waiting)) not in given


class BrokenDatabase(InlineDatabase):
    async def write(self, work: Callable[[Connection], T]) -> T:
        raise ZeroDivisionError


def test_a_bug_is_logged_with_its_traceback_and_hangs_nobody() -> None:
    with capturedLogs() as log, pytest.raises(ZeroDivisionError):
        result_of(numbers_of(BrokenDatabase(), FrozenClock()).next(8))
    assert any("log_failure" in happened for happened in log)


def test_the_store_is_asked_seldom_while_it_is_away() -> None:
    database = CountingDatabase()
    numbers = numbers_of(database, FrozenClock(), block_size=2048)
    result_of(numbers.start())
    database.is_away = True
    for _ in range(2048):
        result_of(numbers.next(8))
    assert database.attempts == 1 + 1 + 1024 // 2, "the start, at half of the block, and each two numbers from there"


def test_the_reserve_bridges_minutes_at_hundreds_of_tokens_a_second() -> None:
    assert BLOCK_SIZE // 2 / 400 > 5 * 60


def test_the_end_of_the_process_waits_for_a_reservation() -> None:
    database = HeldDatabase(InlineDatabase())
    numbers = numbers_of(database, FrozenClock())
    result_of(numbers.drain())
    starting = Deferred.fromCoroutine(numbers.start())
    draining = Deferred.fromCoroutine(numbers.drain())
    assert not draining.called
    database.release()
    result_of(as_coroutine(draining))
    result_of(as_coroutine(starting))


def test_a_reservation_that_fails_does_not_disturb_the_end_of_the_process() -> None:
    database = HeldDatabase(InlineDatabase())
    numbers = numbers_of(database, FrozenClock(datetime(2600, 1, 1, tzinfo=UTC)))
    starting = Deferred.fromCoroutine(numbers.start())
    draining = Deferred.fromCoroutine(numbers.drain())
    database.release()
    result_of(as_coroutine(draining))
    with pytest.raises(Unavailable):
        result_of(as_coroutine(starting))


def test_a_clock_that_was_set_back_repeats_nothing_and_is_reported() -> None:
    database, clock = InlineDatabase(), FrozenClock()
    before = {result_of(numbers_of(database, clock).next(8)) for _ in range(8)}
    clock.advance(timedelta(days=-365))
    with capturedLogs() as log:
        after = {result_of(numbers_of(database, clock).next(8)) for _ in range(8)}
    assert not before & after
    assert {event["log_level"] for event in log} == {LogLevel.warn}


def test_the_counter_ahead_of_the_clock_by_a_burst_of_restarts_is_no_news() -> None:
    database, clock = InlineDatabase(), FrozenClock()
    with capturedLogs() as log:
        for _ in range(16):
            result_of(numbers_of(database, clock, BLOCK_SIZE).next(8))
    assert log == []


@pytest.mark.requirement("R-TSA-028")
def test_a_restored_backup_repeats_nothing() -> None:
    database, clock = InlineDatabase(), FrozenClock()
    result_of(numbers_of(database, clock).next(8))
    backup = unreserved(database)
    clock.advance(timedelta(hours=1))
    lost = {result_of(numbers_of(database, clock).next(8)) for _ in range(100)}
    clock.advance(timedelta(seconds=1))
    restore(database, backup)
    assert not lost & {result_of(numbers_of(database, clock).next(8)) for _ in range(100)}


class SeveralProcesses:
    """Processes on one store, with the clock set to and fro, restarts, and backups restored after their loss."""

    def __init__(self) -> None:
        self.database = InlineDatabase()
        self.clock = FrozenClock()
        self.processes = [numbers_of(self.database, self.clock) for _ in range(3)]
        self.given: list[int] = []
        self.backup: int | None = None
        self.lost_until = 0

    def give(self, value: int) -> None:
        for _ in range(value % 7):
            self.given.append(result_of(self.processes[value % 3].next((8, 9, 20)[value % 2])))

    def restart(self, value: int) -> None:
        self.processes[value % 3] = numbers_of(self.database, self.clock)

    def set_the_clock(self, value: int) -> None:
        """Not back to before a loss: that and the loss together are more than the numbers withstand."""
        now = microseconds.from_datetime(self.clock.now())
        self.clock.advance(timedelta(microseconds=max(value - 50, self.lost_until - now)))

    def back_up(self, _value: int) -> None:
        self.backup = unreserved(self.database)

    def restore_when_the_clock_has_passed_the_counter(self, _value: int) -> None:
        """Blocks in the memory of running processes stay theirs."""
        now = microseconds.from_datetime(self.clock.now())
        self.lost_until = max(self.lost_until, unreserved(self.database) or 0)
        self.clock.advance(timedelta(microseconds=max(0, self.lost_until - now)))
        restore(self.database, self.backup)


EVENTS = [
    *[SeveralProcesses.give] * 6,
    *[SeveralProcesses.set_the_clock] * 2,
    SeveralProcesses.restart,
    SeveralProcesses.back_up,
    SeveralProcesses.restore_when_the_clock_has_passed_the_counter,
]


@pytest.mark.requirement("R-TSA-028")
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 100)), min_size=30, max_size=60))
def test_no_number_comes_twice_whatever_happens(
    events: list[tuple[Callable[[SeveralProcesses, int], None], int]],
) -> None:
    processes = SeveralProcesses()
    for happens, value in events:
        happens(processes, value)
    assert len(set(processes.given)) == len(processes.given)
