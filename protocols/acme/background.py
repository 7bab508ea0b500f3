"""Work that outlives the request that began it: owned here, stopped here, its failures logged here."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from cspd.refusals import Refused
from protocols.acme.errors import ACMEError

T = TypeVar("T")


class Background:
    """Owns running coroutines."""

    _log = Logger()

    def __init__(self) -> None:
        self._cancellable: set[Deferred[Any]] = set()
        self._shielded: set[Deferred[Any]] = set()

    def start(self, work: Coroutine[Deferred[Any], Any, Any], what: str) -> None:
        """Run ``work``; nobody waits for it, and :meth:`stop` cancels it."""
        task = _own(self._cancellable, work)
        task.addErrback(_forget_cancellation).addErrback(self._report, what)

    def shield(self, work: Coroutine[Deferred[Any], Any, T], what: str) -> Deferred[T]:
        """Run ``work`` and give its outcome; cancelling the answer (the client left) does not touch the work."""
        outcome: Deferred[T] = Deferred()

        def deliver(result: T | Failure) -> None:
            if not outcome.called:
                outcome.callback(result)
            elif isinstance(result, Failure):
                self._report(result, what)

        _own(self._shielded, work).addBoth(deliver)
        return outcome

    async def stop(self) -> None:
        """Cancel what may be cancelled, and wait for all that runs."""
        tasks = [*self._cancellable, *self._shielded]
        for task in tuple(self._cancellable):
            task.cancel()
        await DeferredList([_ended(task) for task in tasks])

    def _report(self, failure: Failure, what: str) -> None:
        if isinstance(failure.value, (ACMEError, Refused)):  # an answer that came after its client had left
            self._log.info("{what} was refused: {reason}", what=what, reason=str(failure.value))
        else:
            self._log.failure("{what} failed", failure=failure, what=what)


def _own(owned: set[Deferred[Any]], work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    task = Deferred.fromCoroutine(work)
    if not task.called:
        owned.add(task)

        def disown(result: T | Failure) -> T | Failure:
            owned.discard(task)
            return result

        task.addBoth(disown)
    return task


def _forget_cancellation(failure: Failure) -> None:
    if not isinstance(failure.value, CancelledError):
        failure.raiseException()


def _ended(task: Deferred[Any]) -> Deferred[None]:
    ended: Deferred[None] = Deferred()

    def end(result: Any) -> Any:
        ended.callback(None)
        return result

    task.addBoth(end)
    return ended
