"""SQLite as the embedded store: one file, write-ahead log, a disk flush at each commit."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event

from cspd.refusals import Refused
from cspd.store.backends import Trouble, driver_connection, driver_error

LOCK_WAIT_SECONDS = 5.0
"""How long a commit waits for another process (``cspctl``) before it gives up."""

# Primary result codes that tell of the file and its surroundings, not of the statement (sqlite.org/rescode.html).
_UNABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


PAGE_CACHE_KIB = 32768
"""Memory for pages that one connection may fill."""


class SQLiteBackend:
    """Implements :class:`cspd.store.backends.Backend` on one file."""

    def __init__(self, path: Path, *, lock_wait_seconds: float = LOCK_WAIT_SECONDS) -> None:
        self.path = path
        self._lock_wait_seconds = lock_wait_seconds

    def writer_engine(self) -> Engine:
        """See :class:`Backend`; a transaction takes the write lock at its begin, so it cannot fail for it later."""
        return self._engine("BEGIN IMMEDIATE", ())

    def reader_engine(self) -> Engine:
        """See :class:`Backend`."""
        return self._engine("BEGIN", ("PRAGMA query_only=ON",))

    def trouble(self, error: BaseException) -> Trouble | None:
        """See :class:`Backend`."""
        cause = driver_error(error)
        if isinstance(cause, sqlite3.Error):
            code = getattr(cause, "sqlite_errorcode", None)
            if code is not None and code & 0xFF in _UNABLE:
                return Trouble.UNABLE
        return None

    def failed(self, connection: Connection) -> bool:
        """See :class:`Backend`; some errors make SQLite roll back by itself (lang_transaction.html, 3)."""
        return not driver_connection(connection).in_transaction

    def mark(self, connection: Connection) -> None:
        """See :class:`Backend`."""
        driver_connection(connection).execute("SAVEPOINT work")

    def keep(self, connection: Connection) -> None:
        """See :class:`Backend`."""
        driver = driver_connection(connection)
        driver.execute("RELEASE work")
        driver.execute("SAVEPOINT work")

    def undo(self, connection: Connection) -> None:
        """See :class:`Backend`."""
        driver_connection(connection).execute("ROLLBACK TO work")

    def _engine(self, begin: str, pragmas: tuple[str, ...]) -> Engine:
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
            poolclass=NullPool,
            hide_parameters=True,  # they can be secrets, and errors get logged (R-PLAT-079)
            connect_args={"timeout": self._lock_wait_seconds, "cached_statements": 512},
        )

        def connected(driver: sqlite3.Connection, _record: Any) -> None:
            driver.isolation_level = None  # the sqlite3 module begins nothing by itself; SQLAlchemy's begin does, below
            for pragma in (
                "PRAGMA journal_mode=WAL",
                "PRAGMA synchronous=FULL",
                "PRAGMA foreign_keys=ON",
                "PRAGMA trusted_schema=OFF",
                f"PRAGMA cache_size=-{PAGE_CACHE_KIB}",
                "PRAGMA journal_size_limit=67108864",
                *pragmas,
            ):
                driver.execute(pragma)

        def begun(connection: Connection) -> None:
            driver_connection(connection).execute(begin)

        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begun)
        return engine


def create_file(path: Path) -> None:
    """Make the empty database file, for its owner only, if there is none; SQLite gives -wal and -shm the same mode.

    Raises :class:`cspd.refusals.Refused` when the folder is missing or not writable.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # the name itself survives a power cut
        finally:
            os.close(folder)
    except OSError as error:
        raise Refused(f"the store {path} cannot be opened: {error.strerror}") from error
