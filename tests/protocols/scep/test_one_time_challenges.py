"""One-time challenges as one string."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.authentication.secrets import MAX_REFERENCE, GivenSecret
from protocols.scep.one_time_challenges import (
    MAX_TOKEN,
    OneTimeChallenge,
    ndes_secret,
    read_challenge,
)
from tests.protocols.scep.challenge_office import Office, challenge_text

LETTERS = st.characters(min_codepoint=33, max_codepoint=126)


@given(st.text(max_size=100))
def test_any_text_is_a_challenge_or_none(text: str) -> None:
    found = read_challenge(text)
    if found is not None:
        assert found.reference + found.code == text or f"{found.reference}:{found.code}" == text
        assert 0 < len(found.reference) <= MAX_REFERENCE
        assert found.reference.isascii()
        assert found.code


@given(st.text(LETTERS.filter(lambda letter: letter != ":"), min_size=1, max_size=64), st.text(min_size=1, max_size=99))
def test_a_challenge_with_a_colon_is_read_back(reference: str, code: str) -> None:
    assert read_challenge(f"{reference}:{code}") == OneTimeChallenge(reference, code)


@pytest.mark.parametrize(
    ("text", "reference", "code"),
    [
        ("A" * 16 + "B" * 24, "A" * 16, "B" * 24),
        ("A" * 16 + "B" * 16, "A" * 16, "B" * 16),
        ("A" * 8 + "B" * 8, "A" * 8, "B" * 8),
        ("A" * 8 + "B" * 9, "A" * 8, "B" * 9),
        ("router-7:pass:code", "router-7", "pass:code"),
    ],
)
def test_the_first_half_is_the_reference(text: str, reference: str, code: str) -> None:
    assert read_challenge(text) == OneTimeChallenge(reference, code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A" * 15,
        "A" * 15 + "-",
        "A" * 15 + "\N{LATIN SMALL LETTER E WITH ACUTE}",
        ":code",
        "reference:",
        "r\N{LATIN SMALL LETTER E WITH ACUTE}f:code",
        "r" * 65 + ":code",
        "A" * (MAX_TOKEN + 1),
    ],
)
def test_other_texts_are_no_one_time_challenges(text: str) -> None:
    assert read_challenge(text) is None


def test_a_code_is_not_printed() -> None:
    assert "pass code" not in repr(read_challenge("router-7:pass code"))


def test_what_is_shown_is_letters_and_digits_where_that_can_be_read_again() -> None:
    office = Office()
    made = office.create()
    assert challenge_text(made) == made.terms.reference + made.secret
    assert challenge_text(made).isalnum()
    for digits in (16, 32):
        text = challenge_text(office.create(given=ndes_secret(Random(digits), digits)))
        assert len(text) == digits
        assert set(text) <= set("0123456789ABCDEF")
    short = office.create(given=GivenSecret("r-7", "pass code"))
    assert challenge_text(short) == "r-7:pass code"
    assert read_challenge(challenge_text(short)) == OneTimeChallenge("r-7", "pass code")
