"""Figures of the clock, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from cspd.refusals import Unavailable
from cspd.timekeeping.metrics import ClockCollector
from cspd.timekeeping.values import LeapStatus
from tests.support.timekeeping import MonitoredClock


def figures(house: MonitoredClock) -> dict[str, str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ClockCollector(house.monitor.state, source="chrony", max_error=0.5))
    lines = generate_latest(registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_before_the_first_answer_there_is_a_verdict_and_nothing_else() -> None:
    assert figures(MonitoredClock()) == {
        'cspd_clock_trusted{source="chrony"}': "0.0",
        'cspd_clock_max_error_seconds{source="chrony"}': "0.5",
        'cspd_clock_polls_total{outcome="succeeded",source="chrony"}': "0.0",
        'cspd_clock_polls_total{outcome="failed",source="chrony"}': "0.0",
        'cspd_clock_steps_total{source="chrony"}': "0.0",
    }


def test_the_last_answer_shows_with_its_age() -> None:
    house = MonitoredClock()
    house.source.change(offset=-0.25, root_dispersion=0.5, root_delay=0.5, leap=LeapStatus.INSERT_SECOND, stratum=3)
    house.monitor.start()
    house.pass_time(4)
    found = figures(house)
    assert found['cspd_clock_trusted{source="chrony"}'] == "1.0"
    assert found['cspd_clock_offset_seconds{source="chrony"}'] == "-0.25"
    assert found['cspd_clock_error_bound_seconds{source="chrony"}'] == "1.0"
    assert found['cspd_clock_stratum{source="chrony"}'] == "3.0"
    assert found['cspd_clock_answer_age_seconds{source="chrony"}'] == "4.0"
    leaps = {name: value for name, value in found.items() if name.startswith("cspd_clock_leap")}
    assert leaps['cspd_clock_leap{source="chrony",status="insert-second"}'] == "1.0"
    assert sorted(leaps.values()) == ["0.0", "0.0", "0.0", "1.0"]


def test_failures_and_steps_are_counted() -> None:
    house = MonitoredClock()
    house.monitor.start()
    house.step(5)
    house.source.answer = Unavailable("gone")
    house.poll()
    found = figures(house)
    assert found['cspd_clock_trusted{source="chrony"}'] == "0.0"
    assert found['cspd_clock_polls_total{outcome="failed",source="chrony"}'] == "1.0"
    assert found['cspd_clock_polls_total{outcome="succeeded",source="chrony"}'] == "1.0"


def test_a_registry_learns_the_names_without_asking_for_the_state() -> None:
    def never() -> None:
        raise AssertionError("asked")

    described = ClockCollector(never, source="chrony", max_error=0.5).describe()  # type: ignore[arg-type]
    assert {metric.name for metric in described} == {
        "cspd_clock_trusted",
        "cspd_clock_max_error_seconds",
        "cspd_clock_polls",
        "cspd_clock_steps",
        "cspd_clock_offset_seconds",
        "cspd_clock_error_bound_seconds",
        "cspd_clock_stratum",
        "cspd_clock_leap",
        "cspd_clock_answer_age_seconds",
    }
