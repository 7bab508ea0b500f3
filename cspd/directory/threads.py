"""Where what blocks is done for directories and tickets: so many threads, started with the first question."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

from cspd.keys.threads import SigningPool
from cspd.refusals import Unavailable

T = TypeVar("T")


class Threads(Protocol):
    """Runs what blocks."""

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises; raises Unavailable when too many wait."""
        ...


class QuestionThreads:
    """Implements :class:`Threads`.

    The threads are daemonic and nobody waits for them at the end: a server that does not answer must not hold up a
    reload or the shutdown for the length of its time-outs.
    """

    def __init__(self, pool: SigningPool, *, max_waiting: int) -> None:
        self._pool = pool
        self._max_waiting = max_waiting
        self._state = "new"

    async def run(self, work: Callable[[], T]) -> T:
        """See :class:`Threads`."""
        if self._state == "stopped":
            raise Unavailable("the directory has been stopped")
        if self._pool.waiting >= self._max_waiting:
            raise Unavailable("too many questions wait for the directory", retry_after=timedelta(seconds=5))
        if self._state == "new":
            self._pool.start()
            self._state = "running"
        return await self._pool.run(work)

    def stop(self) -> Deferred[None] | None:
        """Take no more questions; what comes back fires when those that are asked now have been answered."""
        is_running, self._state = self._state == "running", "stopped"
        return self._pool.stop() if is_running else None
