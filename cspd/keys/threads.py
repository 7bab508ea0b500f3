"""Threads that sign: named, bounded, apart from the reactor's own pool (which resolves names).

Results come back to the reactor thread, some at a time: what makes handing over dear is not the work of it but that two
threads want the interpreter's lock. So a thread that has more to do keeps results for up to two milliseconds, and
threads that finish while the reactor is busy share one wake-up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from cspd.refusals import Unavailable
from cspd.waiting import Awaited

T = TypeVar("T")

KEPT = 0.002
"""Seconds that a result may wait for others of its thread, while works wait for a thread."""


class SigningPool(Protocol):
    """Runs work off the reactor thread."""

    @property
    def waiting(self) -> int:
        """How many works wait for a thread."""
        ...

    @property
    def running(self) -> int:
        """How many works are in a thread now."""
        ...

    def start(self) -> None:
        """Start the threads."""
        ...

    def stop(self) -> Deferred[None]:
        """Take no more work; fires when all that was taken is done and the threads have ended."""
        ...

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Run ``work`` in a thread and fire, in the reactor thread, with what it returns or raises.

        Cancelling the Deferred takes the work out of the queue; once a thread has begun it, cancelling does nothing and
        the Deferred still fires with the result: a signature that was made must be accounted for.
        Raises :class:`cspd.refusals.Unavailable` when the queue is full or the pool does not run.
        """
        ...


class Task(Generic[T]):
    """One work in a queue. Whoever claims it first, the thread that runs it or the caller that cancels, has it."""

    __slots__ = ("_claims", "deferred", "work")

    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.deferred: Awaited[T] = _TaskDeferred(self)
        self._claims = [None]

    def claim(self) -> bool:
        """Whether this call, of all threads, is the first."""
        try:
            self._claims.pop()  # atomic
        except IndexError:
            return False
        return True


class _TaskDeferred(Awaited[T]):
    """A Deferred whose ``cancel`` does nothing once its task has begun."""

    def __init__(self, task: Task[T]) -> None:
        super().__init__()
        self._task = task

    def cancel(self) -> None:
        """Cancel unless a thread has begun; after the result is in, do what every Deferred does."""
        if self.called or self._task.claim():
            super().cancel()


_Outcome = tuple[Callable[[Any], None], Any]
"""How to tell what came of a work, and that."""


class ThreadPool:
    """Implements :class:`SigningPool` with ``size`` threads that are called ``name`` and a number."""

    _log = Logger()

    def __init__(
        self,
        name: str,
        size: int,
        *,
        call_from_thread: Callable[[Callable[[], Any]], Any],
        limit: int = 10_000,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """``call_from_thread`` is the reactor's ``callFromThread``; more than ``limit`` waiting works are refused."""
        self.name = name
        self.size = size
        self._call_from_thread = call_from_thread
        self._limit = limit
        self._monotonic = monotonic
        self._queue: SimpleQueue[Task[Any] | None] = SimpleQueue()
        self._finished: list[_Outcome] = []
        self._lock = Lock()
        self._woken = False
        self._alive = 0
        self._running = 0
        self._accepting = False
        self._stopped: Deferred[None] = Deferred()

    @property
    def waiting(self) -> int:
        """See :class:`SigningPool`."""
        return self._queue.qsize()

    @property
    def running(self) -> int:
        """See :class:`SigningPool`."""
        return self._running

    def start(self) -> None:
        """See :class:`SigningPool`. A pool is started once."""
        self._accepting = True
        self._alive = self.size
        for number in range(self.size):
            # Daemonic: a token that never answers must not keep the process from ending.
            Thread(target=self._work, name=f"{self.name}-{number}", daemon=True).start()

    def stop(self) -> Deferred[None]:
        """See :class:`SigningPool`."""
        if not self._accepting:
            return succeed(None)
        self._accepting = False
        for _ in range(self.size):
            self._queue.put(None)
        return self._stopped

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """See :class:`SigningPool`."""
        if not self._accepting:
            raise Unavailable("the key service does not run", code="keys-stopped")
        if self._queue.qsize() >= self._limit:
            raise Unavailable("too many signatures are waiting", code="keys-busy", retry_after=timedelta(seconds=5))
        task = Task(work)
        self._queue.put(task)
        return task.deferred

    def _work(self) -> None:
        kept: list[_Outcome] = []
        kept_until = 0.0
        while (task := self._next(kept)) is not None:
            if not task.claim():
                continue
            with self._lock:
                self._running += 1
            begun = self._monotonic()
            try:
                outcome: _Outcome = (task.deferred.settle, task.work())
            except BaseException as error:
                outcome = (task.deferred.fail, error)
            ended = self._monotonic()
            with self._lock:
                self._running -= 1
            if not kept:
                kept_until = ended + KEPT
            kept.append(outcome)
            if ended + (ended - begun) > kept_until:  # another work like this one would take too long
                self._report(kept)
            del task, outcome  # do not keep what the caller may be done with until the next work comes
        self._report(kept)
        with self._lock:
            self._alive -= 1
            last = self._alive == 0
        if last:
            self._report([(self._stopped.callback, None)])

    def _next(self, kept: list[_Outcome]) -> Task[Any] | None:
        """The next work, None at the end; before waiting for one, what is kept is reported."""
        if kept:
            try:
                return self._queue.get_nowait()
            except Empty:
                self._report(kept)
        return self._queue.get()

    def _report(self, outcomes: list[_Outcome]) -> None:
        with self._lock:
            self._finished.extend(outcomes)
            wake, self._woken = not self._woken, True
        outcomes.clear()
        if wake:
            self._call_from_thread(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            self._woken = False
            finished, self._finished = self._finished, []
        for tell, result in finished:
            try:
                tell(result)
            except Exception:  # the others are still owed their results
                self._log.failure("unexpected error of somebody who waited for a signature")


class InlinePool:
    """Implements :class:`SigningPool` for programs without a reactor, such as ``cspctl``: runs each work at once."""

    waiting = 0
    running = 0

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Run ``work`` now."""
        deferred: Deferred[T] = Deferred()
        try:
            deferred.callback(work())
        except Exception as error:
            deferred.errback(error)
        return deferred


__all__ = ["InlinePool", "SigningPool", "Task", "ThreadPool"]
