"""PostgreSQL 15 or later as the store of several nodes."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from cspd.refusals import Refused
from cspd.store.backends import Trouble, driver_connection, driver_error

OLDEST_SERVER = 150000
"""``server_version`` of PostgreSQL 15.0 (R-PLAT-115)."""

# libpq parameters: a server that vanished without a word is noticed within about half a minute.
_CONNECT: dict[str, Any] = {
    "application_name": "cspd",
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

# Nothing waits for ever: neither we for a row that another node has locked, nor others for a transaction we left open.
_SESSION = (
    "SET TIME ZONE 'UTC'",
    "SET lock_timeout = '10s'",
    "SET statement_timeout = '60s'",
    "SET idle_in_transaction_session_timeout = '60s'",
)

_CONFLICTS = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_LOST = frozenset(
    {"57P01", "57P02", "57P03", "57P05", "25P03"}
)  # shutdown, crash, starting up, idle session, idle in tx
_UNABLE = frozenset({"25006", "55P03", "57014"})  # read-only (a standby), lock_timeout, statement_timeout
_UNABLE_CLASSES = frozenset({"53", "58"})  # insufficient resources (disk full, too many connections), system error


class PostgreSQLBackend:
    """Implements :class:`cspd.store.backends.Backend` on a server."""

    def __init__(self, url: URL) -> None:
        self.url = url.set(drivername="postgresql+psycopg")

    def writer_engine(self) -> Engine:
        """See :class:`Backend`."""
        return self._engine()

    def reader_engine(self) -> Engine:
        """See :class:`Backend`."""
        engine = self._engine()
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def trouble(self, error: BaseException) -> Trouble | None:
        """See :class:`Backend`; the codes are those of the manual's appendix A."""
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return Trouble.LOST
        cause = driver_error(error)
        if not isinstance(cause, psycopg.Error):
            return None
        state = cause.sqlstate
        if state is None:  # no answer from the server: libpq's own
            return Trouble.LOST if isinstance(cause, psycopg.OperationalError) else None
        if state in _CONFLICTS:
            return Trouble.CONFLICT
        if state in _LOST or state[:2] == "08":
            return Trouble.LOST
        if state in _UNABLE or state[:2] in _UNABLE_CLASSES:
            return Trouble.UNABLE
        return None

    def failed(self, connection: Connection) -> bool:
        """See :class:`Backend`. COMMIT of such a transaction is a silent ROLLBACK, which must not pass for durable.

        A work that sends no statement leaves the connection idle: psycopg begins with the first one.
        """
        status: TransactionStatus = driver_connection(connection).info.transaction_status
        return status not in (TransactionStatus.INTRANS, TransactionStatus.IDLE)

    def mark(self, connection: Connection) -> None:
        """See :class:`Backend`."""
        driver_connection(connection).execute("SAVEPOINT work")

    def keep(self, connection: Connection) -> None:
        """See :class:`Backend`; both statements in one round trip."""
        driver_connection(connection).execute("RELEASE work; SAVEPOINT work")

    def undo(self, connection: Connection) -> None:
        """See :class:`Backend`."""
        driver_connection(connection).execute("ROLLBACK TO work")

    def _engine(self) -> Engine:
        engine = create_engine(
            self.url,
            poolclass=NullPool,
            hide_parameters=True,  # they can be secrets, and errors get logged (R-PLAT-079)
            connect_args=dict(_CONNECT),
        )

        def connected(driver: psycopg.Connection[Any], _record: Any) -> None:
            version = driver.info.server_version
            if version < OLDEST_SERVER:
                raise Refused(f"PostgreSQL 15 or later is needed; the server is {version // 10000}")
            driver.autocommit = True
            for statement in _SESSION:
                driver.execute(statement)
            # A role or server may default to asynchronous commits; stronger settings than ours are the owner's choice.
            driver.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            driver.autocommit = False

        event.listen(engine, "connect", connected)
        return engine
