"""Types of conf values that several sections share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A table of a conf file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_ISO_8601 = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)
_SHORT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|min|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: Any) -> timedelta:
    """A span of time: ``"60s"``, ``"15 min"``, ``"500ms"``, or ISO 8601 ``PnDTnHnMn.nS`` in any case (R-CEG-037).

    Weeks, months, years and negative spans are refused. Raises ValueError.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        text = value.strip()
        if short := _SHORT.fullmatch(text):
            return timedelta(seconds=float(short["number"]) * _UNITS[short["unit"]])
        if (iso := _ISO_8601.fullmatch(text)) and any(iso.groupdict().values()) and not text.upper().endswith("T"):
            return timedelta(**{unit: float(number) for unit, number in iso.groupdict().items() if number})
    raise ValueError('a span of time, for example "60s", "15 min" or "P7DT12H"')


def _is_positive(span: timedelta) -> timedelta:
    if span <= timedelta(0):
        raise ValueError("a span of time longer than zero")
    return span


def _has_a_second(span: timedelta) -> timedelta:
    if span < timedelta(seconds=1):
        raise ValueError("a span of time of a second or more")
    return span


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(_is_positive)]
DurationOfSeconds = Annotated[Duration, AfterValidator(_has_a_second)]
"""A second or more: what is told to clients in whole seconds."""


class SecretReference(Section):
    """Where a secret is: ``{ file = "..." }``, ``{ env = "..." }`` ``{ store = "..." }``; never the secret."""

    file: str | None = None
    """A path, relative to the conf file's folder; one trailing newline is not part of the secret."""
    env: str | None = None
    store: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{2,127}$")] | None = None
    """An id of the secret store (R-PLAT-047)."""

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretReference:
        if sum(place is not None for place in (self.file, self.env, self.store)) != 1:
            raise ValueError('exactly one of { file = "..." }, { env = "..." }, { store = "..." }')
        return self
