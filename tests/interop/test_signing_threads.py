"""The thread pool with real threads; the test's own thread stands for the reactor's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from cspd.keys.threads import KEPT, ThreadPool
from cspd.refusals import Unavailable

pytestmark = pytest.mark.interop


class Reactor:
    """Calls what threads ask for, when the test says so."""

    def __init__(self) -> None:
        self.calls: Queue[Callable[[], Any]] = Queue()
        self.wakeups = 0

    def call_from_thread(self, call: Callable[[], Any]) -> None:
        self.calls.put(call)

    def turn_until(self, is_done: Callable[[], object]) -> None:
        while not is_done():
            self.calls.get(timeout=30)()
            self.wakeups += 1


def make_pool(size: int, **arguments: Any) -> tuple[Reactor, ThreadPool]:
    reactor = Reactor()
    pool = ThreadPool("test", size, call_from_thread=reactor.call_from_thread, **arguments)
    pool.start()
    return reactor, pool


def end(reactor: Reactor, pool: ThreadPool) -> None:
    stopped = pool.stop()
    reactor.turn_until(lambda: stopped.called)


def test_works_run_in_named_threads_and_results_come_back_in_ours() -> None:
    reactor, pool = make_pool(2)
    names: list[str] = []
    came_back: list[threading.Thread] = []
    for _ in range(50):
        deferred = pool.run(lambda: threading.current_thread().name)
        deferred.addCallback(names.append)
        deferred.addCallback(lambda _: came_back.append(threading.current_thread()))
    reactor.turn_until(lambda: len(names) == 50)
    assert set(names) <= {"test-0", "test-1"}
    assert set(came_back) == {threading.current_thread()}
    end(reactor, pool)


def test_threads_that_finish_while_we_are_busy_share_a_wakeup() -> None:
    reactor, pool = make_pool(1)
    results: list[int] = []
    for number in range(100):
        pool.run(lambda n=number: n).addCallback(results.append)
    done = threading.Event()
    pool.run(done.set)
    done.wait(30)  # all but perhaps those of the last milliseconds have been reported, and we have not looked once
    reactor.turn_until(lambda: len(results) == 100)
    assert results == list(range(100))
    assert reactor.wakeups <= 2
    end(reactor, pool)


class Seconds:
    """A clock that works move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def test_results_of_quick_works_come_back_together() -> None:
    """While others wait for the thread: handing over is dear."""
    reactor, pool = make_pool(1, monotonic=Seconds())
    queued, begun, gate, results = threading.Event(), threading.Event(), threading.Event(), []
    pool.run(queued.wait)
    pool.run(lambda: 1).addCallback(results.append)
    pool.run(lambda: (begun.set(), gate.wait()))
    pool.run(lambda: 2).addCallback(results.append)
    queued.set()
    begun.wait(30)
    assert reactor.calls.empty()
    gate.set()
    reactor.turn_until(lambda: results == [1, 2])
    assert reactor.wakeups == 1
    end(reactor, pool)


def test_the_result_of_a_slow_work_does_not_wait_for_the_next_one() -> None:
    seconds = Seconds()
    reactor, pool = make_pool(1, monotonic=seconds)
    queued, gate, results = threading.Event(), threading.Event(), []
    pool.run(queued.wait)
    pool.run(lambda: seconds.pass_by(KEPT)).addCallback(results.append)
    pool.run(gate.wait)
    queued.set()
    reactor.turn_until(lambda: results)
    gate.set()
    end(reactor, pool)


def test_stopping_does_what_waits_and_takes_no_more() -> None:
    reactor, pool = make_pool(1)
    gate, results = threading.Event(), []
    pool.run(gate.wait)
    pool.run(lambda: "the last").addCallback(results.append)
    stopped = pool.stop()
    with pytest.raises(Unavailable, match="does not run"):
        pool.run(lambda: None)
    gate.set()
    reactor.turn_until(lambda: stopped.called)
    assert results == ["the last"]


def test_a_full_queue_refuses() -> None:
    reactor, pool = make_pool(1, limit=2)
    gate, begun = threading.Event(), threading.Event()
    pool.run(lambda: (begun.set(), gate.wait()))
    begun.wait(30)
    pool.run(lambda: None)
    pool.run(lambda: None)
    assert (pool.running, pool.waiting) == (1, 2)
    with pytest.raises(Unavailable, match="too many"):
        pool.run(lambda: None)
    gate.set()
    end(reactor, pool)
    assert (pool.running, pool.waiting) == (0, 0)


def test_cancelling_what_a_thread_has_begun_does_not_lose_its_result() -> None:
    reactor, pool = make_pool(1)
    gate, begun, results, failures = threading.Event(), threading.Event(), [], []
    running: Deferred[Any] = pool.run(lambda: (begun.set(), gate.wait(), "signed")[2])
    running.addCallback(results.append)
    waiting = pool.run(lambda: results.append("never"))
    waiting.addErrback(lambda failure: failures.append(failure.type))
    begun.wait(30)
    running.cancel()
    waiting.cancel()
    gate.set()
    end(reactor, pool)
    assert (results, failures) == (["signed"], [CancelledError])
