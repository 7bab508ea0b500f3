"""Cron schedules of six fields, seconds first: ``0 0/15 * * * ?`` is every quarter of an hour (R-CEG-038).

    second  minute  hour  day-of-month  month  day-of-week
    0-59    0-59    0-23  1-31          1-12   0-7

Each field is a list, separated by commas, of ``*`` (all), ``?`` (the same), ``a``, ``a-b``, ``a/step`` (from a to the
end), ``a-b/step`` and ``*/step``. Months are also JAN-DEC, days of the week SUN-SAT; 0 and 7 are both Sunday. A moment
matches when all six fields match: ``0 0 0 13 * FRI`` is Friday the 13th. All times are UTC.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST_TEXT = 256
# The longest gap of any schedule: 29 February on a given day of the week, over a century that is no leap year.
_YEARS_AHEAD = 41


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()
    first_name: int = 0


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day-of-week", 0, 7, _DAYS),
)

_ITEM = re.compile(
    r"(?:(?P<all>[*?])|(?P<first>[0-9]{1,2}|[A-Z]{3})(?:-(?P<last>[0-9]{1,2}|[A-Z]{3}))?)(?:/(?P<step>[0-9]{1,2}))?"
)


class CronError(ValueError):
    """The text is not a schedule; the message says which field and what would be right."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule; each attribute holds the matching values in order."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: frozenset[int]
    """0 is Sunday."""

    @classmethod
    def parse(cls, text: str) -> Cron:
        """The schedule written as six fields; raises CronError, also for one that never comes (30 February)."""
        if len(text) > _LONGEST_TEXT:
            raise CronError(f"a cron schedule has at most {_LONGEST_TEXT} characters")
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise CronError(
                f"a cron schedule has 6 fields (second minute hour day-of-month month day-of-week), not {len(parts)}:"
                f" {text!r}"
            )
        seconds, minutes, hours, days, months, weekdays = (
            _parse_field(field, part) for field, part in zip(_FIELDS, parts, strict=True)
        )
        if all(days[0] > _longest(month) for month in months):
            raise CronError(f"no month of {parts[4]!r} has a day {days[0]}: {text!r} never comes")
        return cls(
            text=" ".join(parts),
            seconds=seconds,
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(day % 7 for day in weekdays),
        )

    def next_after(self, moment: datetime) -> datetime:
        """The first matching moment later than ``moment`` (aware); in UTC, whole seconds."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        for year in range(start.year, start.year + _YEARS_AHEAD):
            for month in self.months:
                if (year, month) < (start.year, start.month):
                    continue
                for day in self._days_of(year, month):
                    if (year, month, day) < (start.year, start.month, start.day):
                        continue
                    is_first_day = (year, month, day) == (start.year, start.month, start.day)
                    earliest = (start.hour, start.minute, start.second) if is_first_day else (0, 0, 0)
                    if (time := self._time_from(earliest)) is not None:
                        return datetime(year, month, day, *time, tzinfo=UTC)
        raise AssertionError(f"{self.text!r} does not come within {_YEARS_AHEAD} years")

    def _days_of(self, year: int, month: int) -> list[int]:
        """The matching days of a month."""
        monday_first, length = calendar.monthrange(year, month)
        # The 1st falls on weekday monday_first (0 is Monday), which is monday_first + 1 counted from Sunday.
        return [day for day in self.days if day <= length and (monday_first + day) % 7 in self.weekdays]

    def _time_from(self, earliest: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """The first matching time of a day that is not before ``earliest``."""
        hour, minute, second = earliest
        for candidate_hour in self.hours:
            if candidate_hour < hour:
                continue
            for candidate_minute in self.minutes:
                if (candidate_hour, candidate_minute) < (hour, minute):
                    continue
                floor = second if (candidate_hour, candidate_minute) == (hour, minute) else 0
                for candidate_second in self.seconds:
                    if candidate_second >= floor:
                        return candidate_hour, candidate_minute, candidate_second
        return None


def _longest(month: int) -> int:
    """The length of a month in a leap year."""
    return calendar.monthrange(2000, month)[1]


def _parse_field(field: _Field, text: str) -> tuple[int, ...]:
    values: set[int] = set()
    for item in text.upper().split(","):
        values |= set(_parse_item(field, text, item))
    return tuple(sorted(values))


def _parse_item(field: _Field, text: str, item: str) -> range:
    """The values of one list item."""
    match = _ITEM.fullmatch(item)
    if match is None:
        hint = "*, ?, a, a-b, a/step or a list of these with commas"
        raise CronError(f"cron field {field.name}: {text!r} is not {hint}")
    step = 1 if match["step"] is None else int(match["step"])
    if step == 0:
        raise CronError(f"cron field {field.name}: the step in {text!r} is 0; it is at least 1")
    highest = 6 if field.name == "day-of-week" else field.highest  # 7 is Sunday again, not one more day
    if match["all"]:
        return range(field.lowest, highest + 1, step)
    first = _value(field, text, match["first"])
    if match["last"] is not None:
        last = _value(field, text, match["last"])
    else:
        last = max(first, highest) if match["step"] else first
    if last < first:
        raise CronError(f"cron field {field.name}: the range in {text!r} goes backwards")
    return range(first, last + 1, step)


def _value(field: _Field, text: str, word: str) -> int:
    if word in field.names:
        return field.names.index(word) + field.first_name
    if not word.isdigit():
        raise CronError(f"cron field {field.name}: {word!r} in {text!r} is not a name it knows")
    value = int(word)
    if not field.lowest <= value <= field.highest:
        raise CronError(f"cron field {field.name}: {value} in {text!r} is not within {field.lowest}-{field.highest}")
    return value
