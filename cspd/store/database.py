"""The database as the reactor sees it: one writer thread with group commit, some reader threads.

    caller (reactor)            writer thread                      disk
      write(work) -> queue  -->  take all that wait (bounded)
                                 BEGIN; work, work, work ...
                                 COMMIT                        -->  one flush
      results <-- one callFromThread per batch

While a commit flushes, the next callers queue up: the batches grow with the load by themselves, and a lone caller
waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, make_url
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from cspd.refusals import Refused, Unavailable
from cspd.store.backends import Backend
from cspd.store.postgresql import PostgreSQLBackend
from cspd.store.sqlite import SQLiteBackend, create_file
from cspd.store.transactions import Done, Outcome, Reader, Work, Writer
from cspd.waiting import Awaited

T = TypeVar("T")

BATCH_LIMIT = 256
"""Works in one commit at most: bounds how long the first of them waits for the last."""
READ_LIMIT = 4
"""Works whose results a reader reports together: a report wakes the reactor, and the first waits for the last."""
QUEUE_LIMIT = 10_000
"""Works that may wait in each queue; more callers than that get Unavailable at once."""


class _Task:
    """A work, and the caller who waits for it."""

    __slots__ = ("caller", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        # Without a canceller: a caller who gives up stops waiting, and the work goes on.
        self.caller: Awaited[Any] = Awaited()


class ThreadedDatabase:
    """Implements :class:`cspd.store.interfaces.Database` with threads.

    Works queued before :meth:`start` run when it is called. The counters are for ``/metrics`` and change in the reactor
    thread only.
    """

    def __init__(self, reactor: IReactorFromThreads, backend: Backend, *, readers: int = 2) -> None:
        self.batches = 0
        self.writes = 0
        self.reads = 0
        self.largest_batch = 0
        self.available = True
        """Whether the last answer was something else than Unavailable."""
        self._reactor = reactor
        self._backend = backend
        self._write_queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._read_queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [Thread(target=self._write_loop, name="cspd-store-writer", daemon=True)]
        self._threads += [
            Thread(target=self._read_loop, name=f"cspd-store-reader-{number}", daemon=True) for number in range(readers)
        ]
        self._running = 0
        self._closed = False
        self._stopped: Deferred[None] = Deferred()
        self._log = Logger()

    @property
    def waiting_writes(self) -> int:
        """Works in the writer's queue."""
        return self._write_queue.qsize()

    @property
    def waiting_reads(self) -> int:
        """Works in the readers' queue."""
        return self._read_queue.qsize()

    def start(self) -> None:
        """Start the threads; they connect when the first work comes."""
        self._running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def stop(self) -> Deferred[None]:
        """Finish what is queued, close the connections, end the threads; later calls get Unavailable."""
        if not self._closed:
            self._closed = True
            if not self._running:
                self._stopped.callback(None)
            self._write_queue.put(None)
            for _ in self._threads[1:]:
                self._read_queue.put(None)
        waiting: Deferred[None] = Deferred()
        self._stopped.addCallback(lambda _: waiting.callback(None))
        return waiting

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See :class:`Database`."""
        return await self._put(self._read_queue, work)  # type: ignore[no-any-return]  # the Deferred carries any work's

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See :class:`Database`."""
        return await self._put(self._write_queue, work)  # type: ignore[no-any-return]  # as above

    def _put(self, queue: SimpleQueue[_Task | None], work: Work) -> Deferred[Any]:
        if self._closed:
            raise Unavailable("the store is shutting down")
        if queue.qsize() >= QUEUE_LIMIT:
            raise Unavailable("the store has too much to do", detail=f"{QUEUE_LIMIT} works are waiting")
        task = _Task(work)
        queue.put(task)
        return task.caller

    def _write_loop(self) -> None:
        """The writer thread."""
        writer = Writer(self._backend)
        go_on = True
        while go_on:
            batch, go_on = next_batch(self._write_queue, BATCH_LIMIT)
            if batch:
                outcomes = writer.run([task.work for task in batch])
                self._reactor.callFromThread(self._written, batch, outcomes)
                del outcomes
        writer.close()
        self._reactor.callFromThread(self._ended)

    def _read_loop(self) -> None:
        """A reader thread."""
        reader = Reader(self._backend)
        go_on = True
        while go_on:
            batch, go_on = next_batch(self._read_queue, READ_LIMIT)
            if batch:
                outcomes = [reader.run(task.work) for task in batch]
                self._reactor.callFromThread(self._answered, batch, outcomes)
                del outcomes
        reader.close()
        self._reactor.callFromThread(self._ended)

    def _written(self, batch: Sequence[_Task], outcomes: Sequence[Outcome]) -> None:
        self.batches += 1
        self.writes += len(batch)
        self.largest_batch = max(self.largest_batch, len(batch))
        self._note(outcomes[0])
        for task, outcome in zip(batch, outcomes, strict=True):
            _answer(task, outcome)

    def _answered(self, batch: Sequence[_Task], outcomes: Sequence[Outcome]) -> None:
        self.reads += len(batch)
        for task, outcome in zip(batch, outcomes, strict=True):
            self._note(outcome)
            _answer(task, outcome)

    def _note(self, outcome: Outcome) -> None:
        """Tell the log when the database goes and when it comes back, not for each call in between."""
        error = None if isinstance(outcome, Done) else outcome.error
        if isinstance(error, Unavailable):
            if self.available:
                self._log.error("the store does not answer: {detail}", detail=error.detail)
            self.available = False
        elif not self.available:
            self._log.info("the store answers again")
            self.available = True

    def _ended(self) -> None:
        self._running -= 1
        if not self._running:
            self._stopped.callback(None)


def _answer(task: _Task, outcome: Outcome) -> None:
    if isinstance(outcome, Done):
        task.caller.settle(outcome.value)
    else:
        task.caller.fail(outcome.error)


def next_batch(queue: SimpleQueue[_Task | None], limit: int) -> tuple[list[_Task], bool]:
    """Wait for a task, then take what else is there, up to ``limit``; False when the end mark was among it."""
    batch: list[_Task] = []
    task = queue.get()
    try:
        while task is not None:
            batch.append(task)
            if len(batch) == limit:
                return batch, True
            task = queue.get_nowait()
    except Empty:
        return batch, True
    return batch, False


def choose_backend(url: str | URL) -> Backend:
    """The backend for ``sqlite:///path`` or ``postgresql://user@host/database``; raises Refused for any other URL."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return SQLiteBackend(Path(parsed.database))
        case "postgresql":
            return PostgreSQLBackend(parsed)
    raise Refused(f"the store is sqlite:///path or postgresql://user@host/database, not {parsed.render_as_string()}")


def open_database(url: str | URL, *, reactor: IReactorFromThreads, readers: int = 2) -> ThreadedDatabase:
    """The database at ``url``, not started yet; its schema is :func:`cspd.store.schema.upgrade`'s business.

    A SQLite file is made, with mode 0600, if it is missing. Raises :class:`cspd.refusals.Refused` for a URL of another
    kind and for a file that cannot be made; connects to nothing.
    """
    backend = choose_backend(url)
    if isinstance(backend, SQLiteBackend):
        create_file(backend.path)
    return ThreadedDatabase(reactor, backend, readers=readers)
