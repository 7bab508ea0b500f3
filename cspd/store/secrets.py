"""Random values that all workers and nodes share, made by whoever needs one first."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from cspd.clock import Clock
from cspd.store.interfaces import Database
from cspd.store.tables import shared_secrets

SECRET_BYTES = 32


class SharedSecrets:
    """Gives named secrets of 32 random bytes, the same to everybody on this store (HMAC keys of nonces, and such)."""

    def __init__(self, *, database: Database, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes

    async def get(self, name: str) -> bytes:
        """The secret of that name (64 characters at most), made and stored first if there is none.

        When two nodes make it at the same time, both get the one that was stored first. Raises Unavailable.
        """
        if (stored := await self._database.read(lambda connection: _find(connection, name))) is not None:
            return stored
        candidate = self._random_bytes(SECRET_BYTES)

        def store(connection: Connection) -> bytes:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            # Waits for another node's uncommitted row and then keeps that; a plain INSERT would raise.
            insertion = dialect.insert(shared_secrets).values(name=name, value=candidate, created_at=self._clock.now())
            connection.execute(insertion.on_conflict_do_nothing())
            stored = _find(connection, name)
            assert stored is not None
            return stored

        return await self._database.write(store)


def _find(connection: Connection, name: str) -> bytes | None:
    return connection.execute(select(shared_secrets.c.value).where(shared_secrets.c.name == name)).scalar()
