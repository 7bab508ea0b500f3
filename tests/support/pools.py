"""A signing pool whose works run when the test says so, one by one, in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed

from cspd.keys.threads import Task

T = TypeVar("T")


class SteppedPool:
    """Implements :class:`cspd.keys.threads.SigningPool`."""

    def __init__(self) -> None:
        self.tasks: list[Task[Any]] = []
        self.begun: list[Task[Any]] = []

    @property
    def waiting(self) -> int:
        return len(self.tasks)

    @property
    def running(self) -> int:
        return len(self.begun)

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> Deferred[None]:
        """Run what waits."""
        while self.tasks:
            self.step()
        return succeed(None)

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Queue ``work``."""
        task = Task(work)
        self.tasks.append(task)
        return task.deferred

    def begin(self, position: int = 0) -> None:
        """A thread takes a work out of the queue; its result comes with :meth:`end`."""
        task = self.tasks.pop(position)
        if task.claim():
            self.begun.append(task)

    def end(self, position: int = 0) -> None:
        """A thread has done its work and the reactor thread hears of it."""
        task = self.begun.pop(position)
        try:
            result = task.work()
        except Exception as error:
            task.deferred.errback(error)
        else:
            task.deferred.callback(result)

    def step(self, position: int = 0) -> None:
        """Begin and end one work."""
        self.begin(position)
        if self.begun:
            self.end()
