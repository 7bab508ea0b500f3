"""A real reactor for the length of one coroutine: for what needs sockets of Twisted and a thread pool."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

T = TypeVar("T")


def run_in_reactor(work: Callable[[Any], Coroutine[Any, Any, T]], *, seconds: float = 120) -> T:
    """What ``work`` returns or raises, given a reactor that nobody else has and that runs meanwhile.

    AssertionError when it takes longer than ``seconds``.
    """
    reactor = SelectReactor()
    results: list[Any] = []

    def begin() -> None:
        deferred = Deferred.fromCoroutine(work(reactor)).addTimeout(seconds, reactor)
        deferred.addBoth(results.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    assert results, "the reactor ended before the work"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]  # type: ignore[no-any-return]  # the list holds what the work gave
