from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from plugins.active_directory.kept import Kept
from tests.unit.plugins.domain_controllers import Seconds


class Reading:
    """Gives what the test says, when it says so."""

    def __init__(self) -> None:
        self.begun: list[Deferred[str]] = []

    async def __call__(self) -> str:
        self.begun.append(Deferred())
        return await self.begun[-1]


@pytest.fixture
def reading() -> Reading:
    return Reading()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def kept(reading: Reading, seconds: Seconds) -> Kept[str]:
    return Kept(reading, lifetime=10.0, seconds=seconds)


def asked(kept: Kept[str]) -> tuple[Deferred[Any], list[Any]]:
    results: list[Any] = []
    deferred = Deferred.fromCoroutine(kept.get())
    return deferred, deferred.addBoth(results.append) and results


def test_it_is_read_once_for_all_who_ask(kept: Kept[str], reading: Reading, seconds: Seconds) -> None:
    first, second = asked(kept)[1], asked(kept)[1]
    assert len(reading.begun) == 1
    reading.begun[0].callback("value")
    assert (first, second, asked(kept)[1]) == (["value"], ["value"], ["value"])
    seconds.now += 9.9
    assert asked(kept)[1] == ["value"]
    seconds.now += 0.1
    assert kept.peek() is None
    assert asked(kept)[1] == []
    assert len(reading.begun) == 2


def test_a_failure_is_everybodys_and_not_kept(kept: Kept[str], reading: Reading) -> None:
    first, second = asked(kept)[1], asked(kept)[1]
    reading.begun[0].errback(OSError("away"))
    assert [each[0].check(OSError) for each in (first, second)] == [OSError, OSError]
    third = asked(kept)[1]
    reading.begun[1].callback("value")
    assert third == ["value"]


def test_who_goes_away_leaves_the_others(kept: Kept[str], reading: Reading) -> None:
    (gone, results), (_, others) = asked(kept), asked(kept)
    gone.cancel()
    assert results[0].check(CancelledError)
    reading.begun[0].callback("value")
    assert others == ["value"]


def test_a_failure_that_nobody_waits_for_any_more(kept: Kept[str], reading: Reading) -> None:
    gone, _ = asked(kept)
    gone.cancel()
    reading.begun[0].errback(OSError("away"))
    assert kept.peek() is None
