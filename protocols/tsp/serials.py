"""Serial numbers that never repeat: a counter that all processes share, reserved in blocks.

A number of ``n`` octets, from the top bit down::

    2 bits   01, so that the number is positive and its DER has exactly n octets
    54 bits  the counter
    the rest (8 bits of 8 octets, 104 of 20) random

No counter value is used twice, and numbers of different lengths differ anyway. The counter counts numbers, and jumps
ahead to the microseconds since 1970 whenever a block is reserved::

    first = max(first unreserved one in the store, now in microseconds)

- The store keeps processes, nodes and restarts apart, and numbers from before the clock was set back.
- The clock keeps numbers apart from those given before the store lost its memory: after an older backup was restored,
  or a standby took over that lacked the last transactions. That holds as long as the counter is not ahead of the clock
  by more than the time since the loss, and the clock is not set back to before it. A block is a quarter of a second of
  counter, so it is seldom ahead at all, and a counter that is far ahead (the clock was set back) is logged.

The row is durable before a number of the block is given. Until year 2540 the 54 bits suffice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, case
from sqlalchemy.dialects import postgresql, sqlite
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cspd.clock import Clock
from cspd.refusals import Refused, Unavailable
from cspd.store.interfaces import Database
from protocols.tsp import microseconds
from protocols.tsp.shared_writes import refuse
from protocols.tsp.tables import tsp_serial_counter

SHORTEST, LONGEST = 8, 20
"""Octets (R-TSA-028)."""
COUNTER_BITS = 54
BLOCK_SIZE = 1 << 18
"""Numbers reserved at once. Half of it, 131,072 at least, is there when the store goes away: five minutes at 400 tokens
a second. As microseconds it is the span by which a restarting process may push the counter ahead of the clock."""
_FAR_AHEAD = 60 * 1_000_000
_ROW = 1


class StoredSerialNumbers:
    """Implements :class:`protocols.tsp.interfaces.SerialNumbers` on the store; for the reactor thread.

    ``random_bytes`` gives that many cryptographically strong octets.
    """

    _log = Logger()

    def __init__(
        self, database: Database, clock: Clock, random_bytes: Callable[[int], bytes], *, block_size: int = BLOCK_SIZE
    ) -> None:
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes
        self._block_size = block_size
        self._next = self._end = 0  # the block in use
        self._ahead: tuple[int, int] | None = None  # the block after it, which may lie anywhere above
        self._refill_at = 0
        self._is_refilling = False
        self._is_failing = False
        self._waiting: list[Deferred[None]] = []

    @property
    def reserve(self) -> int:
        """How many numbers can be given without the store."""
        first, end = self._ahead or (0, 0)
        return self._end - self._next + end - first

    async def next(self, octets: int) -> int:
        """See :class:`SerialNumbers`; raises ValueError for another length."""
        if not SHORTEST <= octets <= LONGEST:
            raise ValueError(f"serial numbers have {SHORTEST} to {LONGEST} octets, not {octets}")
        while self._next == self._end:
            if self._ahead is None:
                await self._refilled()  # others may have taken all of it before this caller's turn
            else:
                self._use(self._ahead)
        counter = self._next
        self._next += 1
        if self._next >= self._refill_at and self._ahead is None and not self._is_refilling:
            self._start_refill()
        random = self._random_bytes(octets - 7)
        return ((1 << COUNTER_BITS | counter) << 8 * len(random)) | int.from_bytes(random, "big")

    async def start(self) -> None:
        """Reserve the first block, so that no request has to wait for it; raises Unavailable."""
        if not self.reserve:
            await self._refilled()

    async def drain(self) -> None:
        """Wait for a reservation that is under way; for the end of the process."""
        if self._is_refilling:
            with suppress(Refused):  # logged where it failed; nobody needs the numbers any more
                await self._refilled()

    def _use(self, block: tuple[int, int]) -> None:
        self._next, self._end = block
        self._ahead = None
        self._refill_at = self._end - self._block_size // 2

    def _refilled(self) -> Deferred[None]:
        """Fires when a reservation has ended, the one under way or a new one; all callers share it."""
        waiting: Deferred[None] = Deferred()  # without a canceller: a caller who leaves does not end the reservation
        self._waiting.append(waiting)
        if not self._is_refilling:
            self._start_refill()
        return waiting

    def _start_refill(self) -> None:
        self._is_refilling = True
        Deferred.fromCoroutine(self._refill())  # it raises nothing; drain() waits for its end

    async def _refill(self) -> None:
        failure: Exception | None = None
        try:
            self._ahead = await self._reserve()
        except Exception as error:
            if not isinstance(error, Refused):
                self._log.failure("Reserving serial numbers failed")
            failure = error
            self._refill_at = self._next + self._block_size // 1024  # not with each number while the store is away
        self._note(failure)
        self._is_refilling = False
        waiting, self._waiting = self._waiting, []
        for caller in waiting:
            if failure is None:
                caller.callback(None)
            else:
                refuse(caller, failure)

    def _note(self, failure: Exception | None) -> None:
        """Tell the log when reserving begins to fail and when it works again, not for each attempt in between."""
        if failure is None and self._is_failing:
            self._log.info("serial numbers are reserved again")
        elif failure is not None and not self._is_failing:
            self._log.error(
                "no serial numbers could be reserved; {reserve} are left: {reason}",
                reserve=self.reserve,
                reason=str(failure),
                detail=getattr(failure, "detail", ""),
            )
        self._is_failing = failure is not None

    async def _reserve(self) -> tuple[int, int]:
        """A block of the counter, durably ours: its first value and the one after its last."""
        now = max(0, microseconds.from_datetime(self._clock.now()))

        def work(connection: Connection) -> int:
            statement = _RESERVATIONS[connection.dialect.name]
            parameters = {"now": now, "size": self._block_size, "first_end": now + self._block_size}
            end: int = connection.execute(statement, parameters).scalar_one()
            if end > 1 << COUNTER_BITS:  # the clock is centuries ahead; undone, so that this does no lasting harm
                raise Unavailable("there are no serial numbers left", detail=f"the counter would be at {end}")
            return end

        end = await self._database.write(work)
        first = end - self._block_size
        if first - now > _FAR_AHEAD:
            self._log.warn(
                "the counter of serial numbers is {seconds} s ahead of the clock: until the clock has caught up,"
                " numbers could repeat if an older backup of the store were restored",
                seconds=(first - now) // 1_000_000,
            )
        return first, end


def _reservation(dialect: Any) -> Any:
    """One statement for the first reservation and all others; concurrent ones wait for each other's commit."""
    column = tsp_serial_counter.c.unreserved
    now, size = bindparam("now", type_=BigInteger()), bindparam("size", type_=BigInteger())
    insertion = dialect.insert(tsp_serial_counter).values(
        id=_ROW, unreserved=bindparam("first_end", type_=BigInteger())
    )
    end = case((column > now, column), else_=now) + size
    return insertion.on_conflict_do_update(index_elements=["id"], set_={"unreserved": end}).returning(column)


_RESERVATIONS = {"postgresql": _reservation(postgresql), "sqlite": _reservation(sqlite)}
