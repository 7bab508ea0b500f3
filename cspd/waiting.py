"""A result that one coroutine waits for, at a third of what a Deferred costs.

The HTTP server drives the coroutines of its handlers by itself. For what it awaits by tens of thousands a second, a
callback chain of one link is too much: it has itself resumed directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

__all__ = ["Awaited"]

T = TypeVar("T")


class Awaited(Deferred[T]):
    """A Deferred for everybody but the one who calls :meth:`resume`."""

    _resumes: tuple[Callable[..., None], tuple[Any, ...]] | None = None

    def resume(self, call: Callable[..., None], *arguments: Any) -> None:
        """When the result is here, have ``call`` called, with None and ``arguments``; awaiting this then gives it.

        At most once, by who awaits it, who adds no callbacks then and does not cancel.
        """
        self._resumes = call, arguments

    def settle(self, result: T) -> None:
        """Give the result; nothing happens to one that was cancelled."""
        if self.called:
            return
        if self._resumes is None:
            self.callback(result)
            return
        # What ``callback`` comes to where there are no callbacks.
        self.called = True
        self.result = result
        call, arguments = self._resumes
        call(None, *arguments)

    def fail(self, error: BaseException) -> None:
        """Raise the error where this is awaited; nothing happens to one that was cancelled."""
        if self.called:
            return
        self.errback(error)
        if self._resumes is not None:
            call, arguments = self._resumes
            call(None, *arguments)
