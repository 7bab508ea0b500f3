"""What the rest of the house asks of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """Runs work on the database off the reactor thread.

    ``work`` is a plain function of a SQLAlchemy connection; it must not commit, keep the connection, or touch anything
    that belongs to the reactor thread. What it raises comes out of the await; a lost connection or a full disk comes
    out as :class:`cspd.refusals.Unavailable`.
    """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a reader thread; it sees everything committed before the call."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in the writer thread; when this returns, what it wrote is durable.

        Works of concurrent callers share one commit; each runs in its own savepoint, so that one that raises undoes
        only itself. Not cancelled once begun. ``work`` may be run a second time (its first effects undone) when the
        database reports a conflict, so it has no side effects of its own.
        """
        ...
