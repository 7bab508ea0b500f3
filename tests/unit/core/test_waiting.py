"""An awaited result: direct for one who asks for that, a Deferred for everybody else."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from cspd.waiting import Awaited


async def wait_for(awaited: Awaited[int]) -> int:
    return await awaited + 1


def start(awaited: Awaited[int]) -> list[Any]:
    """Drive a coroutine that awaits it, as the HTTP server does; what comes out is put into the list."""
    coroutine, outcomes = wait_for(awaited), list[Any]()
    assert coroutine.send(None) is awaited  # type: ignore[comparison-overlap]  # it yields what it waits for

    def go_on(outcome: object, mark: str) -> None:
        assert (outcome, mark) == (None, "mark")
        try:
            coroutine.send(None)
        except StopIteration as returned:
            outcomes.append(returned.value)
        except ZeroDivisionError as error:
            outcomes.append(error)

    awaited.resume(go_on, "mark")
    return outcomes


def test_one_waiter_is_resumed_directly() -> None:
    awaited = Awaited[int]()
    outcomes = start(awaited)
    awaited.settle(1)
    assert outcomes == [2]


def test_one_waiter_gets_what_was_raised() -> None:
    awaited, error = Awaited[int](), ZeroDivisionError()
    outcomes = start(awaited)
    awaited.fail(error)
    assert outcomes == [error]


def test_it_is_a_deferred() -> None:
    awaited, results = Awaited[int](), list[int]()
    Deferred.fromCoroutine(wait_for(awaited)).addCallback(results.append)
    awaited.settle(1)
    assert results == [2]


def test_it_fails_as_a_deferred() -> None:
    awaited, failures = Awaited[int](), list[BaseException]()
    Deferred.fromCoroutine(wait_for(awaited)).addErrback(lambda failure: failures.append(failure.value))
    awaited.fail(ZeroDivisionError())
    assert isinstance(failures[0], ZeroDivisionError)


def test_after_it_was_cancelled_an_outcome_changes_nothing() -> None:
    awaited, failures = Awaited[int](), list[BaseException]()
    awaited.addErrback(lambda failure: failures.append(failure.value))
    awaited.cancel()
    awaited.settle(1)
    awaited.fail(ZeroDivisionError())
    assert [type(failure) for failure in failures] == [CancelledError]
