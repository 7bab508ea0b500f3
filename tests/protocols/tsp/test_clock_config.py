"""``[protocols.tsp.clock]``: what has to be said, and what is taken otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from protocols.tsp.config import ClockConfig

GIVEN = {"poll_interval": "10s", "max_error": "500ms"}


@pytest.mark.requirement("R-TSA-055")
@pytest.mark.parametrize("missing", GIVEN)
def test_poll_interval_and_max_error_have_to_be_given(missing: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ClockConfig.model_validate({name: value for name, value in GIVEN.items() if name != missing})
    assert [(error["loc"], error["type"]) for error in raised.value.errors()] == [((missing,), "missing")]


@pytest.mark.requirement("R-TSA-050")
def test_an_answer_may_take_a_second_unless_said_otherwise() -> None:
    assert ClockConfig.model_validate(GIVEN).connect_timeout == timedelta(seconds=1)
    assert ClockConfig.model_validate({**GIVEN, "connect_timeout": "3s"}).connect_timeout == timedelta(seconds=3)


@pytest.mark.parametrize("name", ["poll_interval", "max_error", "connect_timeout"])
def test_spans_are_longer_than_zero(name: str) -> None:
    with pytest.raises(ValidationError):
        ClockConfig.model_validate({**GIVEN, name: "0s"})
