"""The reactor's clock and the wall clock, moved together."""

from __future__ import annotations

from datetime import timedelta

from twisted.internet.task import Clock

from tests.support.clocks import FrozenClock


class Time:
    """One time for all nodes of a test."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.wall = FrozenClock()

    def advance(self, span: timedelta, step: timedelta = timedelta(seconds=1)) -> None:
        """Let time pass in steps, so that what is due in between happens then."""
        end = self.wall.now() + span
        while self.wall.now() < end:
            self.wall.advance(step)
            self.reactor.advance(step.total_seconds())
