from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from cspd.directory.threads import QuestionThreads
from cspd.refusals import Unavailable
from tests.support.pools import SteppedPool
from tests.support.running import result_of


def begun(threads: QuestionThreads, work: Any) -> list[Any]:
    results: list[Any] = []
    Deferred.fromCoroutine(threads.run(work)).addBoth(results.append)
    return results


def test_work_is_done_in_the_pool_and_so_much_waits_and_no_more() -> None:
    pool = SteppedPool()
    threads = QuestionThreads(pool, max_waiting=2)
    first, second = begun(threads, lambda: 1), begun(threads, lambda: 1 / 0)
    with pytest.raises(Unavailable, match="too many"):
        result_of(threads.run(lambda: 3))
    pool.step()
    pool.step()
    assert first == [1]
    assert second[0].check(ZeroDivisionError)


def test_nothing_is_begun_after_the_end() -> None:
    threads = QuestionThreads(SteppedPool(), max_waiting=2)
    assert threads.stop() is None  # never started, so that nothing has to end
    with pytest.raises(Unavailable, match="stopped"):
        result_of(threads.run(lambda: 1))


def test_stopping_ends_the_pool_that_was_started() -> None:
    pool = SteppedPool()
    threads = QuestionThreads(pool, max_waiting=2)
    results = begun(threads, lambda: 1)
    assert threads.stop() is not None
    assert results == [1]
