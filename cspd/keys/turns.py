"""Signatures of one turn of the reactor, made one behind the other at its end, in the reactor thread.

A P-256 signature reads a table of 150 KB in constant time. Made between the decoding of one request and that of the
next, it finds the table gone from the processor's first cache and leaves the interpreter's data gone: together another
20 microseconds on a signature that takes 21. Back to back, a whole turn of requests pays that once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from cspd.refusals import Unavailable
from cspd.turns import EndOfTurn
from cspd.waiting import Awaited

__all__ = ["TurnPool"]

T = TypeVar("T")


class TurnPool:
    """Implements :class:`cspd.keys.threads.SigningPool` for works of some microseconds."""

    running = 0
    _log = Logger()

    def __init__(self, end_of_turn: EndOfTurn) -> None:
        self._end_of_turn = end_of_turn
        self._queue: list[tuple[Callable[[], Any], Awaited[Any]]] = []
        self._accepting = False

    @property
    def waiting(self) -> int:
        """See :class:`cspd.keys.threads.SigningPool`."""
        return len(self._queue)

    def start(self) -> None:
        """See :class:`cspd.keys.threads.SigningPool`."""
        self._accepting = True

    def stop(self) -> Deferred[None]:
        """See :class:`cspd.keys.threads.SigningPool`; does at once what waits."""
        self._accepting = False
        self._work()
        return succeed(None)

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """See :class:`cspd.keys.threads.SigningPool`."""
        if not self._accepting:
            raise Unavailable("the key service does not run", code="keys-stopped")
        awaited: Awaited[T] = Awaited()
        self._queue.append((work, awaited))
        if len(self._queue) == 1:
            self._end_of_turn.work(self._work)
        return awaited

    def _work(self) -> None:
        queue, self._queue = self._queue, []
        outcomes = [_outcome_of(work, awaited) for work, awaited in queue]
        for tell, result in outcomes:
            try:
                tell(result)
            except Exception:  # the others are still owed their results
                self._log.failure("unexpected error of somebody who waited for a signature")


def _outcome_of(work: Callable[[], T], awaited: Awaited[T]) -> tuple[Callable[[Any], None], Any]:
    """Do the work: how to tell what came of it, and that; cancelled work is not done."""
    if awaited.called:
        return awaited.settle, None
    try:
        return awaited.settle, work()
    except BaseException as error:  # a panic in a library written in Rust is no Exception
        return awaited.fail, error
