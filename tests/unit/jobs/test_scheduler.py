"""Jobs run at their moments, once over all nodes, and go on whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select, update
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher

from cspd.jobs.cron import CronError
from cspd.jobs.scheduler import Scheduler
from cspd.jobs.values import Job
from cspd.refusals import NotFound, Unavailable
from cspd.store.tables import jobs
from tests.support.databases import InlineDatabase
from tests.support.running import result_of
from tests.support.times import Time

MINUTE = timedelta(minutes=1)


class House:
    """A store, a time, and nodes; each run of a job is remembered."""

    def __init__(self) -> None:
        self.time = Time()
        self.database = FlakyDatabase()
        self.runs: list[tuple[str, str]] = []
        self.waiting: list[Deferred[None]] = []

    def node(self, name: str) -> Scheduler:
        return Scheduler(self.time.reactor, self.time.wall, self.database, name)

    def job(self, node: str, schedule: str = "0 * * * * *", *, work: Callable[[], Any] | None = None) -> Job:
        async def run() -> None:
            self.runs.append((node, self.time.wall.now().strftime("%H:%M:%S")))
            if work is not None:
                await work()

        return Job(name="acme-clean", schedule=schedule, run=run)

    def slow(self) -> Deferred[None]:
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def row(self) -> Row[Any]:
        return result_of(self.database.read(lambda connection: connection.execute(select(jobs)).one()))


class FlakyDatabase(InlineDatabase):
    """Is away when told."""

    is_away = False

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        if self.is_away:
            raise Unavailable("the store cannot answer now", detail="away")
        return await super().write(work)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def log() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def test_a_job_runs_at_each_moment(house: House) -> None:
    node = house.node("one")
    node.add(house.job("one"))
    node.start()
    assert house.runs == []
    house.time.advance(3 * MINUTE)
    assert house.runs == [("one", "12:01:00"), ("one", "12:02:00"), ("one", "12:03:00")]


@pytest.mark.requirement("R-CEG-158")
def test_of_three_nodes_one_runs_each_moment(house: House) -> None:
    for name in ("one", "two", "three"):
        node = house.node(name)
        node.add(house.job(name))
        node.start()
    house.time.advance(10 * MINUTE)
    assert [moment for _, moment in house.runs] == [f"12:{minute:02}:00" for minute in range(1, 11)]


def test_the_other_node_is_back_at_the_next_moment_though_the_lease_is_longer(house: House) -> None:
    """It looks while the first one runs the job, which ends soon after and with the first one itself."""
    one, two = house.node("one"), house.node("two")
    one.add(house.job("one", "0/10 * * * * *", work=house.slow))
    two.add(house.job("two", "0/10 * * * * *"))
    one.start()
    two.start()
    house.time.advance(timedelta(seconds=12))
    assert house.runs == [("one", "12:00:10")]
    one.stop()
    house.waiting[0].callback(None)
    house.time.advance(timedelta(seconds=9))
    assert house.runs[1:] == [("two", "12:00:20")]


def test_nodes_whose_clocks_differ_do_not_run_a_moment_twice(house: House) -> None:
    late = Time()
    late.wall.advance(timedelta(seconds=-3))
    one = house.node("one")
    two = Scheduler(late.reactor, late.wall, house.database, "two")
    one.add(house.job("one"))
    two.add(house.job("two"))
    one.start()
    two.start()
    for _ in range(600):
        house.time.advance(timedelta(seconds=1))
        late.advance(timedelta(seconds=1))
    assert len(house.runs) == 10


@pytest.mark.requirement("R-PLAT-062")
def test_when_the_node_that_runs_dies_another_takes_over_as_its_lease_ends(house: House) -> None:
    of_one = Time()
    one = Scheduler(of_one.reactor, of_one.wall, house.database, "one")
    two = house.node("two")
    one.add(house.job("one", "0 0 * * * *", work=house.slow))
    two.add(house.job("two", "0 0 * * * *"))
    one.start()
    two.start()
    of_one.advance(timedelta(hours=1))  # and now time stands still for it
    house.time.advance(timedelta(hours=1, seconds=59))
    assert [node for node, _ in house.runs] == ["one"]
    house.time.advance(timedelta(seconds=1))
    assert house.runs[1:] == [("two", "13:01:00")]
    assert house.row().lease_owner is None
    house.waiting[0].callback(None)  # it was not dead after all; what it does now changes nothing
    assert house.row().last_finished == house.time.wall.now()


def test_a_long_run_keeps_its_lease(house: House) -> None:
    one, two = house.node("one"), house.node("two")
    one.add(house.job("one", "0 0 * * * *", work=house.slow))
    two.add(house.job("two", "0 0 * * * *"))
    one.start()
    two.start()
    house.time.advance(timedelta(hours=1, minutes=30))
    assert house.runs == [("one", "13:00:00")]
    assert house.row().lease_owner == "one"
    house.waiting[0].callback(None)
    assert house.row().last_outcome == "success"
    house.time.advance(MINUTE * 30)
    assert len(house.runs) == 2


def test_a_node_that_lost_its_lease_ends_its_run(house: House, log: list[LogEvent]) -> None:
    node = house.node("one")
    node.add(house.job("one", work=house.slow))
    node.start()
    house.time.advance(MINUTE)
    until = house.time.wall.now() + timedelta(hours=1)
    result_of(house.database.write(lambda c: c.execute(update(jobs).values(lease_owner="two", lease_until=until))))
    house.time.advance(MINUTE)
    assert house.waiting[0].called
    assert house.row().lease_owner == "two"
    assert [event["log_level"].name for event in log] == ["error", "critical"]


def test_what_was_missed_while_nobody_ran_is_one_run(house: House) -> None:
    first = house.node("one")
    first.add(house.job("one"))
    first.start()
    house.time.advance(MINUTE)
    assert first.stop().called
    house.time.wall.advance(timedelta(hours=5, seconds=30))
    second = house.node("two")
    second.add(house.job("two"))
    second.start()
    assert house.runs == [("one", "12:01:00"), ("two", "17:01:30")]
    house.time.advance(MINUTE)
    assert house.runs[2:] == [("two", "17:02:00")]


def test_moments_that_pass_during_a_long_run_are_one_run(house: House) -> None:
    node = house.node("one")
    node.add(house.job("one", work=house.slow))
    node.start()
    house.time.advance(5 * MINUTE + timedelta(seconds=30))
    house.waiting[0].callback(None)
    assert house.runs == [("one", "12:01:00"), ("one", "12:05:30")]


def test_a_failure_is_logged_and_the_schedule_goes_on(house: House, log: list[LogEvent]) -> None:
    async def fail() -> None:
        raise RuntimeError("no such table")

    node = house.node("one")
    node.add(house.job("one", work=fail))
    node.start()
    house.time.advance(2 * MINUTE)
    assert len(house.runs) == 2
    assert (node.history["acme-clean"].runs, node.history["acme-clean"].failures) == (2, 2)
    assert [event["log_failure"].getErrorMessage() for event in log] == ["no such table"] * 2
    assert house.row().last_outcome == "failed: RuntimeError"


def test_what_was_refused_is_told_in_a_line_and_only_the_unforeseen_with_its_stack(
    house: House, log: list[LogEvent]
) -> None:
    async def fail() -> None:
        refused = [Unavailable("the token is away", detail="0x5"), NotFound("no such CA")]
        raise ExceptionGroup("some CRLs", [*refused, RuntimeError("no such table")])

    node = house.node("one")
    node.add(house.job("one", work=fail))
    node.start()
    house.time.advance(MINUTE)
    assert [event["why"] for event in log[:2]] == ["the token is away (0x5)", "no such CA"]
    assert "no such table" in log[2]["log_failure"].getTraceback()
    assert len(log) == 3


def test_what_became_of_the_runs_is_remembered_over_a_reload(house: House, log: list[LogEvent]) -> None:
    outcomes = [False, True, False]

    async def work() -> None:
        if outcomes.pop(0):
            raise RuntimeError("no such table")

    node = house.node("one")
    node.add(house.job("one", work=work))
    node.start()
    seen = []
    while outcomes:
        house.time.advance(MINUTE)
        history = node.history["acme-clean"]
        times = [each and each.strftime("%H:%M") for each in (history.last_success, history.last_failure)]
        seen.append((history.runs, history.failures, *times, history.last_run_failed))
        node.remove("acme-clean")
        assert node.history == {}
        node.add(house.job("one", work=work))
    assert seen == [
        (1, 0, "12:01", None, False),
        (2, 1, "12:01", "12:02", True),
        (3, 1, "12:03", "12:02", False),
    ]


def test_stop_waits_for_the_run_that_is_on_and_starts_no_other(house: House) -> None:
    node = house.node("one")
    node.add(house.job("one", work=house.slow))
    node.start()
    house.time.advance(MINUTE)
    stopped = node.stop()
    house.time.advance(2 * MINUTE)
    assert not stopped.called
    house.waiting[0].callback(None)
    assert stopped.called
    house.time.advance(5 * MINUTE)
    assert len(house.runs) == 1
    assert house.time.reactor.getDelayedCalls() == []
    assert house.row().lease_owner is None


def test_a_job_comes_and_goes_while_others_run(house: House) -> None:
    node = house.node("one")
    node.start()
    node.add(house.job("one"))
    with pytest.raises(ValueError, match="two jobs are named acme-clean"):
        node.add(house.job("one"))
    house.time.advance(MINUTE)
    assert node.remove("acme-clean").called
    house.time.advance(MINUTE)
    assert len(house.runs) == 1


def test_a_bad_schedule_is_refused_when_the_job_is_added(house: House) -> None:
    with pytest.raises(CronError):
        house.node("one").add(house.job("one", "daily"))


def test_a_store_that_is_away_delays_the_run_but_does_not_lose_it(house: House, log: list[LogEvent]) -> None:
    node = house.node("one")
    node.add(house.job("one"))
    node.start()
    house.database.is_away = True
    house.time.advance(MINUTE + timedelta(seconds=5))
    assert house.runs == []
    house.database.is_away = False
    house.time.advance(timedelta(seconds=10))
    assert house.runs == [("one", "12:01:10")]
    assert [event["log_level"].name for event in log] == ["warn"]


def test_a_run_that_ends_while_the_store_is_away_is_not_repeated(house: House) -> None:
    node = house.node("one")
    node.add(house.job("one", "0 0 * * * *", work=house.slow))
    node.start()
    house.time.advance(timedelta(hours=1))
    house.database.is_away = True
    house.waiting[0].callback(None)
    house.time.advance(timedelta(minutes=5))
    house.database.is_away = False
    house.time.advance(timedelta(minutes=5))
    assert len(house.runs) == 1
    assert house.row().lease_owner is None


def test_waiting_costs_no_query(house: House) -> None:
    node = house.node("one")
    node.add(house.job("one", "0 0 0 1 1 *"))
    node.start()
    house.database.is_away = True  # it would be logged and retried
    house.time.advance(timedelta(hours=2), step=timedelta(seconds=10))
    assert len(house.time.reactor.getDelayedCalls()) == 1
    assert house.row().last_due == datetime.fromisoformat("2026-11-24T12:00:00+00:00")


def test_a_run_that_is_thrown_away_waits_for_nothing(house: House) -> None:
    """What a stopped reactor leaves behind is closed by the garbage collector, at any moment and in any thread."""
    node = house.node("a")
    node.add(house.job("a", work=house.slow))
    run = node._jobs["acme-clean"]._run(house.time.wall.now())
    run.send(None)
    house.database.write = lambda work: Deferred()  # type: ignore[assignment,method-assign]  # a store that hangs
    house.time.reactor.advance(30)  # and meets a lease that is to be renewed
    run.close()
