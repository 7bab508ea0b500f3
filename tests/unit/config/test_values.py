"""Spans of time and references to secrets, as conf writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from cspd.config.values import Duration, SecretReference, Section, parse_duration


@pytest.mark.requirement("R-CEG-037")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P7D", 604800),
        ("p7D", 604800),
        ("PT1H", 3600),
        ("P1DT2H3M4.5S", 93784.5),
        ("60s", 60),
        ("15 min", 900),
        ("500ms", 0.5),
        ("2h", 7200),
    ],
)
def test_spans_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["P1W", "P1M", "P1Y", "-P1D", "P", "PT", "P1DT", "7", "", "1 fortnight", 60, None])
def test_other_texts_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a span of time"):
        parse_duration(text)


@pytest.mark.parametrize("table", [{}, {"file": "a", "env": "B"}, {"store": "1x"}, {"value": "hunter2"}])
def test_a_secret_reference_names_exactly_one_place(table: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        SecretReference.model_validate(table)
    assert "hunter2" not in str(caught.value)


def test_unknown_keys_are_errors() -> None:
    class Example(Section):
        wait: Duration = timedelta(0)

    assert Example.model_validate({"wait": "5s"}).wait == timedelta(seconds=5)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Example.model_validate({"wiat": "5s"})
