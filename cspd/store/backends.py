"""What differs between the databases: how to connect, how to mark a savepoint, what an error means."""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

from sqlalchemy import Connection, Engine


class Trouble(Enum):
    """An error of the database itself, which is not the fault of the work that met it."""

    LOST = "lost"
    """The connection is gone: server restart, failover, network."""
    CONFLICT = "conflict"
    """Serialization failure or deadlock: nothing was kept, and running the work again may succeed."""
    UNABLE = "unable"
    """Disk full, locked by somebody else, out of memory, read-only, shutting down."""


class Backend(Protocol):
    """One kind of database. Its connections are used by the thread that made them, and by no other."""

    def writer_engine(self) -> Engine:
        """An engine whose transactions may write and are durable once committed."""
        ...

    def reader_engine(self) -> Engine:
        """An engine whose transactions see one snapshot and cannot write."""
        ...

    def trouble(self, error: BaseException) -> Trouble | None:
        """What an exception of a work or of SQLAlchemy means; None when it is the work's own."""
        ...

    def failed(self, connection: Connection) -> bool:
        """Whether the open transaction is over or can only be rolled back, without asking the server."""
        ...

    def mark(self, connection: Connection) -> None:
        """Set the savepoint in front of the first work of a batch."""
        ...

    def keep(self, connection: Connection) -> None:
        """Move the savepoint behind what was written since."""
        ...

    def undo(self, connection: Connection) -> None:
        """Go back to the savepoint, which stays set."""
        ...


def driver_error(error: BaseException) -> BaseException:
    """The driver's exception inside SQLAlchemy's, or the exception itself."""
    return getattr(error, "orig", None) or error


def driver_connection(connection: Connection) -> Any:
    """The driver's connection: for statements so cheap that SQLAlchemy's share of them would be the larger one."""
    return connection.connection.driver_connection
