"""The log of tokens: a row for each, which carries the SHA-256 of itself and of the row before it.

As in :mod:`cspd.audit.chain`, each process slot has a chain of its own, changed, removed and moved rows break it, and
a head kept elsewhere fixes everything before it. Beside the rows the store keeps the two ends of each chain: the last
row, so that rows missing at the end show as well, and the last row removed by pruning, from which the rest goes on.

Who can write the store can compute a whole new chain; only a head that was published elsewhere shows that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cspd.audit.chain import canonical_json
from cspd.store.interfaces import Database
from protocols.tsp.interfaces import LoggedToken
from protocols.tsp.shared_writes import SharedWrites
from protocols.tsp.tables import tsp_log_chains, tsp_logged_tokens


@dataclass(frozen=True, slots=True)
class Head:
    """A place in a chain: fixes it and everything before it."""

    sequence: int
    hash: bytes
    """SHA-256, 32 octets."""


START = Head(0, bytes(32))
"""What the first row of a chain follows."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A row of the log."""

    chain: str
    sequence: int
    token: LoggedToken
    previous_hash: bytes
    hash: bytes

    @property
    def head(self) -> Head:
        """The chain's end when this was its last row."""
        return Head(self.sequence, self.hash)

    def computed_hash(self) -> bytes:
        """SHA-256 of a canonical JSON array: chain, sequence, issuer, serial, genTime, token hash, previous hash.

        The serial and the hashes enter as lower-case hexadecimal, genTime as :func:`gen_time_text` has it.
        """
        hashed = [
            self.chain,
            self.sequence,
            self.token.issuer,
            f"{self.token.serial_number:x}",
            gen_time_text(self.token),
            self.token.token_sha256.hex(),
            self.previous_hash.hex(),
        ]
        return hashlib.sha256(canonical_json(hashed).encode()).digest()


class StoredTimestampLog:
    """Implements :class:`protocols.tsp.interfaces.TimestampLog` on the store; for the reactor thread.

    ``chain`` is the name of the process slot: at most 64 characters. Two processes that use the same name at the same
    time wait for each other.
    """

    def __init__(self, database: Database, chain: str) -> None:
        self._database = database
        self._chain = chain
        self._tokens: SharedWrites[LoggedToken, None] = SharedWrites(self._write)

    async def append(self, token: LoggedToken) -> None:
        """See :class:`TimestampLog`."""
        await self._tokens.ask(token)

    async def drain(self) -> None:
        """Wait until everything appended so far is written; for the end of the process."""
        await self._tokens.drain()

    async def _write(self, tokens: Sequence[LoggedToken]) -> Sequence[None]:
        await self._database.write(lambda connection: _append(connection, self._chain, tokens))
        return [None] * len(tokens)


def gen_time_text(token: LoggedToken) -> str:
    """``2026-11-24T12:00:00.000000+00:00``: UTC, always with microseconds."""
    return token.gen_time.astimezone(UTC).isoformat(timespec="microseconds")


def lock_ends(connection: Connection, chain: str) -> Row[Any] | None:
    """The row of the chain in ``tsp_log_chains``, which nobody else changes until this transaction is over."""
    return connection.execute(_ENDS, {"of_chain": chain}).first()


def _append(connection: Connection, chain: str, tokens: Sequence[LoggedToken]) -> None:
    ends = lock_ends(connection, chain)
    if ends is None:
        connection.execute(_BEGIN_CHAIN[connection.dialect.name], {"of_chain": chain})
        ends = lock_ends(connection, chain)
        assert ends is not None
    head = Head(ends.sequence, ends.hash)
    rows: list[dict[str, Any]] = []
    for token in tokens:
        entry = LogEntry(chain, head.sequence + 1, token, head.hash, b"")
        head = Head(entry.sequence, entry.computed_hash())
        rows.append(
            {
                "chain": chain,
                "sequence": entry.sequence,
                "issuer": token.issuer,
                "serial_number": token.serial_number,
                "gen_time": token.gen_time,
                "token_sha256": token.token_sha256,
                "previous_hash": entry.previous_hash,
                "hash": head.hash,
            }
        )
    connection.execute(_INSERT, rows)
    connection.execute(_MOVE_HEAD, {"of_chain": chain, "new_sequence": head.sequence, "new_hash": head.hash})


_INSERT = insert(tsp_logged_tokens)
_ENDS = (
    select(tsp_log_chains)
    .where(tsp_log_chains.c.chain == bindparam("of_chain"))
    .with_for_update()  # SQLite has no such words, and has locked the whole file
)
_MOVE_HEAD = (
    update(tsp_log_chains)
    .where(tsp_log_chains.c.chain == bindparam("of_chain"))
    .values(sequence=bindparam("new_sequence"), hash=bindparam("new_hash"))
)


def _begin_chain(dialect: Any) -> Any:
    """INSERT that leaves it alone if another process of the same name came first."""
    insertion = dialect.insert(tsp_log_chains).values(
        chain=bindparam("of_chain"),
        sequence=START.sequence,
        hash=START.hash,
        pruned_sequence=START.sequence,
        pruned_hash=START.hash,
    )
    return insertion.on_conflict_do_nothing()


_BEGIN_CHAIN = {"postgresql": _begin_chain(postgresql), "sqlite": _begin_chain(sqlite)}
