"""The clock is good exactly while its time source has said so, and nothing moved since."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs

from cspd.health import HealthState
from cspd.logs import as_json
from cspd.refusals import Unavailable
from cspd.timekeeping.values import LeapStatus
from tests.support.running import result_of
from tests.support.timekeeping import SYNCHRONISED, MonitoredClock


@pytest.fixture
def house() -> MonitoredClock:
    """A clock that was found good just now."""
    house = MonitoredClock()
    house.monitor.start()
    assert house.refusal() == ""
    return house


@pytest.mark.requirement("R-TSA-054")
def test_before_the_first_answer_the_clock_is_bad() -> None:
    house = MonitoredClock()
    assert "not answered yet" in house.refusal()
    house.source.answer = waiting = Deferred()
    house.monitor.start()
    assert "not answered yet" in house.refusal()
    waiting.callback(SYNCHRONISED)
    assert house.refusal() == ""


@pytest.mark.parametrize("answer", [SYNCHRONISED, Unavailable("gone")])
def test_who_wants_to_can_wait_for_the_first_answer(answer: object) -> None:
    house = MonitoredClock()
    house.source.answer = first = Deferred()
    waited: list[object] = []
    patient, impatient = (Deferred.fromCoroutine(house.monitor.settled()).addBoth(waited.append) for _ in range(2))
    house.monitor.start()
    impatient.cancel()
    assert len(waited) == 1
    (first.errback if isinstance(answer, Unavailable) else first.callback)(answer)
    assert (patient.called, waited[1:]) == (True, [None])
    assert result_of(house.monitor.settled()) is None


def test_a_good_clock_tells_the_time_of_the_system_clock(house: MonitoredClock) -> None:
    house.pass_time(1.5)
    time = house.monitor.now()
    assert (time.moment, time.near_leap) == (house.wall.now(), False)


@pytest.mark.requirement("R-TSA-050")
def test_the_source_is_asked_every_poll_interval(house: MonitoredClock) -> None:
    assert house.source.asked == 1
    house.pass_time(9)
    assert house.source.asked == 1
    house.pass_time(1)
    assert house.source.asked == 2
    house.pass_time(100)
    assert house.source.asked == 12


@pytest.mark.requirement("R-TSA-054")
def test_a_source_that_cannot_be_reached_makes_the_clock_bad_at_once(house: MonitoredClock) -> None:
    house.source.answer = Unavailable("nobody listens at udp:127.0.0.1:323")
    house.poll()
    assert house.refusal() == "nobody listens at udp:127.0.0.1:323"


@pytest.mark.requirement("R-TSA-053")
def test_a_good_poll_makes_it_good_again(house: MonitoredClock) -> None:
    house.source.answer = Unavailable("gone")
    house.poll()
    house.source.answer = SYNCHRONISED
    house.poll()
    assert house.refusal() == ""


@pytest.mark.requirement("R-TSA-051")
@pytest.mark.requirement("R-TSA-053")
def test_too_great_an_offset_makes_it_bad_until_it_is_small_again(house: MonitoredClock) -> None:
    house.source.change(offset=-0.500001)
    house.poll()
    assert "0.500001 s behind true time; 0.5 s are allowed" in house.refusal()
    house.source.change(offset=-0.5)
    house.poll()
    assert house.refusal() == ""


@pytest.mark.requirement("R-TSA-054")
def test_a_source_that_never_answers_is_given_up(house: MonitoredClock) -> None:
    house.source.answer = Deferred()
    house.poll()
    assert house.refusal() == ""
    house.pass_time(2)
    assert "no answer within 1 s" in house.refusal()
    house.source.answer = SYNCHRONISED
    house.pass_time(8)
    assert house.refusal() == ""


def test_a_source_with_a_fault_of_its_own_makes_the_clock_bad(house: MonitoredClock) -> None:
    house.source.answer = ZeroDivisionError("a fault")
    with capturedLogs() as logs:
        house.poll()
    assert "the log has the traceback" in house.refusal()
    assert "log_failure" in logs[0]


def test_polls_never_overlap() -> None:
    house = MonitoredClock(poll_interval=timedelta(seconds=1), connect_timeout=timedelta(seconds=5))
    house.source.answer = slow = Deferred()
    house.monitor.start()
    house.pass_time(4)
    assert house.source.asked == 1
    house.source.answer = SYNCHRONISED
    slow.callback(SYNCHRONISED)
    house.pass_time(1)
    assert house.source.asked == 2


def test_a_good_answer_expires_when_no_poll_follows(house: MonitoredClock) -> None:
    house.pass_time(13, timers=False)
    assert house.refusal() == ""
    house.pass_time(0.001, timers=False)
    assert "not been asked in time" in house.refusal()


def test_timers_that_stand_still_are_set_anew(house: MonitoredClock) -> None:
    """The reactor's timers go by the wall clock, and wait for hours after a step of hours backwards."""
    house.pass_time(9)
    house.pass_time(20, timers=False)
    assert house.refusal()
    house.pass_time(9)
    assert house.source.asked == 1
    house.pass_time(1)
    assert house.source.asked == 2
    assert house.refusal() == ""


