"""What administrators do with the log of tokens: check it, find tokens, read it all, remove old tokens.

All is done in pages, each in a read or write of its own, so that a log of millions of rows neither fills the memory nor
keeps the store from others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, select, update

from cspd.refusals import Conflict
from cspd.store.interfaces import Database
from protocols.tsp.interfaces import LoggedToken
from protocols.tsp.tables import tsp_log_chains, tsp_logged_tokens
from protocols.tsp.timestamp_log import START, Head, LogEntry, lock_ends
from protocols.tsp.timestamp_log_verification import ChainCheck, LogReport, report

PAGE = 1000
"""Rows read or removed at once."""


@dataclass(frozen=True, slots=True)
class _Page:
    """One look at a chain; all of it is of one moment."""

    head: Head
    pruned: Head
    entries: Sequence[LogEntry]


class TimestampRecords:
    """The log of tokens in the store, with or without a running daemon. Everything raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chains(self) -> list[str]:
        """The names of all chains, in order."""
        names = select(tsp_log_chains.c.chain).union(select(tsp_logged_tokens.c.chain))
        return sorted(await self._database.read(lambda connection: connection.execute(names).scalars().all()))

    async def entries(self, chain: str) -> AsyncIterator[LogEntry]:
        """The rows of a chain in order, up to what is there when the last page is read."""
        position = 0
        while entries := (await self._page(chain, position)).entries:
            for entry in entries:
                yield entry
            position = entries[-1].sequence

    async def page(self, chain: str, after: int) -> Sequence[LogEntry]:
        """At most :data:`PAGE` rows of a chain in order, those behind the sequence number ``after``."""
        return (await self._page(chain, after)).entries

    async def find(self, serial_number: int) -> list[LogEntry]:
        """The rows with this serial number: one or none; more would be a fault."""
        query = select(tsp_logged_tokens).where(tsp_logged_tokens.c.serial_number == serial_number).limit(PAGE)
        return await self._database.read(lambda connection: _entries(connection, query))

    async def verify(self, *, known_heads: Mapping[str, Head] | None = None) -> LogReport:
        """Check each chain from where it was pruned to its end, in constant memory.

        ``known_heads`` are heads published earlier, by chain: each must still be in its chain, unless it was pruned.
        """
        known = known_heads or {}
        checks = {
            chain: ChainCheck(chain, known_head=known.get(chain)) for chain in sorted({*await self.chains(), *known})
        }
        for chain, check in checks.items():
            page: _Page | None = None
            while check.first_break is None and (page is None or len(page.entries) == PAGE):
                page = await self._page(chain, check.at.sequence)
                check.go_on_from(page.pruned)  # before this check, or while it ran
                for entry in page.entries:
                    check.add(entry)
            assert page is not None
            check.end(page.head)
        return report(checks)

    async def prune(self, before: datetime) -> dict[str, Head]:
        """Remove the tokens whose genTime is before that moment; the last one removed, for each chain that lost some.

        A chain is cut in front of its first token that is not older, so that the rest can still be verified. The heads
        belong into the audit log: nothing else in the store tells what was before them. Raises Conflict at a break,
        which stays as evidence; what was before it is removed by then.
        """
        removed: dict[str, Head] = {}
        for chain in await self.chains():
            while (head := await self._database.write(_pruning(chain, before))) is not None:
                removed[chain] = head
        return removed

    async def _page(self, chain: str, position: int) -> _Page:
        query = (
            select(tsp_logged_tokens)
            .where(tsp_logged_tokens.c.chain == chain, tsp_logged_tokens.c.sequence > position)
            .order_by(tsp_logged_tokens.c.sequence)
            .limit(PAGE)
        )

        def work(connection: Connection) -> _Page:
            ends = connection.execute(select(tsp_log_chains).where(tsp_log_chains.c.chain == chain)).first()
            entries = _entries(connection, query)
            if ends is None:
                return _Page(START, START, entries)
            return _Page(Head(ends.sequence, ends.hash), Head(ends.pruned_sequence, ends.pruned_hash), entries)

        return await self._database.read(work)


def _entries(connection: Connection, query: Select[Any]) -> list[LogEntry]:
    return [
        LogEntry(
            chain=row.chain,
            sequence=row.sequence,
            token=LoggedToken(
                issuer=row.issuer,
                serial_number=row.serial_number,
                gen_time=row.gen_time,
                token_sha256=row.token_sha256,
            ),
            previous_hash=row.previous_hash,
            hash=row.hash,
        )
        for row in connection.execute(query)
    ]


def _pruning(chain: str, before: datetime) -> Callable[[Connection], Head | None]:
    """The work that removes one page from a chain's start and gives the last row it removed, None for nothing."""
    of_chain = tsp_logged_tokens.c.chain == chain
    oldest = select(tsp_logged_tokens).where(of_chain).order_by(tsp_logged_tokens.c.sequence).limit(PAGE)

    def work(connection: Connection) -> Head | None:
        ends = lock_ends(connection, chain)
        check = ChainCheck(chain)
        if ends is not None:
            check.go_on_from(Head(ends.pruned_sequence, ends.pruned_hash))
        for entry in _entries(connection, oldest):
            if entry.token.gen_time >= before:
                break
            check.add(entry)
        if not check.tokens:
            if check.first_break is not None:
                reason = f"the timestamp log is broken: {chain} number {check.first_break.sequence}"
                raise Conflict(f"{reason} {check.first_break.explanation}", code="log-broken")
            return None
        connection.execute(delete(tsp_logged_tokens).where(of_chain, tsp_logged_tokens.c.sequence <= check.at.sequence))
        connection.execute(
            update(tsp_log_chains)
            .where(tsp_log_chains.c.chain == chain)
            .values(pruned_sequence=check.at.sequence, pruned_hash=check.at.hash)
        )
        return check.at

    return work
