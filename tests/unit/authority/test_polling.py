"""Questions asked again and again."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from cspd.authority.polling import Polling
from cspd.refusals import Unavailable


class Turns:
    """Counts turns, fails when told, waits when told."""

    def __init__(self) -> None:
        self.count = 0
        self.failure: Exception | None = None
        self.waits_for: Deferred[None] | None = None

    async def __call__(self) -> None:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        if self.waits_for is not None:
            await self.waits_for


def test_a_turn_comes_every_interval_until_stopped() -> None:
    clock, turns = Clock(), Turns()
    polling = Polling(clock, turns, interval=0.5, what="tests")
    polling.start()
    assert turns.count == 0
    clock.pump([0.5, 0.5])
    assert turns.count == 2
    polling.stop()
    clock.pump([0.5, 0.5])
    assert turns.count == 2
    assert not clock.getDelayedCalls()


def test_a_failure_does_not_end_it() -> None:
    clock, turns = Clock(), Turns()
    Polling(clock, turns, interval=0.5, what="tests").start()
    turns.failure = OSError("gone")
    clock.pump([0.5, 0.5])
    turns.failure = None
    clock.advance(0.5)
    assert turns.count == 3


def test_a_store_that_is_away_is_no_traceback() -> None:
    clock, turns = Clock(), Turns()
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        Polling(clock, turns, interval=0.5, what="tests").start()
        turns.failure = Unavailable("away")
        clock.pump([0.5, 0.5])
        turns.failure = None
        clock.advance(0.5)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [formatEvent(event) for event in events] == ["cannot read tests: away", "can read tests again"]
    assert not any("log_failure" in event for event in events)


def test_two_turns_never_run_at_once() -> None:
    clock, turns = Clock(), Turns()
    Polling(clock, turns, interval=0.5, what="tests").start()
    turns.waits_for = Deferred()
    clock.pump([0.5, 0.5, 0.5])
    assert turns.count == 1
    waiting, turns.waits_for = turns.waits_for, None
    waiting.callback(None)
    clock.advance(0.5)
    assert turns.count == 2
