"""Work that runs to its end although whoever asked for it has gone."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")


class Uncancelled:
    """Owns coroutines that must not stop half-way: signing, and storing what was signed.

    Cancelling the caller cancels only its waiting. A failure that nobody waits for any more is logged.
    """

    _log = Logger()

    def __init__(self) -> None:
        self._running: set[Deferred[Any]] = set()

    async def run(self, work: Coroutine[Deferred[Any], Any, T]) -> T:
        """Start the work and wait for what it returns or raises."""
        running: Deferred[T] = Deferred.fromCoroutine(work)
        if running.called:  # it never had to wait, so nobody can have left
            return await running
        self._running.add(running)
        waiting: Deferred[T] = Deferred()
        running.addBoth(self._ended, running, waiting)
        return await waiting

    async def drain(self) -> None:
        """Wait for everything that still runs; for the end of the process."""
        await DeferredList([_quiet(running) for running in tuple(self._running)])

    def _ended(self, result: T | Failure, running: Deferred[T], waiting: Deferred[T]) -> None:
        self._running.discard(running)
        if waiting.called:
            if isinstance(result, Failure):
                self._log.failure("Work failed after its caller had left", failure=result)
        elif isinstance(result, Failure):
            waiting.errback(result)
        else:
            waiting.callback(result)


def _quiet(running: Deferred[Any]) -> Deferred[None]:
    ended: Deferred[None] = Deferred()

    def end(result: Any) -> Any:
        ended.callback(None)
        return result

    running.addBoth(end)
    return ended
