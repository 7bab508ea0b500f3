"""Which answers of a time source make the clock good."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cspd.timekeeping.assessment import objection
from cspd.timekeeping.settings import LONGEST_SILENCE, ClockSettings
from cspd.timekeeping.values import LeapStatus
from tests.support.timekeeping import SYNCHRONISED

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SETTINGS = ClockSettings(poll_interval=timedelta(seconds=10), max_error=timedelta(milliseconds=500))


def said(settings: ClockSettings = SETTINGS, **fields: Any) -> str | None:
    return objection(replace(SYNCHRONISED, **fields), NOON, settings)


@pytest.mark.requirement("R-TSA-051")
@pytest.mark.parametrize("offset", [0.0, 0.499999, 0.5, -0.5])
def test_an_offset_at_or_below_the_limit_is_good(offset: float) -> None:
    assert said(offset=offset) is None


@pytest.mark.requirement("R-TSA-051")
@pytest.mark.parametrize(("offset", "where"), [(math.nextafter(0.5, 1), "ahead of"), (-0.500001, "behind"), (9e9, "")])
def test_an_offset_above_the_limit_is_bad(offset: float, where: str) -> None:
    reason = said(offset=offset)
    assert reason is not None
    assert where in reason
    assert "0.5 s are allowed" in reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"leap": LeapStatus.NOT_SYNCHRONISED}, "not synchronised"),
        ({"stratum": 0}, "stratum is 0"),
        ({"stratum": 16}, "stratum is 16"),
        ({"reference_id": ""}, "follows no server"),
        ({"reference_time": None}, "never heard"),
        ({"reference_time": NOON - LONGEST_SILENCE - timedelta(microseconds=1)}, "8192 s are allowed"),
        ({"reference_time": NOON + timedelta(seconds=1, microseconds=1)}, "set back"),
        ({"offset": math.nan}, "no number"),
        ({"root_dispersion": math.inf}, "no number"),
    ],
)
def test_what_makes_the_clock_bad(fields: dict[str, Any], reason: str) -> None:
    found = said(**fields)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    "fields",
    [
        {"stratum": 1},
        {"stratum": 15},
        {"leap": LeapStatus.INSERT_SECOND},
        {"leap": LeapStatus.DELETE_SECOND},
        {"reference_time": NOON - LONGEST_SILENCE},
        {"reference_time": NOON + timedelta(seconds=1)},
        {"root_delay": 3.0, "root_dispersion": 5.0},
    ],
)
def test_what_does_not(fields: dict[str, Any]) -> None:
    assert said(**fields) is None


def test_the_bound_of_the_error_can_be_limited_as_well() -> None:
    settings = replace(SETTINGS, max_error_bound=timedelta(seconds=1))
    at_the_limit = {"offset": -0.25, "root_dispersion": 0.25, "root_delay": 1.0}
    assert said(settings, **at_the_limit) is None
    found = said(settings, **{**at_the_limit, "root_delay": 1.001})
    assert found is not None
    assert "1.000500 s from true time; 1 s are allowed" in found
