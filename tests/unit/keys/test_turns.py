"""Works of one turn run together at its end; each has its own outcome."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from cspd.keys.turns import TurnPool
from cspd.refusals import Unavailable
from cspd.turns import EndOfTurn
from tests.unit.keys.test_threads import failure_of


def make_pool() -> tuple[TurnPool, Clock]:
    time = Clock()
    pool = TurnPool(EndOfTurn(time.callLater))
    pool.start()
    return pool, time


def test_works_run_one_behind_the_other_before_anybody_hears_of_them() -> None:
    pool, time = make_pool()
    done: list[str] = []
    for name in "ab":
        pool.run(lambda name=name: done.append(f"work {name}")).addCallback(  # type: ignore[misc]  # lambdas
            lambda _, name=name: done.append(f"result {name}")
        )
    assert (done, pool.waiting) == ([], 2)
    time.advance(0)
    assert done == ["work a", "work b", "result a", "result b"]
    assert pool.waiting == 0


def test_work_of_who_was_resumed_waits_for_the_next_turn() -> None:
    """So that a client that sends many requests at once takes turns with others."""
    due, done = list[Callable[[], None]](), list[int]()
    pool = TurnPool(EndOfTurn(lambda seconds, call: due.append(call)))
    pool.start()
    pool.run(lambda: 1).addCallback(lambda _: pool.run(lambda: done.append(2)) and None)
    due.pop()()
    assert done == []
    due.pop()()
    assert done == [2]


class _Panic(BaseException):
    """As a library written in Rust raises it."""


def test_what_a_work_raises_is_its_own() -> None:
    pool, time = make_pool()
    results: list[int] = []
    failing, panicking = pool.run(lambda: 1 // 0), pool.run(_panic)
    pool.run(lambda: 7).addCallback(results.append)
    time.advance(0)
    assert isinstance(failure_of(failing), ZeroDivisionError)
    assert isinstance(failure_of(panicking), _Panic)
    assert results == [7]


def _panic() -> None:
    raise _Panic


def test_a_waiter_that_breaks_leaves_the_others_theirs() -> None:
    pool, time = make_pool()
    results: list[int] = []
    events: list[object] = []
    broken = pool.run(lambda: 1)
    pool.run(lambda: 7).addCallback(results.append)
    broken.resume(lambda _: 1 // 0)  # type: ignore[attr-defined]  # an Awaited
    globalLogPublisher.addObserver(events.append)
    try:
        time.advance(0)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert results == [7]
    assert len(events) == 1


def test_cancelled_work_is_not_done() -> None:
    pool, time = make_pool()
    done: list[str] = []
    deferred = pool.run(lambda: done.append("signed"))
    deferred.cancel()
    assert isinstance(failure_of(deferred), CancelledError)
    time.advance(0)
    assert done == []


def test_stopping_does_what_waits_and_takes_no_more() -> None:
    pool, time = make_pool()
    results: list[int] = []
    pool.run(lambda: 7).addCallback(results.append)
    pool.stop()
    assert results == [7]
    with pytest.raises(Unavailable, match="does not run"):
        pool.run(lambda: 1)
    time.advance(0)
    assert results == [7]
