"""Work and sending are put off to the end of the turn, and neither is lost when some of it fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from cspd.turns import EndOfTurn


def test_work_comes_first_and_what_it_has_to_send_goes_out_in_the_same_turn() -> None:
    due, done = list[Callable[[], None]](), list[str]()
    turn = EndOfTurn(lambda seconds, call: due.append(call))

    def work() -> None:
        done.append("work")
        turn.send(lambda: done.append("its answer"))
        turn.work(lambda: done.append("work of the next turn"))

    turn.send(lambda: done.append("an answer"))
    turn.work(work)
    (end,) = due
    due.clear()
    end()
    assert done == ["work", "an answer", "its answer"]
    (end,) = due
    due.clear()
    end()
    assert done[3:] == ["work of the next turn"]
    assert due == []


def test_work_that_raises_keeps_nobody_from_sending() -> None:
    time, done = Clock(), list[str]()
    turn = EndOfTurn(time.callLater)
    turn.work(lambda: 1 // 0)
    turn.send(lambda: done.append("an answer"))
    with pytest.raises(ZeroDivisionError):
        time.advance(0)
    assert done == ["an answer"]
    turn.work(lambda: done.append("work"))
    time.advance(0)
    assert done == ["an answer", "work"]


def test_the_end_can_be_now() -> None:
    time, done = Clock(), list[str]()
    turn = EndOfTurn(time.callLater)
    turn.work(lambda: done.append("work"))
    turn.end()
    assert done == ["work"]
    time.advance(0)
    assert done == ["work"]
