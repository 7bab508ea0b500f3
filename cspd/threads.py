"""Work that takes long goes to a thread, so that the reactor's does not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.threads import deferToThreadPool

T = TypeVar("T")


class InThread(Protocol):
    """Runs work elsewhere."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, or raises."""
        ...


def reactor_threads(reactor: Any) -> InThread:
    """Runs work in the thread pool of a reactor (IReactorThreads)."""

    async def in_thread(work: Callable[[], T]) -> T:
        result: T = await deferToThreadPool(reactor, reactor.getThreadPool(), work)
        return result

    return in_thread
