"""Times of ordered tokens: one row of the store for each issuer holds the latest time that was given.

    caller: next(issuer, now)            store
      all that wait, one statement  -->  last = max(last + 1, latest now) + callers - 1, in one durable commit
      the callers' times            <--  last - callers + 1 ... last, in the order in which they called

A time is used only when its row is durable, and the row's lock makes nodes take turns. So of two callers, one of whom
got his time before the other called, the second gets the later time, whichever nodes they asked: his statement begins
when the first one's commit is done. A process that dies between the commit and its use of a time leaves a gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, case, select
from sqlalchemy.dialects import postgresql, sqlite
from twisted.logger import Logger

from cspd.clock import Clock
from cspd.refusals import Refused, Unavailable
from cspd.store.interfaces import Database
from protocols.tsp import microseconds
from protocols.tsp.shared_writes import SharedWrites
from protocols.tsp.tables import tsp_gen_times


@dataclass(frozen=True, slots=True)
class _Question:
    issuer: str
    now: int


@dataclass(frozen=True, slots=True)
class _Times:
    """The times of one issuer's callers: one each, from ``first`` on; or why there are none."""

    first: int
    ahead_until: int | None = None
    """The latest time given, where it is too far ahead."""


class StoredGenTimes:
    """Implements :class:`protocols.tsp.interfaces.GenTimes` on the store; for the reactor thread.

    ``tolerance`` is how far the latest time given may be ahead of this node's clock: twice the error that each clock
    may have, since the other node's may be that much ahead and ours that much behind.
    """

    _log = Logger()

    def __init__(self, database: Database, clock: Clock, *, tolerance: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._tolerance = tolerance // timedelta(microseconds=1)
        self._ahead: set[str] = set()
        self._questions: SharedWrites[_Question, datetime] = SharedWrites(self._answer)

    async def next(self, issuer: str, now: datetime) -> datetime:
        """See :class:`GenTimes`; never earlier than ``now``."""
        return await self._questions.ask(_Question(issuer, microseconds.from_datetime(now)))

    async def drain(self) -> None:
        """Wait for the question that is under way; for the end of the process."""
        await self._questions.drain()

    async def _answer(self, questions: Sequence[_Question]) -> Sequence[datetime | Refused]:
        limit = self._limit()
        callers: dict[str, list[int]] = {}
        for question in questions:
            if question.now <= limit:
                callers.setdefault(question.issuer, []).append(question.now)
        # All nodes lock the rows in this order, so that none waits for another that waits for it.
        wanted = [(issuer, len(nows), max(nows)) for issuer, nows in sorted(callers.items())]

        def work(connection: Connection) -> dict[str, _Times]:
            return {issuer: self._take(connection, issuer, count, base) for issuer, count, base in wanted}

        times = await self._database.write(work) if wanted else {}
        given = {issuer: self._given(issuer, count, times[issuer]) for issuer, count, _ in wanted}
        return [
            next(given[question.issuer]) if question.now <= limit else Unavailable("the clock was set back")
            for question in questions
        ]

    def _take(self, connection: Connection, issuer: str, count: int, base: int) -> _Times:
        """``count`` successive times, the first not before ``base``; none if times too far ahead were given already.

        Other nodes' times go on while this one waits for its turn, so what is too far is only known when the row is
        locked: the first attempt locks it, whether it succeeds or not.
        """
        parameters = {"for_issuer": issuer, "more": count - 1, "base": base, "first_last": base + count - 1}
        for _ in range(2):
            statement = _TAKING[connection.dialect.name]
            last = connection.execute(statement, parameters | {"limit": self._limit()}).scalar_one_or_none()
            if last is not None:
                return _Times(last - count + 1)
        return _Times(0, connection.execute(_LAST, {"for_issuer": issuer}).scalar_one())

    def _given(self, issuer: str, count: int, times: _Times) -> Iterator[datetime | Refused]:
        self._note(issuer, times)
        if times.ahead_until is None:
            return map(microseconds.to_datetime, range(times.first, times.first + count))
        detail = f"the last genTime of {issuer} is {microseconds.to_datetime(times.ahead_until).isoformat()}"
        return (Unavailable("earlier tokens have later times than the clock", detail=detail) for _ in range(count))

    def _note(self, issuer: str, times: _Times) -> None:
        """Tell the log when times get too far ahead and when the clock has caught up, not for each in between."""
        if times.ahead_until is None:
            if issuer in self._ahead:
                self._ahead.discard(issuer)
                self._log.info("the clock has caught up with the times of {issuer}", issuer=issuer)
        elif issuer not in self._ahead:
            self._ahead.add(issuer)
            self._log.error(
                "tokens of {issuer} were given times up to {until}, too far ahead of the clock ({now}); none are issued"
                " until it has caught up",
                issuer=issuer,
                until=microseconds.to_datetime(times.ahead_until).isoformat(),
                now=self._clock.now().isoformat(),
            )

    def _limit(self) -> int:
        """The latest time that may have been given by now; the clock is asked, in any thread."""
        return microseconds.from_datetime(self._clock.now()) + self._tolerance


def _taking(dialect: Any) -> Any:
    last = tsp_gen_times.c.last_gen_time
    more, base, limit = (bindparam(name, type_=BigInteger()) for name in ("more", "base", "limit"))
    insertion = dialect.insert(tsp_gen_times).values(
        issuer=bindparam("for_issuer"), last_gen_time=bindparam("first_last", type_=BigInteger())
    )
    taken = case((last >= base, last + 1), else_=base) + more
    return insertion.on_conflict_do_update(
        index_elements=["issuer"], set_={"last_gen_time": taken}, where=last <= limit
    ).returning(last)


_TAKING = {"postgresql": _taking(postgresql), "sqlite": _taking(sqlite)}
_LAST = select(tsp_gen_times.c.last_gen_time).where(tsp_gen_times.c.issuer == bindparam("for_issuer"))
