"""Refusals carry a stable code, a reason for people, and keep the detail for the log."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cspd import refusals


def test_codes_are_unique() -> None:
    codes = [refusal.code for refusal in refusals.all_refusals()]
    assert len(codes) == len(set(codes))
    assert "refused" not in codes


def test_detail_does_not_reach_the_text() -> None:
    refusal = refusals.Malformed("not DER", detail="offset 17 of /secret/path")
    assert str(refusal) == refusal.reason == "not DER"
    assert "secret" not in str(refusal)


@pytest.mark.parametrize("refusal", sorted(refusals.all_refusals(), key=lambda refusal: refusal.code))
def test_a_raiser_may_refine_the_code(refusal: type[refusals.Refused]) -> None:
    assert refusal("no").refusal_code == refusal.code
    assert refusal("no", code="finer").refusal_code == "finer"


def test_unavailable_says_when_to_come_again() -> None:
    assert refusals.Unavailable("the store is down").retry_after == timedelta(seconds=30)
