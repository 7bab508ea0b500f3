"""Sequence numbers that are seen in another order than they were given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cspd.authority.change_feed import LOOK_BACK, SequenceFollower

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_each_number_is_new_once() -> None:
    follower = SequenceFollower(0, NOW)
    assert follower.unseen([1, 2, 3], NOW) == {1, 2, 3}
    assert follower.unseen([2, 3, 4], NOW) == {4}
    assert follower.highest == 4
    assert follower.missing == ()


def test_a_number_that_comes_late_is_not_missed() -> None:
    follower = SequenceFollower(0, NOW)
    follower.unseen([1, 3], NOW)
    assert follower.missing == (2,)
    assert follower.unseen([2], NOW + timedelta(seconds=59)) == {2}
    assert follower.missing == ()


def test_a_number_that_never_comes_is_given_up() -> None:
    follower = SequenceFollower(0, NOW)
    follower.unseen([1, 3], NOW)
    follower.unseen([], NOW + timedelta(seconds=60))
    assert follower.missing == ()


def test_transactions_that_run_at_the_first_look_are_waited_for() -> None:
    follower = SequenceFollower(1000, NOW)
    assert 1000 - LOOK_BACK in follower.missing
    assert follower.unseen([999], NOW) == {999}
    assert follower.unseen([999], NOW) == frozenset()


@given(st.permutations(range(1, 30)), st.lists(st.integers(1, 5), max_size=29))
def test_whatever_the_order_every_number_is_new_exactly_once(order: list[int], sizes: list[int]) -> None:
    follower = SequenceFollower(0, NOW)
    seen: list[int] = []
    waiting = list(order)
    for size in [*sizes, len(waiting)]:
        batch, waiting = waiting[:size], waiting[size:]
        seen += sorted(follower.unseen(batch, NOW))
    assert sorted(seen) == list(range(1, 30))
    assert follower.missing == ()
