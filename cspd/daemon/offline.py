"""The services without a reactor, for ``cspctl`` while no daemon runs: every work is done at once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

from sqlalchemy import URL, Connection
from twisted.internet.task import Clock as StandingClock

from cspd.clock import SystemClock
from cspd.config.model import RootConfig
from cspd.config.secrets import Secrets
from cspd.daemon.core import Core, build_core, store_url
from cspd.store import schema
from cspd.store.database import choose_backend
from cspd.store.transactions import Done, Outcome, Reader, Writer

T = TypeVar("T")


class ImmediateDatabase:
    """Implements :class:`cspd.store.interfaces.Database` in the caller's thread."""

    def __init__(self, url: URL) -> None:
        """The schema is the caller's business (:func:`cspd.store.schema.upgrade`)."""
        backend = choose_backend(url)
        self._writer = Writer(backend)
        self._reader = Reader(backend)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See :class:`cspd.store.interfaces.Database`."""
        return _result(self._reader.run(work))  # type: ignore[no-any-return]  # what the work returns

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See :class:`cspd.store.interfaces.Database`."""
        [outcome] = self._writer.run([work])
        return _result(outcome)  # type: ignore[no-any-return]  # as above

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()
        self._writer.close()


@contextmanager
def offline_core(root: RootConfig, *, state: Path, secrets: Secrets) -> Iterator[Core]:
    """The core on its store, whose schema is brought up to date; closes the store at the end.

    Nothing that waits for a timer happens. Raises what the store and :func:`cspd.daemon.core.build_core` refuse.
    """
    url = store_url(root.store, state, secrets)
    schema.upgrade(url)
    database = ImmediateDatabase(url)
    try:
        yield build_core(
            root,
            secrets=secrets,
            database=database,
            reactor=StandingClock(),
            clock=SystemClock(),
            random=SystemRandom(),
            call_from_thread=None,
        )
    finally:
        database.close()


def _result(outcome: Outcome) -> Any:
    if isinstance(outcome, Done):
        return outcome.value
    raise outcome.error


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits to its end."""
    try:
        work.send(None)
    except StopIteration as finished:
        return finished.value  # type: ignore[no-any-return]  # StopIteration carries any value
    work.close()
    raise RuntimeError("this work waits for a reactor")
