"""Work that ends although whoever asked for it has left."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from cspd.authority.uncancelled import Uncancelled
from tests.support.running import result_of


def started(uncancelled: Uncancelled, waits_for: Deferred[Any]) -> tuple[Deferred[Any], list[Any]]:
    """A caller of work that waits, and a list for what the caller gets."""

    async def work() -> Any:
        return await waits_for

    caller: Deferred[Any] = Deferred.fromCoroutine(uncancelled.run(work()))
    got: list[Any] = []
    caller.addBoth(got.append)
    return caller, got


def test_what_work_returns_and_raises_comes_out() -> None:
    waits_for: Deferred[int] = Deferred()
    _, got = started(Uncancelled(), waits_for)
    waits_for.callback(7)
    assert got == [7]
    waits_for = Deferred()
    _, got = started(Uncancelled(), waits_for)
    waits_for.errback(KeyError("x"))
    assert got[0].check(KeyError)


def test_work_that_never_waits_needs_no_deferred() -> None:
    async def work() -> int:
        return 7

    async def failing() -> int:
        raise KeyError("x")

    uncancelled = Uncancelled()
    assert result_of(uncancelled.run(work())) == 7
    with pytest.raises(KeyError):
        result_of(uncancelled.run(failing()))
    result_of(uncancelled.drain())


def test_a_failure_that_nobody_waits_for_is_logged() -> None:
    waits_for: Deferred[int] = Deferred()
    caller, got = started(Uncancelled(), waits_for)
    caller.cancel()
    assert got[0].check(CancelledError)
    with capturedLogs() as logs:
        waits_for.errback(KeyError("x"))
    assert [event["log_failure"].check(KeyError) for event in logs] == [KeyError]


def test_a_result_that_nobody_waits_for_is_dropped_quietly() -> None:
    waits_for: Deferred[int] = Deferred()
    caller, _ = started(Uncancelled(), waits_for)
    caller.cancel()
    with capturedLogs() as logs:
        waits_for.callback(7)
    assert not logs


def test_drain_waits_for_work_that_fails_too() -> None:
    uncancelled = Uncancelled()
    waits_for: Deferred[int] = Deferred()
    caller, _ = started(uncancelled, waits_for)
    caller.cancel()
    drained: list[None] = []
    Deferred.fromCoroutine(uncancelled.drain()).addCallback(drained.append)
    assert not drained
    with capturedLogs():
        waits_for.errback(KeyError("x"))
    assert drained == [None]
