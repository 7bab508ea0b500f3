"""Lifetimes by the calendar: a year ends on the same day of the next year, leap or not."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

_ISO_8601 = re.compile(
    r"P(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,5})M)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,9})S)?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDuration:
    """A span of years, months and a fixed rest."""

    years: int = 0
    months: int = 0
    rest: timedelta = timedelta()

    def after(self, moment: datetime) -> datetime:
        """The end of the span that begins at ``moment``; a day that the month lacks becomes its last one.

        Raises OverflowError beyond the year 9999.
        """
        months = moment.year * 12 + (moment.month - 1) + self.years * 12 + self.months
        year, month = divmod(months, 12)
        if year > 9999:
            raise OverflowError("beyond the year 9999")
        day = min(moment.day, monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day) + self.rest

    def __str__(self) -> str:
        """ISO 8601, as :meth:`parse` reads it."""
        seconds = self.rest.seconds
        days = [(self.years, "Y"), (self.months, "M"), (self.rest.days, "D")]
        times = [(seconds // 3600, "H"), (seconds % 3600 // 60, "M"), (seconds % 60, "S")]
        day_part, time_part = ("".join(f"{n}{unit}" for n, unit in part if n) for part in (days, times))
        return f"P{day_part}" + (f"T{time_part}" if time_part else "")

    @classmethod
    def parse(cls, text: str) -> CalendarDuration:
        """Read an ISO 8601 duration such as ``P1Y``, ``P90D`` or ``PT12H``; raises ValueError."""
        match = _ISO_8601.fullmatch(text)
        parts = {unit: int(number) for unit, number in match.groupdict().items() if number} if match else {}
        if not any(parts.values()) or text.endswith("T"):
            raise ValueError(f'{text!r} is not a lifetime; write one such as "P1Y", "P90D" or "PT12H"')
        return cls(years=parts.pop("years", 0), months=parts.pop("months", 0), rest=timedelta(**parts))
