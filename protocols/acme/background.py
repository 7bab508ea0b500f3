"""Work that outlives the request that began it: owned here, stopped here, its failures logged here."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")


class Background:
    """Owns running coroutines."""

    _log = Logger()

    def __init__(self) -> None:
        self._tasks: set[Deferred[Any]] = set()
        self._is_stopping = False

    def start(self, work: Coroutine[Deferred[Any], Any, Any], what: str) -> None:
        """Run ``work``; nobody waits for it."""
        self._own(Deferred.fromCoroutine(work)).addErrback(self._report, what)

    def shield(self, work: Coroutine[Deferred[Any], Any, T], what: str) -> Deferred[T]:
        """Run ``work`` and give its outcome; cancelling the answer (the client left) does not touch the work."""
        outcome: Deferred[T] = Deferred()

        def deliver(result: T | Failure) -> None:
            if not outcome.called:
                outcome.callback(result)
            elif isinstance(result, Failure):
                self._report(result, what)

        self._own(Deferred.fromCoroutine(work)).addBoth(deliver)
        return outcome

    async def stop(self) -> None:
        """Cancel what runs and wait until it has put its things in order."""
        self._is_stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await DeferredList(tasks, consumeErrors=True)

    def _own(self, task: Deferred[T]) -> Deferred[T]:
        self._tasks.add(task)

        def disown(result: T | Failure) -> T | Failure:
            self._tasks.discard(task)
            return result

        return task.addBoth(disown)

    def _report(self, failure: Failure, what: str) -> None:
        if not (self._is_stopping and isinstance(failure.value, CancelledError)):
            self._log.failure("{what} failed", failure=failure, what=what)
