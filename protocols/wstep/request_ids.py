"""RequestIDs: numbers by which a client may ask for its certificate again, kept with the certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from sqlalchemy import Connection, delete, exists, insert, select, tuple_

from cspd.authority.interfaces import Recorded
from cspd.clock import Clock
from cspd.refusals import NotFound, Unavailable
from cspd.store.interfaces import Database
from cspd.store.tables import certificates
from protocols.wstep.errors import NO_SUCH_REQUEST
from protocols.wstep.tables import wstep_requests as table

MAX_REQUEST_ID = 2**31 - 1
"""A LONG of Windows."""
_DIGITS = len(str(MAX_REQUEST_ID))
_ATTEMPTS = 16
_BATCH = 500


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A request that was answered with a certificate."""

    request_id: int
    serial: int


class RequestIDs:
    """Gives numbers and finds what they were given for.

    They are random, so that nodes need not agree on the next one, and nobody learns how many certificates there are.
    """

    def __init__(self, *, clock: Clock, random: Random, database: Database) -> None:
        self._clock = clock
        self._random = random
        self._database = database

    async def choose(self, authority_id: str) -> int:
        """A number that no request of the CA has; raises Unavailable."""
        candidates = [self._random.randint(1, MAX_REQUEST_ID) for _ in range(_ATTEMPTS)]
        taken = await self._database.read(
            lambda connection: set(
                connection.scalars(
                    select(table.c.request_id).where(
                        table.c.authority_id == authority_id, table.c.request_id.in_(candidates)
                    )
                )
            )
        )
        free = [each for each in candidates if each not in taken]
        if not free:
            raise Unavailable("no unused RequestID", detail="the random number generator repeats itself")
        return free[0]

    def recorded(self, request_id: int, requester: str) -> Recorded:
        """Keeps a number in the transaction that stores its certificate."""

        def record(connection: Connection, authority_id: str, serial: int) -> None:
            row = {
                "authority_id": authority_id,
                "request_id": request_id,
                "serial": serial,
                "requester": requester,
                "created_at": self._clock.now(),
            }
            connection.execute(insert(table), row)

        return record

    async def delete_expired(self) -> None:
        """Forget the numbers of certificates that have expired, which nobody gets again."""
        now = self._clock.now()
        is_valid = exists().where(
            certificates.c.authority_id == table.c.authority_id,
            certificates.c.serial == table.c.serial,
            certificates.c.not_after > now,
        )
        # Looked for by a reader, and deleted in parts: a writer that takes its time would hold every issuance up.
        expired = await self._database.read(
            lambda connection: [
                (authority_id, request_id)
                for authority_id, request_id in connection.execute(
                    select(table.c.authority_id, table.c.request_id).where(~is_valid)
                )
            ]
        )
        for start in range(0, len(expired), _BATCH):
            await self._database.write(partial(_delete, keys=expired[start : start + _BATCH]))

    async def find(self, authority_id: str, text: str, requester: str) -> KnownRequest:
        """The request of that number; raises NotFound for any that is not the requester's own."""
        request_id = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
        query = select(table.c.serial).where(
            table.c.authority_id == authority_id,
            table.c.request_id == request_id,
            table.c.requester == requester,
        )
        serial: int | None = None
        if 1 <= request_id <= MAX_REQUEST_ID:
            serial = await self._database.read(lambda connection: connection.scalar(query))
        if serial is None:
            raise NotFound("there is no such request of yours", code=NO_SUCH_REQUEST)
        return KnownRequest(request_id, serial)


def _delete(connection: Connection, *, keys: Sequence[tuple[str, int]]) -> None:
    connection.execute(delete(table).where(tuple_(table.c.authority_id, table.c.request_id).in_(keys)))
