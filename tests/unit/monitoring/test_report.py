"""Many parts, one state."""

from __future__ import annotations

import pytest

from cspd.health import HealthState
from cspd.monitoring.report import HealthReport
from tests.unit.monitoring.sources import part

OK, DEGRADED, FAILED = HealthState.OK, HealthState.DEGRADED, HealthState.FAILED


@pytest.mark.parametrize(
    ("states", "overall"),
    [
        ((), OK),
        ((OK, OK), OK),
        ((OK, DEGRADED, OK), DEGRADED),
        ((DEGRADED, FAILED, OK), FAILED),
    ],
)
def test_the_worst_part_decides(states: tuple[HealthState, ...], overall: HealthState) -> None:
    report = HealthReport(tuple(part(f"part-{number}", state) for number, state in enumerate(states)))
    assert report.state is overall
    assert len(report.troubles) == sum(state is not OK for state in states)


def test_a_system_is_the_parts_whose_names_begin_with_its_words() -> None:
    report = HealthReport((part("keys-a"), part("keys-b-c"), part("keysmith"), part("store")))
    names = {system: [each.part for each in report.of(system).parts] for system in ("keys", "keys-b", "store", "sto")}
    assert names == {"keys": ["keys-a", "keys-b-c"], "keys-b": ["keys-b-c"], "store": ["store"], "sto": []}
