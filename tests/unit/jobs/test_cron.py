"""Cron schedules of six fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.jobs.cron import Cron, CronError


def moments(schedule: str, start: str, count: int) -> list[str]:
    cron = Cron.parse(schedule)
    moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
    found = []
    for _ in range(count):
        moment = cron.next_after(moment)
        found.append(moment.isoformat(sep=" ").removesuffix("+00:00"))
    return found


@pytest.mark.requirement("R-CEG-038")
@pytest.mark.parametrize("schedule", ["0 0 * * * *", "0 0 * ? * *", "0 0 * ? * ?"])
def test_hourly_in_both_dialects(schedule: str) -> None:
    assert moments(schedule, "2026-11-24 22:00:00", 3) == [
        "2026-11-24 23:00:00",
        "2026-11-25 00:00:00",
        "2026-11-25 01:00:00",
    ]


@pytest.mark.requirement("R-CEG-038")
def test_every_quarter_of_an_hour() -> None:
    assert moments("0 0/15 * * * ?", "2026-12-31 23:14:59.5", 4) == [
        "2026-12-31 23:15:00",
        "2026-12-31 23:30:00",
        "2026-12-31 23:45:00",
        "2027-01-01 00:00:00",
    ]


@pytest.mark.parametrize(
    ("schedule", "start", "expected"),
    [
        ("* * * * * *", "2026-11-24 12:00:00", ["2026-11-24 12:00:01", "2026-11-24 12:00:02"]),
        ("59 59 23 31 12 *", "2026-12-31 23:59:59", ["2027-12-31 23:59:59", "2028-12-31 23:59:59"]),
        ("5,35 0 12 * * *", "2026-11-24 12:00:05", ["2026-11-24 12:00:35", "2026-11-25 12:00:05"]),
        ("0 10-12 3 * * *", "2026-11-24 03:10:30", ["2026-11-24 03:11:00", "2026-11-24 03:12:00"]),
        ("0 0 8-18/5 * * *", "2026-11-24 08:00:00", ["2026-11-24 13:00:00", "2026-11-24 18:00:00"]),
        ("0 50/5 3 * * *", "2026-11-24 03:50:00", ["2026-11-24 03:55:00", "2026-11-25 03:50:00"]),
        ("0 */20 3 * * *", "2026-11-24 03:20:00", ["2026-11-24 03:40:00", "2026-11-25 03:00:00"]),
        ("0 0 2 * * MON", "2026-11-24 00:00:00", ["2026-11-30 02:00:00", "2026-12-07 02:00:00"]),
        ("0 0 2 * * mon-wed", "2026-11-24 02:00:00", ["2026-11-25 02:00:00", "2026-11-30 02:00:00"]),
        ("0 0 2 * * 0", "2026-11-24 00:00:00", ["2026-11-29 02:00:00", "2026-12-06 02:00:00"]),
        ("0 0 2 * * 7", "2026-11-24 00:00:00", ["2026-11-29 02:00:00", "2026-12-06 02:00:00"]),
        ("0 0 2 * * 6-7", "2026-11-24 00:00:00", ["2026-11-28 02:00:00", "2026-11-29 02:00:00"]),
        ("0 0 2 * * 1/6", "2026-11-24 00:00:00", ["2026-11-30 02:00:00", "2026-12-07 02:00:00"]),
        ("0 0 0 1 JAN,JUL ?", "2026-11-24 00:00:00", ["2027-01-01 00:00:00", "2027-07-01 00:00:00"]),
        ("0 0 0 31 * *", "2026-11-24 00:00:00", ["2026-12-31 00:00:00", "2027-01-31 00:00:00"]),
        ("0 0 0 29 2 *", "2026-11-24 00:00:00", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 0 29 2 SUN", "2060-03-01 00:00:00", ["2088-02-29 00:00:00", "2128-02-29 00:00:00"]),
        ("0 0 0 13 * FRI", "2026-11-24 00:00:00", ["2027-08-13 00:00:00", "2028-10-13 00:00:00"]),
    ],
)
def test_moments(schedule: str, start: str, expected: list[str]) -> None:
    assert moments(schedule, start, len(expected)) == expected


def test_moments_are_utc_whatever_zone_one_asks_in() -> None:
    tokyo = datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=9)))
    assert Cron.parse("0 0 * * * *").next_after(tokyo) == datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


SIX = "a cron schedule has 6 fields (second minute hour day-of-month month day-of-week)"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            "0 0 * * *",
            f"{SIX}, not 5: '0 0 * * *'",
        ),
        (
            "0 0 * * * * 2026",
            f"{SIX}, not 7: '0 0 * * * * 2026'",
        ),
        ("60 0 * * * *", "cron field second: 60 in '60' is not within 0-59"),
        ("0 0 * 0 * *", "cron field day-of-month: 0 in '0' is not within 1-31"),
        ("0 0 * * 1-13 *", "cron field month: 13 in '1-13' is not within 1-12"),
        ("0 0 * * * 8", "cron field day-of-week: 8 in '8' is not within 0-7"),
        ("0 0/0 * * * *", "cron field minute: the step in '0/0' is 0; it is at least 1"),
        ("0 0 18-8 * * *", "cron field hour: the range in '18-8' goes backwards"),
        ("0 0 * L * *", "cron field day-of-month: 'L' is not *, ?, a, a-b, a/step or a list of these with commas"),
        ("0 0,, * * * *", "cron field minute: '0,,' is not *, ?, a, a-b, a/step or a list of these with commas"),
        (
            "0 0 * * * MON#1",
            "cron field day-of-week: 'MON#1' is not *, ?, a, a-b, a/step or a list of these with commas",
        ),
        ("0 0 * * MON *", "cron field month: 'MON' in 'MON' is not a name it knows"),
        ("0 0 0 30 2 *", "no month of '2' has a day 30: '0 0 0 30 2 *' never comes"),
        ("0 0 0 31 4,6,9,11 *", "no month of '4,6,9,11' has a day 31: '0 0 0 31 4,6,9,11 *' never comes"),
        ("0 " * 200, "a cron schedule has at most 256 characters"),
        ("٠ 0 * * * *", "cron field second: '٠' is not *, ?, a, a-b, a/step or a list of these with commas"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(schedule: str, message: str) -> None:
    with pytest.raises(CronError) as refused:
        Cron.parse(schedule)
    assert str(refused.value) == message


@given(st.text(alphabet="0123456789*?/-, LWMONJA", max_size=40))
def test_any_text_is_a_schedule_or_an_error(text: str) -> None:
    try:
        cron = Cron.parse(text)
    except CronError:
        return
    start = datetime(2026, 11, 24, tzinfo=UTC)
    assert cron.next_after(start) > start


_FIELD_VALUES = st.tuples(
    st.integers(0, 59), st.integers(0, 59), st.integers(0, 23), st.integers(1, 28), st.integers(1, 12)
)


@given(
    _FIELD_VALUES,
    st.tuples(*[st.booleans()] * 5),
    st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_moment_matches_and_none_lies_between(
    values: tuple[int, ...], starred: tuple[bool, ...], start: datetime
) -> None:
    text = " ".join("*" if star else str(value) for value, star in zip(values, starred, strict=True)) + " *"
    found = Cron.parse(text).next_after(start)
    actual = (found.second, found.minute, found.hour, found.day, found.month)
    assert all(star or value == real for value, star, real in zip(values, starred, actual, strict=True))
    assert found > start
    # The same search from just before what was found gives it again: there is nothing later than start before it.
    assert Cron.parse(text).next_after(found - timedelta(seconds=1)) == found
    middle = start + (found - start) / 2
    assert Cron.parse(text).next_after(middle) == found or middle >= found
