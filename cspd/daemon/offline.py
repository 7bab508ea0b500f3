"""The services without a reactor, for ``cspctl`` while no daemon runs: every work is done at once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy import URL, Connection

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
