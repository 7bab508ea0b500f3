"""Requests wait for the first look at what they need."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from cspd.certified_keys.first_look import FirstLook


def waiting(look: FirstLook, holder: str) -> Deferred[None]:
    return Deferred.fromCoroutine(look.settled(holder))


def test_each_holder_is_waited_for_alone() -> None:
    look = FirstLook(["one", "other"])
    one, other, again = waiting(look, "one"), waiting(look, "other"), waiting(look, "one")
    assert waiting(look, "nobody").called
    look.looked_at("one")
    assert one.called
    assert again.called
    assert not other.called
    assert waiting(look, "one").called


def test_who_leaves_is_not_called() -> None:
    look = FirstLook(["one"])
    left, stays = waiting(look, "one"), waiting(look, "one")
    left.cancel()
    left.addErrback(lambda failure: failure.trap(CancelledError))
    look.looked_at("one")
    assert stays.called


def test_the_end_lets_everybody_go_on() -> None:
    look = FirstLook(["one", "other"])
    look.looked_at("one")
    other = waiting(look, "other")
    assert look.give_up() == ("other",)
    assert other.called
    assert look.give_up() == ()