def test_a_question_whose_timeout_stands_still_is_ended(house: MonitoredClock) -> None:
    house.source.answer = Deferred()
    house.poll()
    house.pass_time(20, timers=False)
    assert house.refusal()
    assert house.monitor.state().polls_failed == 1
    house.source.answer = SYNCHRONISED
    house.poll()
    assert house.refusal() == ""


def test_stop_waits_for_the_poll_under_way(house: MonitoredClock) -> None:
    house.source.answer = slow = Deferred()
    house.poll()
    ended = house.monitor.stop()
    assert not ended.called
    slow.callback(SYNCHRONISED)
    assert ended.called
    house.pass_time(60)
    assert house.source.asked == 2


def test_stop_is_at_once_between_polls_and_before_the_first(house: MonitoredClock) -> None:
    assert house.monitor.stop().called
    assert MonitoredClock().monitor.stop().called


@pytest.mark.parametrize("step", [0.5, -0.5, 0.25])
def test_a_step_within_the_limit_is_let_pass(house: MonitoredClock, step: float) -> None:
    house.step(step)
    assert house.refusal() == ""


@pytest.mark.parametrize("step", [0.500001, -0.500001, 3600.0, -3600.0])
def test_a_step_of_the_system_clock_is_noticed_between_polls(house: MonitoredClock, step: float) -> None:
    house.pass_time(3)
    house.step(step)
    assert f"stepped by {step:+.6f} s" in house.refusal()


def test_a_step_stays_noticed_when_it_is_taken_back(house: MonitoredClock) -> None:
    house.step(2)
    house.refusal()
    house.step(-2)
    assert "stepped" in house.refusal()
    assert house.monitor.state().steps == 1


@pytest.mark.parametrize(("offset", "step"), [(0.375, 0.25), (-0.375, -0.25)])
def test_a_step_that_takes_a_known_offset_beyond_the_limit_is_noticed(offset: float, step: float) -> None:
    house = MonitoredClock()
    house.source.change(offset=offset)
    house.monitor.start()
    house.step(-step)
    assert house.refusal() == ""
    house.step(2 * step)
    assert "stepped" in house.refusal()


def test_after_a_step_the_source_has_to_measure_anew(house: MonitoredClock) -> None:
    """chrony repeats its last word until its next measurement, and knows nothing of a clock set by hand."""
    house.step(2)
    assert house.refusal()
    for _ in range(3):
        house.poll(measured=False)
        assert "has not measured it since" in house.refusal()
    house.poll()
    assert house.refusal() == ""


def test_a_measurement_just_before_the_step_is_none_after_it(house: MonitoredClock) -> None:
    house.source.change(reference_time=house.wall.now())
    house.step(2)
    assert house.refusal()
    house.poll(measured=False)
    assert "has not measured it since" in house.refusal()


