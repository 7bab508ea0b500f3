"""Leases on what is processed: renewed while the process that took them lives, taken over when it does not.

What a process has begun with an order or a challenge, no other may touch while the lease lasts. A process that dies
renews nothing, so that another one goes on after :data:`LEASE` at most. On a store that only one process uses at a
time, its successor knows at once that the leases of all others are those of the dead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LEASE = timedelta(seconds=30)
_RENEWALS = 3
"""How often a lease is renewed while it lasts."""


class KeptLease:
    """``async with KeptLease(...)``: calls ``renew`` again and again while the block runs."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime, renew: Callable[[], Awaitable[object]]) -> None:
        self._renew = renew
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self._turn()))
        self._loop.clock = reactor

    async def __aenter__(self) -> None:
        self._loop.start(LEASE.total_seconds() / _RENEWALS, now=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.stop()

    async def _turn(self) -> None:
        try:
            await self._renew()
        except Exception as error:  # the store is away: the lease may last until it is back, and nobody can take it
            self._log.warn("a lease was not renewed: {error}", error=error)
