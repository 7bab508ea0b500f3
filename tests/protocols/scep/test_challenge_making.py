"""Challenges for those who hand them out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from cspd.authority.values import Requester
from cspd.refusals import Conflict, LimitExceeded
from protocols.scep.challenge_making import MadeChallenge, Order
from tests.protocols.scep.challenge_office import ADMINISTRATOR, TERMS, Office
from tests.support.running import result_of

ORDER = Order(
    terms=TERMS,
    by=Requester(protocol="scep-admin-page", identity="mdm", address="192.0.2.9", request_id="r-1"),
    identity="device 7",
    lifetime=timedelta(minutes=60),
    max_usable=5,
)


@pytest.fixture
def office() -> Office:
    return Office()


def make(office: Office, order: Order, seed: int = 3) -> MadeChallenge:
    return result_of(office.making(Random(seed)).make(order))


@pytest.mark.parametrize("digits", [16, 32, None])
def test_a_challenge_has_the_form_that_was_asked_for(office: Office, digits: int | None) -> None:
    made = make(office, replace(ORDER, digits=digits))
    assert made.text.isalnum()
    assert len(made.text) == (digits or 40)
    assert office.authorize(made.text).identity == "device 7"
    assert made.text not in repr(made)


def test_a_short_reference_that_is_taken_is_made_anew(office: Office) -> None:
    order = replace(ORDER, digits=16)
    first, second = (make(office, order, seed=3) for _ in range(2))
    assert first.text[:8] != second.text[:8]


def test_references_that_are_all_taken_end_in_a_refusal(office: Office) -> None:
    making = office.making(Stuck())
    order = replace(ORDER, digits=16)
    result_of(making.make(order))
    with pytest.raises(Conflict, match="already"):
        result_of(making.make(order))


class Stuck(Random):
    """Gives the same octets again and again."""

    def randbytes(self, n: int) -> bytes:
        """``n`` octets that are all the same."""
        return b"\x07" * n


def test_an_order_that_repeats_another_gets_its_challenge(office: Office) -> None:
    order = replace(ORDER, repeats=b"delivery 1")
    made = make(office, order)
    again = replace(order, by=replace(order.by, address="192.0.2.10", request_id="r-2"))
    assert make(office, again, seed=4) == made
    for other in (
        replace(order, repeats=b"delivery 2"),
        replace(order, by=replace(order.by, identity="another")),
        replace(order, terms=replace(TERMS, profile="tls-server")),
    ):
        assert make(office, other, seed=4).text[:16] != made.text[:16]


def test_the_reference_of_a_repeated_order_cannot_be_computed_by_others(office: Office) -> None:
    order = replace(ORDER, repeats=b"period 5", digits=32)
    assert make(office, order).text[:16] != make(Office(key=6), order).text[:16]


def test_who_guesses_locks_a_challenge_that_is_not_given_again(office: Office) -> None:
    order = replace(ORDER, repeats=b"delivery 1")
    made = make(office, order)
    for _ in range(5):
        result_of(office.secrets.failed(made.text[:16]))
    with pytest.raises(Conflict, match="used, revoked or locked"):
        make(office, order)


def test_a_revoked_challenge_is_not_given_again(office: Office) -> None:
    order = replace(ORDER, repeats=b"delivery 1", digits=32)
    made = make(office, order)
    result_of(office.secrets.revoke(made.text[:16], ADMINISTRATOR))
    with pytest.raises(Conflict, match="used, revoked or locked"):
        make(office, order)


def test_a_repeated_order_does_not_count_twice(office: Office) -> None:
    order = replace(ORDER, repeats=b"delivery 1", max_usable=1)
    assert make(office, order) == make(office, order)
    with pytest.raises(LimitExceeded):
        make(office, replace(order, repeats=b"delivery 2"))