def test_a_step_is_noticed_at_the_next_poll_though_nobody_asked_meanwhile(house: MonitoredClock) -> None:
    house.step(-1)
    house.poll(measured=False)
    assert "has not measured it since" in house.refusal()
    assert house.monitor.state().steps == 1


def test_a_step_is_noticed_though_the_clock_was_bad_for_another_reason(house: MonitoredClock) -> None:
    house.source.answer = Unavailable("a datagram was lost")
    house.poll()
    house.step(-1)
    house.source.answer = SYNCHRONISED
    house.poll(measured=False)
    assert "has not measured it since" in house.refusal()


def test_small_steps_add_up_until_the_source_measures(house: MonitoredClock) -> None:
    house.step(0.3)
    house.poll(measured=False)
    assert house.refusal() == ""
    house.step(0.3)
    assert "stepped by +0.6" in house.refusal()


def test_small_steps_that_the_source_has_measured_are_forgotten(house: MonitoredClock) -> None:
    for _ in range(5):
        house.step(0.3)
        house.poll()
        assert house.refusal() == ""


@pytest.mark.requirement("R-TSA-056")
def test_each_poll_is_logged_as_operators_filter_it(house: MonitoredClock) -> None:
    with capturedLogs() as logs:
        house.poll()
        house.source.answer = Unavailable("gone")
        house.poll()
    lines = [as_json(event) for event in logs]
    polls = [json.loads(line) for line in lines if '"GetClockData.' in line]
    assert [(poll["msg"], poll["reason"], poll["trusted"], poll["offset"]) for poll in polls] == [
        ("GetClockData.Succeeded", "", True, 0.0),
        ("GetClockData.Failed", "gone", False, None),
    ]
    assert {(poll["app"], poll["namespace"], poll["level"]) for poll in polls} == {("clockstatus", "tsa", "INFO")}


def test_a_change_of_the_verdict_is_logged_once(house: MonitoredClock) -> None:
    with capturedLogs() as logs:
        house.source.answer = Unavailable("gone")
        for _ in range(3):
            house.poll()
        house.source.answer = SYNCHRONISED
        for _ in range(3):
            house.poll()
    changes = [(e["event"], e["log_level"]) for e in logs if str(e.get("event", "")).endswith("trusted")]
    assert changes == [("clock-distrusted", LogLevel.warn), ("clock-trusted", LogLevel.info)]


def test_the_state_shows_the_last_answer_and_its_age(house: MonitoredClock) -> None:
    house.pass_time(4)
    state = house.monitor.state()
    assert (state.trusted, state.reason, state.answer_age) == (True, "", 4.0)
    assert state.tracking == house.source.answer
    assert (state.polls_succeeded, state.polls_failed, state.steps) == (1, 0, 0)


def test_health_follows_the_verdict(house: MonitoredClock) -> None:
    assert house.monitor.health().state is HealthState.OK
    assert house.monitor.health().part == "tsp-clock"
    house.source.change(offset=0.3)
    house.poll()
    nearly = house.monitor.health()
    assert (nearly.state, nearly.reason) == (HealthState.DEGRADED, "the offset is +0.300000 s; 0.5 s are allowed")
    house.source.change(leap=LeapStatus.NOT_SYNCHRONISED)
    house.poll()
    bad = house.monitor.health()
    assert (bad.state, bad.reason) == (HealthState.FAILED, "the time source is not synchronised")


@pytest.mark.parametrize("interrupted_at", [(1,), (1, 2), (1, 3), (1, 2, 3)])
def test_an_interruption_between_the_two_clocks_is_no_step(
    house: MonitoredClock, interrupted_at: tuple[int, ...]
) -> None:
    """now() reads the wall clock, then (1) the monotonic one; where they disagree it reads (2) both again (3)."""
    calls = 0

    def slow_monotonic() -> float:
        nonlocal calls
        calls += 1
        before = house.monotonic
        if calls in interrupted_at:
            house.monotonic += 0.7
            house.wall.advance(timedelta(seconds=0.7))
        return before if calls == 2 else house.monotonic

    house.monitor._monotonic = slow_monotonic
    house.monitor.now()
    assert calls == 3
