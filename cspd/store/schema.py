"""Brings a database to the schema of this version, in one transaction.

Both databases undo schema changes with their transaction, so a crash leaves the old schema or the new one. Processes
that start at the same time wait for each other: on SQLite for the write lock, on PostgreSQL for an advisory lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, text
from twisted.logger import Logger

from cspd.refusals import Conflict, Refused, Unavailable
from cspd.store.backends import Backend
from cspd.store.database import choose_backend
from cspd.store.sqlite import SQLiteBackend, create_file
from cspd.store.transactions import unavailable

_MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x63737064  # "cspd"

_log = Logger()


def newest() -> str:
    """The revision that this version of cspd works with."""
    head = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    assert head is not None
    return head


def current(url: str | URL) -> str | None:
    """The revision of the database, None for an empty one; raises Refused or Unavailable."""
    with _transaction(choose_backend(url)) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(url: str | URL) -> None:
    """Bring the database to :func:`newest`; does and logs nothing when it is there already (R-CEG-159, R-PLAT-078).

    A SQLite file that holds an older schema is copied to ``NAME.before-REVISION`` first. Blocks: call it before the
    reactor runs, or in a thread. Raises Conflict when the schema is that of a newer cspd, Unavailable when the database
    does not answer, Refused when it cannot be used at all.
    """
    backend = choose_backend(url)
    try:
        script = ScriptDirectory(str(_MIGRATIONS))
    except CommandError as error:  # it says that the folder is not there, which is not the whole truth
        raise Unavailable(f"this user cannot read the migrations of the store in {_MIGRATIONS}") from error
    with _transaction(backend) as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
        if revision == script.get_current_head():
            return
        if revision is not None:
            if revision not in {step.revision for step in script.walk_revisions()}:
                raise Conflict(
                    f"the store has schema revision {revision}, which this version of cspd does not know:"
                    " it was used by a newer one",
                    code="newer-schema",
                )
            if isinstance(backend, SQLiteBackend):
                _back_up(backend.path, revision)
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    _log.info("store schema: {old} -> {new}", old=revision or "empty", new=script.get_current_head())


@contextmanager
def _transaction(backend: Backend) -> Iterator[Connection]:
    """A transaction that no other upgrade is in at the same time."""
    if isinstance(backend, SQLiteBackend):
        create_file(backend.path)
    try:
        with backend.writer_engine().begin() as connection:
            if connection.dialect.name == "postgresql":
                # Another node may be at it, and a large table takes its time.
                connection.execute(text("SET LOCAL lock_timeout = '30min'"))
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            yield connection
    except Refused:
        raise
    except Exception as error:
        if backend.trouble(error) is not None:
            raise unavailable(error) from error
        raise


def _back_up(path: Path, revision: str) -> None:
    """Copy the database as it is now; the open transaction has written nothing yet, so readers see all of it."""
    copy = path.with_name(f"{path.name}.before-{revision}")
    beside = copy.with_name(copy.name + ".part")
    beside.unlink(missing_ok=True)
    create_file(beside)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(beside)) as target:
        source.backup(target)
    beside.replace(copy)
