"""Running works on a database: many in one commit, or one in a snapshot. No threads here; the caller is the thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from cspd.refusals import Unavailable
from cspd.store.backends import Backend, Trouble

Work = Callable[[Connection], Any]

CONFLICT_ATTEMPTS = 5
"""How often a work that conflicts with another node's is run before its caller is told to come again."""


@dataclass(frozen=True, slots=True)
class Done:
    """The work's result; what it wrote is durable."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """What the work raised, or why the database could not keep it."""

    error: BaseException


Outcome = Done | Failed


class _Interrupted(Exception):
    """The database ended the transaction; none of its works counts."""

    def __init__(self, trouble: Trouble, cause: BaseException, *, committing: bool = False) -> None:
        super().__init__(trouble)
        self.trouble = trouble
        self.cause = cause
        self.committing = committing


class _Session:
    """One connection, made when needed and thrown away after any trouble."""

    def __init__(self, backend: Backend, engine: Engine) -> None:
        self.backend = backend
        self._engine = engine
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def connect(self) -> Connection:
        """The connection; raises _Interrupted."""
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except Exception as error:
                raise self.interruption(error) from error
        return self._connection

    def interruption(self, error: BaseException, *, committing: bool = False) -> BaseException:
        """The error as _Interrupted if it is the database's, itself otherwise."""
        trouble = self.backend.trouble(error)
        return error if trouble is None else _Interrupted(trouble, error, committing=committing)

    def close(self) -> None:
        """Drop the connection; what is uncommitted is undone by the database."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


class Writer:
    """Runs batches of works, each batch in one durable commit (group commit)."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._session = _Session(backend, backend.writer_engine())

    def run(self, works: Sequence[Work]) -> list[Outcome]:
        """Run the works in order and commit once.

        A work that raises undoes only itself. When the database fails, every work of the batch gets
        :class:`Unavailable`: also one that had refused, because it may have refused for what an undone neighbour wrote.
        If the connection breaks during COMMIT, nobody knows whether the batch was kept; the callers are told
        Unavailable then too. Raises nothing.
        """
        may_be_stale = self._session.is_open  # it can have died while idle, before anything of this batch was sent
        for _ in range(CONFLICT_ATTEMPTS):
            try:
                return self._transaction(works)
            except _Interrupted as interrupted:
                self._session.close()
                failure = interrupted
                if interrupted.trouble is Trouble.CONFLICT:
                    if len(works) > 1:
                        return [outcome for work in works for outcome in self.run([work])]
                elif interrupted.trouble is Trouble.LOST and may_be_stale and not interrupted.committing:
                    may_be_stale = False
                else:
                    break
            except BaseException as error:  # a SystemExit in a work must not end the thread and hang every caller
                self._session.close()
                return [Failed(error)] * len(works)
        return [Failed(unavailable(failure.cause)) for _ in works]

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _transaction(self, works: Sequence[Work]) -> list[Outcome]:
        connection = self._session.connect()
        shared = len(works) > 1  # a work alone is undone with its transaction
        outcomes: list[Outcome] = []
        try:
            transaction = connection.begin()
            if shared:
                self._backend.mark(connection)
            for work in works:
                try:
                    value = work(connection)
                    if connection.get_transaction() is not transaction:
                        raise _Interrupted(Trouble.UNABLE, RuntimeError(f"{work!r} ended the transaction"))
                    if self._backend.failed(connection):
                        raise RuntimeError(f"{work!r} went on after a statement of it had failed")
                    if shared:
                        self._backend.keep(connection)
                except Exception as error:
                    if isinstance(error, _Interrupted) or self._backend.trouble(error) is not None:
                        raise
                    outcomes.append(Failed(error))
                    if not shared:
                        transaction.rollback()
                        return outcomes
                    self._backend.undo(connection)
                else:
                    outcomes.append(Done(value))
        except _Interrupted:
            raise
        except Exception as error:
            raise self._session.interruption(error) from error
        try:
            transaction.commit()
        except Exception as error:
            if self._backend.trouble(error) is None and shared:  # a deferred constraint: find out whose
                raise _Interrupted(Trouble.CONFLICT, error) from error
            raise self._session.interruption(error, committing=True) from error
        return outcomes


class Reader:
    """Runs works one at a time, each in a snapshot of its own."""

    def __init__(self, backend: Backend) -> None:
        self._session = _Session(backend, backend.reader_engine())

    def run(self, work: Work) -> Outcome:
        """Run the work on everything committed so far; raises nothing."""
        attempts = 2 if self._session.is_open else 1
        while True:
            attempts -= 1
            try:
                return Done(self._transaction(work))
            except _Interrupted as interrupted:
                self._session.close()
                if attempts == 0 or interrupted.trouble is not Trouble.LOST:
                    return Failed(unavailable(interrupted.cause))
            except BaseException as error:  # as in Writer.run
                return Failed(error)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _transaction(self, work: Work) -> Any:
        connection = self._session.connect()
        try:
            transaction = connection.begin()
            try:
                return work(connection)
            finally:
                transaction.rollback()
        except Exception as error:
            raise self._session.interruption(error) from error


def unavailable(cause: BaseException) -> Unavailable:
    """The refusal for trouble of the database; its driver's words go to the log only."""
    refusal = Unavailable("the store cannot answer now", detail=f"{type(cause).__name__}: {cause}")
    refusal.__cause__ = cause
    return refusal
