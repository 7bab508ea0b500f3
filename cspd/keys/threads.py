"""Threads that sign: named, bounded, apart from the reactor's own pool (which resolves names).

Results come back to the reactor thread. Threads that finish while the reactor is busy share one wake-up, so that a
hundred signatures do not cost a hundred writes to the reactor's wake-up pipe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, succeed

from cspd.refusals import Unavailable

T = TypeVar("T")


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
        self.deferred: Deferred[T] = _TaskDeferred(self)
        self._claims = [None]

    def claim(self) -> bool:
        """Whether this call, of all threads, is the first."""
        try:
            self._claims.pop()  # atomic
        except IndexError:
            return False
        return True


class _TaskDeferred(Deferred[T]):
    """A Deferred whose ``cancel`` does nothing once its task has begun."""

    def __init__(self, task: Task[T]) -> None:
        super().__init__()
        self._task = task

    def cancel(self) -> None:
        """Cancel unless a thread has begun; after the result is in, do what every Deferred does."""
        if self.called or self._task.claim():
            super().cancel()


class ThreadPool:
    """Implements :class:`SigningPool` with ``size`` threads that are called ``name`` and a number."""

    def __init__(
        self, name: str, size: int, *, call_from_thread: Callable[[Callable[[], Any]], Any], limit: int = 10_000
    ) -> None:
        """``call_from_thread`` is the reactor's ``callFromThread``; more than ``limit`` waiting works are refused."""
        self.name = name
        self.size = size
        self._call_from_thread = call_from_thread
        self._limit = limit
        self._queue: SimpleQueue[Task[Any] | None] = SimpleQueue()
        self._finished: deque[tuple[Callable[[Any], None], Any]] = deque()
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
        while (task := self._queue.get()) is not None:
            if not task.claim():
                continue
            with self._lock:
                self._running += 1
            fire: Callable[[Any], None]
            result: Any
            try:
                result, fire = task.work(), task.deferred.callback
            except BaseException as error:
                result, fire = error, task.deferred.errback
            with self._lock:
                self._running -= 1
            self._report(fire, result)
            del task, fire, result  # do not keep what the caller may be done with until the next work comes
        with self._lock:
            self._alive -= 1
            last = self._alive == 0
        if last:
            self._report(self._stopped.callback, None)

    def _report(self, fire: Callable[[Any], None], result: Any) -> None:
        with self._lock:
            self._finished.append((fire, result))
            wake, self._woken = not self._woken, True
        if wake:
            self._call_from_thread(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            self._woken = False
            finished, self._finished = self._finished, deque()
        for fire, result in finished:
            fire(result)


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
