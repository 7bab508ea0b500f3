"""A value that takes a while to read and is good for a while: read once for all who ask meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Kept(Generic[T]):
    """Reads the value when somebody asks and it is not there, or too old."""

    def __init__(
        self, read: Callable[[], Coroutine[Any, Any, T]], *, lifetime: float, seconds: Callable[[], float]
    ) -> None:
        """``lifetime`` in seconds, by a clock that does not go back."""
        self._read = read
        self._lifetime = lifetime
        self._seconds = seconds
        self._value: T | None = None
        self._until = 0.0
        self._waiting: list[Deferred[T]] = []
        self._is_reading = False

    async def get(self) -> T:
        """The value; raises what reading it raises, which all who wait for it get, and the next asks anew."""
        kept = self.peek()
        if kept is not None:
            return kept
        # Who goes away leaves the others, and the reading, as they are.
        waiting: Deferred[T] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if not self._is_reading:
            self._is_reading = True
            Deferred.fromCoroutine(self._read()).addBoth(self._has_read)
        return await waiting

    def peek(self) -> T | None:
        """The value if it is there and good."""
        return self._value if self._seconds() < self._until else None

    def _has_read(self, result: T | Failure) -> None:
        self._is_reading = False
        waiting, self._waiting = self._waiting, []
        if not isinstance(result, Failure):
            self._value, self._until = result, self._seconds() + self._lifetime
        for each in waiting:
            each.callback(result)  # a Failure makes it fail
