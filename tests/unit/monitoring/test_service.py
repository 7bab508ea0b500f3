"""The monitor gathers what lasts and what is active."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from cspd.health import Health, HealthState
from cspd.monitoring.probe import Probe
from cspd.monitoring.service import MonitoringService
from cspd.plugin import ProtocolService
from tests.support.metrics import samples
from tests.support.running import result_of
from tests.unit.monitoring.sources import FakeSource, Gauge, part


def broken() -> Sequence[Health]:
    raise RuntimeError("broken")


def names(monitor: MonitoringService) -> list[str]:
    return [each.part for each in result_of(monitor.health()).parts]


def test_parts_of_the_core_come_before_those_of_protocols() -> None:
    monitor = MonitoringService({"store": FakeSource(health=lambda: (part("store"),))})
    monitor.add("jobs", FakeSource(health=lambda: (part("jobs"),)))
    monitor.activate(
        {"ocsp": ProtocolService(routes=()), "tsp": ProtocolService(routes=(), health=lambda: (part("tsp-clock"),))}
    )
    assert names(monitor) == ["store", "jobs", "tsp-clock"]


def test_what_a_reload_replaced_is_not_asked_any_more() -> None:
    monitor = MonitoringService({"core": FakeSource(Gauge("cspd_core"))})
    monitor.activate({"old": FakeSource(Gauge("cspd_old"), health=lambda: (part("old"),))})
    assert names(monitor) == ["old"]
    monitor.activate({"new": FakeSource(Gauge("cspd_new"), health=lambda: (part("new"),))})
    assert names(monitor) == ["new"]
    page = samples(result_of(monitor.metrics("")).body)
    assert page == {("cspd_health", ("new",)): 1.0, ("cspd_core", ()): 1.0, ("cspd_new", ()): 1.0}


@pytest.mark.requirement("R-PLAT-009")
def test_a_protocol_whose_health_cannot_be_told_has_failed_and_hides_no_other() -> None:
    monitor = MonitoringService({})
    monitor.activate({"bad": FakeSource(health=broken), "good": FakeSource(health=lambda: (part("good"),))})
    with capturedLogs() as logs:
        report = result_of(monitor.health())
    assert [(each.part, each.state) for each in report.parts] == [
        ("bad", HealthState.FAILED),
        ("good", HealthState.OK),
    ]
    assert len(logs) == 1


@pytest.mark.requirement("R-PLAT-088")
def test_states_are_metrics_too() -> None:
    parts = (part("a"), part("b", HealthState.DEGRADED), part("c", HealthState.FAILED))
    monitor = MonitoringService({"all": FakeSource(health=lambda: parts)})
    page = samples(result_of(monitor.metrics("")).body)
    assert page == {("cspd_health", (name,)): value for name, value in (("a", 1.0), ("b", 0.5), ("c", 0.0))}


def test_probes_are_asked_at_the_same_time_before_their_sources() -> None:
    reactor, answers = Clock(), [Deferred[None](), Deferred[None]()]
    known: list[int] = []

    def probe(number: int) -> Probe:
        async def ask() -> None:
            await answers[number]
            known.append(number)

        return Probe(ask, reactor=reactor, what="a number")

    monitor = MonitoringService(
        {"numbers": FakeSource(health=lambda: tuple(part(f"part-{number}") for number in known))},
        probes=(probe(0), probe(1)),
    )
    asking = Deferred.fromCoroutine(monitor.health())
    answers[1].callback(None)
    assert not asking.called
    answers[0].callback(None)
    report = asking.result
    assert [each.part for each in report.parts] == ["part-1", "part-0"]
