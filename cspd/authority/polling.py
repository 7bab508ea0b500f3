"""A question asked again and again, so that a node sees what others wrote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from cspd.refusals import Unavailable


class Timer(Protocol):
    """A call to come (IDelayedCall)."""

    def cancel(self) -> None:
        """Do not make the call."""
        ...


class Timers(Protocol):
    """What we use of a reactor's clock (IReactorTime, whose zope interface mypy cannot read)."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Timer:
        """Call in so many seconds."""
        ...

    def seconds(self) -> float:
        """A time that only moves forward."""
        ...


class Polling:
    """Runs ``turn`` every ``interval`` seconds from :meth:`start` to :meth:`stop`, never two turns at once.

    A turn that fails is logged and does not end the polling; the first time with its traceback, unless it is the store
    that is away.
    """

    _log = Logger()

    def __init__(self, reactor: Timers, turn: Callable[[], Awaitable[None]], *, interval: float, what: str) -> None:
        self._turn = turn
        self._what = what
        self._interval = interval
        self._failing = False
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._run()))
        self._loop.clock = reactor  # type: ignore[assignment]  # Timers is its part that we use

    def start(self) -> None:
        """Begin; the first turn comes after one interval."""
        if not self._loop.running:
            self._loop.start(self._interval, now=False)

    def stop(self) -> None:
        """End; a turn that runs ends by itself."""
        if self._loop.running:
            self._loop.stop()

    async def _run(self) -> None:
        try:
            await self._turn()
        except Unavailable as unavailable:
            if not self._failing:
                self._log.warn("cannot read {what}: {reason}", what=self._what, reason=unavailable.reason)
            self._failing = True
        except Exception as error:  # the edge of a periodic task: one failure must not end it
            if not self._failing:
                self._log.failure("cannot read {what}", what=self._what)
            self._failing = True
            self._log.debug("cannot read {what}: {error}", what=self._what, error=error)
        else:
            if self._failing:
                self._log.info("can read {what} again", what=self._what)
            self._failing = False
