"""The rules of signing pools: claims, cancelling, failures, the inline pool."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred

from cspd.keys.threads import InlinePool, Task, ThreadPool
from cspd.refusals import Unavailable
from tests.support.pools import SteppedPool


def failure_of(deferred: Deferred[object]) -> BaseException:
    found: list[BaseException] = []
    deferred.addErrback(lambda failure: found.append(failure.value))
    assert found, "did not fail"
    return found[0]


def test_only_the_first_claim_has_the_task() -> None:
    task = Task(lambda: 1)
    assert [task.claim(), task.claim(), task.claim()] == [True, False, False]


def test_cancelling_a_waiting_work_takes_it_out() -> None:
    """Its caller is told, and no thread runs it."""
    pool, done = SteppedPool(), []
    deferred = pool.run(lambda: done.append("signed"))
    deferred.cancel()
    assert isinstance(failure_of(deferred), CancelledError)
    pool.step()
    assert done == []


def test_cancelling_a_begun_work_does_nothing() -> None:
    """A signature that a thread makes must reach whoever records it."""
    pool, results = SteppedPool(), []
    deferred = pool.run(lambda: "signature").addCallback(results.append)
    pool.begin()
    deferred.cancel()
    assert results == []
    pool.end()
    assert results == ["signature"]


def test_cancelling_after_the_result_cancels_what_the_caller_chained() -> None:
    """As every Deferred does: the claim of the pool is over then."""
    pool, inner = SteppedPool(), Deferred[None]()
    deferred = pool.run(lambda: 1).addCallback(lambda _: inner)
    pool.step()
    deferred.cancel()
    assert isinstance(failure_of(deferred), CancelledError)


def test_what_a_work_raises_comes_out() -> None:
    pool = SteppedPool()
    deferred = pool.run(lambda: 1 // 0)
    pool.step()
    assert isinstance(failure_of(deferred), ZeroDivisionError)


def test_inline_pool_runs_at_once() -> None:
    results: list[int] = []
    InlinePool().run(lambda: 7).addCallback(results.append)
    assert results == [7]
    assert isinstance(failure_of(InlinePool().run(lambda: 1 // 0)), ZeroDivisionError)


def test_a_pool_that_does_not_run_refuses() -> None:
    pool = ThreadPool("test", 1, call_from_thread=lambda call: call())
    with pytest.raises(Unavailable, match="does not run"):
        pool.run(lambda: 1)
