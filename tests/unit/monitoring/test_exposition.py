"""Collectors become a page that Prometheus reads, whatever single ones do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from twisted.logger import capturedLogs

from cspd.monitoring.exposition import OPENMETRICS, PLAIN, expose
from tests.support.metrics import samples
from tests.unit.monitoring.sources import Gauge

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


class Counted:
    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily("cspd_things", "Things.", labels=["kind"])
        family.add_metric(['a "quoted"\nkind'], 3)
        yield family


class Unwritable:
    """Gives a value that is no number."""

    def collect(self) -> Iterable[Metric]:
        value: Any = "many"
        return Gauge("cspd_unwritable", value).collect()


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain;version=0.0.4", "text/html", "x/openmetrics-text", ";,;="])
def test_the_plain_format_is_for_everybody(accept: str) -> None:
    page = expose([Counted()], accept)
    assert page.content_type == PLAIN
    assert samples(page.body) == {("cspd_things_total", ('a "quoted"\nkind',)): 3.0}


@pytest.mark.parametrize(
    "accept", [PROMETHEUS_3, "application/openmetrics-text", "text/plain, Application/OpenMetrics-Text; version=x"]
)
def test_openmetrics_is_for_those_who_ask(accept: str) -> None:
    page = expose([Counted(), Gauge("cspd_b")], accept)
    assert page.content_type == OPENMETRICS
    assert page.body.endswith(b"\n# EOF\n")
    assert page.body.count(b"# EOF") == 1
    found = samples(page.body, is_openmetrics=True)
    assert found == {("cspd_things_total", ('a "quoted"\nkind',)): 3.0, ("cspd_b", ()): 1.0}


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
@pytest.mark.parametrize("broken", [Gauge("cspd_x", error=RuntimeError("broken")), Unwritable()])
def test_a_collector_that_fails_is_logged_and_left_out(accept: str, broken: Any) -> None:
    with capturedLogs() as logs:
        page = expose([Gauge("cspd_a"), broken, Gauge("cspd_b")], accept)
    assert samples(page.body, is_openmetrics=bool(accept)) == {("cspd_a", ()): 1.0, ("cspd_b", ()): 1.0}
    assert [event["collector"] for event in logs] == [type(broken).__name__]


def test_a_family_stands_on_the_page_once() -> None:
    with capturedLogs() as logs:
        page = expose([Gauge("cspd_a", 1), Gauge("cspd_a", 2), Gauge("cspd_b")], "")
    assert samples(page.body) == {("cspd_a", ()): 1.0, ("cspd_b", ()): 1.0}
    assert [event["names"] for event in logs] == ["cspd_a"]
