"""Ordered times: strictly increasing over callers, batches and nodes, and never far from the clock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs

from cspd.refusals import Unavailable
from cspd.store.interfaces import Database
from protocols.tsp import shared_writes
from protocols.tsp.gen_times import StoredGenTimes
from tests.protocols.tsp.held_database import HeldDatabase, as_coroutine
from tests.support.clocks import FrozenClock
from tests.support.databases import InlineDatabase
from tests.support.running import result_of

TOLERANCE = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


def gen_times(database: Database, clock: FrozenClock) -> StoredGenTimes:
    return StoredGenTimes(database, clock, tolerance=TOLERANCE)


def started(work: Coroutine[Any, Any, datetime]) -> Deferred[datetime]:
    return Deferred.fromCoroutine(work)


def test_a_lone_caller_gets_his_own_time_in_utc() -> None:
    clock = FrozenClock()
    times = gen_times(InlineDatabase(), clock)
    for _ in range(3):
        clock.advance(timedelta(microseconds=7))
        assert result_of(times.next("a", clock.now())) == clock.now()


def test_a_time_that_is_taken_gives_the_next_microsecond() -> None:
    clock = FrozenClock()
    times = gen_times(InlineDatabase(), clock)
    given = [result_of(times.next("a", clock.now())) for _ in range(3)]
    assert given == [clock.now(), clock.now() + MICROSECOND, clock.now() + 2 * MICROSECOND]


def test_issuers_have_times_of_their_own() -> None:
    clock = FrozenClock()
    times = gen_times(InlineDatabase(), clock)
    assert [result_of(times.next(issuer, clock.now())) for issuer in "ab"] == [clock.now()] * 2


@pytest.mark.requirement("R-TSA-027")
def test_two_nodes_take_turns() -> None:
    database, clock = InlineDatabase(), FrozenClock()
    nodes = [gen_times(database, clock) for _ in range(2)]
    given = [result_of(nodes[number % 2].next("a", clock.now())) for number in range(10)]
    assert given == [clock.now() + number * MICROSECOND for number in range(10)]


def test_a_clock_that_was_set_back_a_little_goes_on_from_the_last_time() -> None:
    clock = FrozenClock()
    times = gen_times(InlineDatabase(), clock)
    first = result_of(times.next("a", clock.now()))
    clock.advance(-TOLERANCE)
    assert result_of(times.next("a", clock.now())) == first + MICROSECOND


def test_times_further_ahead_than_honest_clocks_are_refused_and_told_until_the_clock_has_caught_up() -> None:
    clock = FrozenClock()
    database = InlineDatabase()
    times = gen_times(database, clock)
    first = result_of(times.next("a", clock.now()))
    clock.advance(-TOLERANCE - MICROSECOND)
    with capturedLogs() as log:
        for _ in range(3):
            with pytest.raises(Unavailable) as refusal:
                result_of(times.next("a", clock.now()))
            assert first.isoformat() in refusal.value.detail
        assert result_of(times.next("b", clock.now())) == clock.now(), "the other issuer is not ahead"
        clock.advance(MICROSECOND)
        assert result_of(times.next("a", clock.now())) == first + MICROSECOND, "the refusals took no time"
    assert [happened["log_level"] for happened in log] == [LogLevel.error, LogLevel.info], "once, not for each caller"


def test_callers_during_a_question_share_the_next_one_in_the_order_in_which_they_called() -> None:
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    times = gen_times(database, clock)
    first = started(times.next("a", clock.now()))
    later = []
    for _ in range(64):
        clock.advance(MICROSECOND)
        later.append(started(times.next("a", clock.now())))
    assert len(database.held) == 1
    database.release()
    assert first.called
    assert not any(caller.called for caller in later)
    assert len(database.held) == 1
    database.release()
    given = [result_of(as_coroutine(caller)) for caller in [first, *later]]
    assert given == sorted(set(given))
    assert given[1:] == [clock.now() + number * MICROSECOND for number in range(64)]


def test_one_question_is_for_all_issuers() -> None:
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    times = gen_times(database, clock)
    started(times.next("z", clock.now()))
    callers = {issuer: started(times.next(issuer, clock.now())) for issuer in "bac"}
    database.release()
    assert len(database.held) == 1
    database.release()
    assert {issuer: result_of(as_coroutine(caller)) for issuer, caller in callers.items()} == dict.fromkeys(
        "abc", clock.now()
    )


def test_a_caller_who_waited_long_is_not_taken_for_one_whose_clock_is_behind() -> None:
    """While one node waits for the store, the other's times go on."""
    inner, clock = InlineDatabase(), FrozenClock()
    slow = HeldDatabase(inner)
    waiting_node, other_node = gen_times(slow, clock), gen_times(inner, clock)
    callers = [started(waiting_node.next("a", clock.now())) for _ in range(2)]
    clock.advance(timedelta(seconds=10))
    slow.release()
    last = result_of(other_node.next("a", clock.now()))
    slow.release()
    assert result_of(as_coroutine(callers[1])) > last


class WaitingDatabase(InlineDatabase):
    """A database whose statements wait for a lock while time passes, as often as the test says."""

    def __init__(self, clock: FrozenClock) -> None:
        super().__init__()
        self.waits: list[timedelta] = []
        event.listen(
            self.engine, "after_cursor_execute", lambda *_: clock.advance(self.waits.pop()) if self.waits else None
        )


