"""Questions are asked seldom and waited for not long."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from cspd.health import HealthState
from cspd.monitoring.probe import Probe
from cspd.refusals import Unavailable
from tests.support.running import result_of


class Store:
    """Counts questions; they wait while told to."""

    def __init__(self) -> None:
        self.reactor = Clock()
        self.asked = 0
        self.error: Exception | None = None
        self.answers_late = False
        self.waiting: list[Deferred[None]] = []
        self.probe = Probe(self.ask, reactor=self.reactor, what="the store")

    async def ask(self) -> None:
        self.asked += 1
        if self.answers_late:
            self.waiting.append(Deferred())
            await self.waiting[-1]
        if self.error is not None:
            raise self.error

    def refresh(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.probe.refresh())

    @property
    def state(self) -> tuple[HealthState, str]:
        health = self.probe.health("store")
        assert health.part == "store"
        return health.state, health.reason


@pytest.fixture
def store() -> Store:
    return Store()


def test_an_answer_is_good_for_a_second(store: Store) -> None:
    for _ in range(100):
        result_of(store.probe.refresh())
    store.reactor.advance(0.9)
    result_of(store.probe.refresh())
    assert store.asked == 1
    store.reactor.advance(0.2)
    result_of(store.probe.refresh())
    assert store.asked == 2
    assert store.state == (HealthState.OK, "")
    assert store.reactor.getDelayedCalls() == []


def test_a_refusal_is_a_failure_until_the_next_answer(store: Store) -> None:
    store.error = Unavailable("the store cannot answer now", detail="connection refused")
    result_of(store.probe.refresh())
    assert store.state == (HealthState.FAILED, "connection refused")
    store.error = None
    result_of(store.probe.refresh())
    assert store.state[0] is HealthState.FAILED
    store.reactor.advance(1)
    result_of(store.probe.refresh())
    assert store.state == (HealthState.OK, "")


def test_an_unexpected_error_is_logged_and_not_told(store: Store) -> None:
    store.error = ZeroDivisionError("secret")
    with capturedLogs() as logs:
        result_of(store.probe.refresh())
    assert store.state == (HealthState.FAILED, "unexpected error, see the log")
    assert [event["log_failure"].type for event in logs] == [ZeroDivisionError]


def test_all_who_ask_meanwhile_share_one_question(store: Store) -> None:
    store.answers_late = True
    callers = [store.refresh() for _ in range(5)]
    assert store.asked == 1
    assert not any(caller.called for caller in callers)
    store.waiting[0].callback(None)
    assert all(caller.called for caller in callers)
    assert store.state == (HealthState.OK, "")
    assert store.reactor.getDelayedCalls() == []


def test_patience_ends_and_nobody_asks_again_or_waits_while_the_question_is_open(store: Store) -> None:
    store.answers_late = True
    caller = store.refresh()
    store.reactor.advance(1.9)
    assert not caller.called
    store.reactor.advance(0.1)
    assert caller.called
    assert store.state == (HealthState.DEGRADED, "no answer for 2 seconds")
    store.reactor.advance(8)
    assert store.refresh().called
    assert store.asked == 1
    assert store.state == (HealthState.FAILED, "no answer for 10 seconds")
    store.waiting[0].callback(None)
    assert store.state == (HealthState.OK, "")


def test_a_question_that_is_overdue_after_a_failure_stays_a_failure(store: Store) -> None:
    store.error = Unavailable("away")
    result_of(store.probe.refresh())
    store.answers_late = True
    store.reactor.advance(1)
    store.refresh()
    store.reactor.advance(3)
    assert store.state == (HealthState.FAILED, "away")
