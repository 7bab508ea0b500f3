"""The reactor's end of threads, without a reactor: what threads hand over runs in the test's own thread."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class CallQueue:
    """Implements ``callFromThread`` of IReactorFromThreads; the calls run inside :meth:`result_of`."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()

    def callFromThread(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """Keep the call for the test's thread."""
        self._calls.put(lambda: call(*arguments, **named))

    def result_of(self, work: Coroutine[Any, Any, T] | Deferred[T], *, seconds: float = 60) -> T:
        """Run calls until ``work`` is done; AssertionError when it takes longer than ``seconds``."""
        results: list[Any] = []
        deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        deferred.addBoth(results.append)
        deadline = time.monotonic() + seconds
        while not results:
            try:
                self._calls.get(timeout=max(0.0, deadline - time.monotonic()))()
            except queue.Empty:
                raise AssertionError(f"not done after {seconds} s") from None
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]  # type: ignore[no-any-return]  # the list holds what the work gave