def test_waiting_for_the_row_is_not_taken_for_a_clock_that_is_behind() -> None:
    """The statement that waited sees times from during its wait."""
    clock = FrozenClock()
    database = WaitingDatabase(clock)
    first = result_of(gen_times(database, clock).next("a", clock.now() + TOLERANCE))
    clock.advance(-timedelta(seconds=5))
    database.waits = [timedelta(seconds=5)]
    assert result_of(gen_times(database, clock).next("a", clock.now())) == first + MICROSECOND


def test_a_caller_from_before_the_clock_was_set_back_is_refused_and_costs_the_others_nothing() -> None:
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    times = gen_times(database, clock)
    started(times.next("b", clock.now()))
    ahead = started(times.next("a", clock.now()))
    clock.advance(-2 * TOLERANCE)
    after = started(times.next("a", clock.now()))
    database.release()
    database.release()
    with pytest.raises(Unavailable, match="set back"):
        result_of(as_coroutine(ahead))
    assert result_of(as_coroutine(after)) == clock.now()


def test_when_all_callers_are_from_before_the_store_is_not_asked() -> None:
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    with pytest.raises(Unavailable, match="set back"):
        result_of(gen_times(database, clock).next("a", clock.now() + 2 * TOLERANCE))
    assert database.held == []


def test_when_the_store_is_away_each_caller_hears_it_and_the_next_question_is_tried() -> None:
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    times = gen_times(database, clock)
    first = started(times.next("a", clock.now()))
    callers = [started(times.next("a", clock.now())) for _ in range(2)]
    database.is_away = True
    database.release()
    result_of(as_coroutine(first))
    lengths = []
    for caller in callers:
        with pytest.raises(Unavailable) as refusal:
            result_of(as_coroutine(caller))
        lengths.append(len(refusal.traceback))
    assert len(set(lengths)) == 1, "no caller's traceback has the frames of others"
    database.is_away = False
    again = started(times.next("a", clock.now()))
    database.release()
    assert result_of(as_coroutine(again)) == clock.now() + MICROSECOND


def test_a_caller_who_leaves_does_not_disturb_the_others() -> None:
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    times = gen_times(database, clock)
    leaving, staying = (started(times.next("a", clock.now())) for _ in range(2))
    leaving.cancel()
    leaving.addErrback(lambda failure: failure.trap(CancelledError))
    database.release()
    database.release()
    assert result_of(as_coroutine(staying)) == clock.now() + MICROSECOND


def test_more_callers_than_may_wait_are_turned_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_writes, "WAITING_LIMIT", 2)
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    times = gen_times(database, clock)
    callers = [started(times.next("a", clock.now())) for _ in range(3)]  # one is asking, two wait
    with pytest.raises(Unavailable, match="too much"):
        result_of(times.next("a", clock.now()))
    database.release()
    database.release()
    assert [result_of(as_coroutine(caller)) for caller in callers]


def test_the_end_of_the_process_waits_for_the_question_under_way() -> None:
    database, clock = HeldDatabase(InlineDatabase()), FrozenClock()
    times = gen_times(database, clock)
    result_of(times.drain())
    started(times.next("a", clock.now()))
    draining = Deferred.fromCoroutine(times.drain())
    assert not draining.called
    database.release()
    result_of(as_coroutine(draining))


@dataclass
class Caller:
    known: datetime | None
    """The latest time that anybody had when he asked."""
    now: datetime
    results: list[datetime] = field(default_factory=list)


class SeveralNodes:
    """Nodes whose clocks differ a little, whose writes come late, and who forget everything at any moment."""

    def __init__(self) -> None:
        self.database = InlineDatabase()
        self.clocks = [FrozenClock(FrozenClock().now() + timedelta(microseconds=5 * node)) for node in range(2)]
        self.held = [HeldDatabase(self.database) for _ in range(2)]
        self.nodes = [gen_times(self.held[node], self.clocks[node]) for node in range(2)]
        self.callers: list[Caller] = []

    @property
    def given(self) -> list[datetime]:
        return [time for caller in self.callers for time in caller.results]

    def ask(self, node: int) -> None:
        caller = Caller(max(self.given, default=None), self.clocks[node].now())
        self.callers.append(caller)
        started(self.nodes[node].next("a", caller.now)).addCallback(caller.results.append)

    def answer(self, node: int) -> None:
        self.held[node].release()

    def die(self, node: int) -> None:
        self.held[node] = HeldDatabase(self.database)
        self.nodes[node] = gen_times(self.held[node], self.clocks[node])

    def tick(self, node: int) -> None:
        self.clocks[node].advance(MICROSECOND)


EVENTS = [SeveralNodes.ask] * 4 + [SeveralNodes.answer] * 4 + [SeveralNodes.tick] * 2 + [SeveralNodes.die]


@pytest.mark.requirement("R-TSA-027")
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 1)), min_size=40, max_size=80))
def test_who_asks_after_an_answer_gets_a_later_time_whatever_happens(
    events: list[tuple[Callable[[SeveralNodes, int], None], int]],
) -> None:
    nodes = SeveralNodes()
    for happens, node in events:
        happens(nodes, node)
    for node in (0, 0, 1, 1):
        nodes.answer(node)
    assert len(set(nodes.given)) == len(nodes.given)
    for caller in nodes.callers:
        for time in caller.results:
            assert time >= caller.now
            assert caller.known is None or time > caller.known
