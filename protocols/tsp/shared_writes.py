"""Many callers, one write: those who come while a write is under way share the next one.

    callers      a    b c d      e
    writes       |-- a --||-- b c d --||-- e --|

A caller never joins a write that began before it called, and callers are written in the order in which they called.
The batches grow with the load by themselves, and a lone caller waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred

from cspd.refusals import Refused, Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

WAITING_LIMIT = 20_000
"""Callers who may wait for their write; more than that get Unavailable at once."""


@dataclass(frozen=True, slots=True)
class _Caller(Generic[Q, A]):
    question: Q
    # Without a canceller: a caller who gives up stops waiting, and the write goes on.
    answer: Deferred[A] = field(default_factory=Deferred)


class SharedWrites(Generic[Q, A]):
    """Collects questions; ``write`` answers many at once, in their order, each with a result or a refusal.

    What ``write`` raises goes to each caller of that batch. Writes are not cancelled when callers leave.
    """

    def __init__(self, write: Callable[[Sequence[Q]], Coroutine[Any, Any, Sequence[A | Refused]]]) -> None:
        self._write = write
        self._waiting: list[_Caller[Q, A]] = []
        self._is_writing = False
        self._drained: list[Deferred[None]] = []

    async def ask(self, question: Q) -> A:
        """The answer to one question; raises Unavailable, or what ``write`` has for it."""
        if len(self._waiting) >= WAITING_LIMIT:
            raise Unavailable("the store has too much to do", detail=f"{WAITING_LIMIT} callers are waiting")
        caller: _Caller[Q, A] = _Caller(question)
        self._waiting.append(caller)
        if not self._is_writing:
            self._is_writing = True
            Deferred.fromCoroutine(self._write_while_asked())  # it raises nothing; drain() waits for its end
        return await caller.answer

    async def drain(self) -> None:
        """Wait until everything asked so far is written; for the end of the process."""
        if self._is_writing:
            drained: Deferred[None] = Deferred()
            self._drained.append(drained)
            await drained

    async def _write_while_asked(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            answers: Sequence[A | BaseException]
            try:
                answers = await self._write([caller.question for caller in batch])
            except Exception as error:  # each caller's request is the edge that tells a refusal from a bug
                answers = [error] * len(batch)
            for caller, answer in zip(batch, answers, strict=True):
                if isinstance(answer, BaseException):
                    refuse(caller.answer, answer)
                else:
                    caller.answer.callback(answer)
        self._is_writing = False
        drained, self._drained = self._drained, []
        for waiting in drained:
            waiting.callback(None)


def refuse(waiting: Deferred[Any], error: BaseException) -> None:
    """Give a caller an exception that others get as well.

    What each of them does with it adds to its traceback, which would keep the frames of thousands alive.
    """
    traceback = error.__traceback__
    waiting.errback(error)
    error.__traceback__ = traceback
