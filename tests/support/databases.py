"""A database without threads: SQLite in memory, each work run at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import StaticPool

from cspd.store.tables import metadata

T = TypeVar("T")


class InlineDatabase:
    """Implements :class:`cspd.store.interfaces.Database` synchronously; import table modules before making one."""

    def __init__(self) -> None:
        self.engine = create_engine("sqlite://", poolclass=StaticPool, hide_parameters=True)
        event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
        metadata.create_all(self.engine)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``; nothing it writes stays."""
        with self.engine.connect() as connection:
            return work(connection)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` and commit, or undo all of it."""
        with self.engine.begin() as connection:
            return work(connection)
