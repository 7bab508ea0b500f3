"""A store that answers when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from cspd.refusals import Unavailable
from tests.support.databases import InlineDatabase

T = TypeVar("T")


class HeldDatabase:
    """Implements :class:`cspd.store.interfaces.Database`: writes wait for :meth:`release`, or are refused."""

    def __init__(self, database: InlineDatabase) -> None:
        self._database = database
        self.held: list[Deferred[None]] = []
        self.is_away = False

    async def read(self, work: Callable[[Connection], T]) -> T:
        """At once."""
        return await self._database.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """When released; Unavailable while the store is away."""
        if self.is_away:
            raise Unavailable("the store cannot answer now")
        waiting: Deferred[None] = Deferred()
        self.held.append(waiting)
        await waiting
        return await self._database.write(work)

    def release(self) -> None:
        """Do what is held now; what that leads to is held again."""
        held, self.held = self.held, []
        for waiting in held:
            waiting.callback(None)


async def as_coroutine(waiting: Deferred[T]) -> T:
    """For :func:`tests.support.running.result_of`."""
    return await waiting
