"""Any octets: a reply of chronyd that was asked for, or one of the codec's two errors.

``corpus/chrony`` has replies of a real chronyd.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plugins.chrony.codec import (
    N_SOURCES,
    TRACKING,
    BadReply,
    NotTheAnswer,
    Question,
    decode_float,
    decode_reply,
    encode_request,
    source_data,
)

SEQUENCE = 0x01020304
CORPUS = {
    file.stem: file.read_bytes() for file in sorted((Path(__file__).parent / "corpus" / "chrony").glob("*.reply"))
}
QUESTIONS = {"tracking": TRACKING, "n": N_SOURCES, "source": source_data(0)}


def question_of(name: str) -> Question[Any]:
    return QUESTIONS[name.removeprefix("bad-").replace("version-5", "tracking").partition("-")[0]]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A reply of the corpus with some octets replaced, removed or put in."""
    octets = bytearray(draw(st.sampled_from(list(CORPUS.values()))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(octets) - 1)))
        match draw(st.integers(0, 5)):
            case 0:
                del octets[at : at + draw(st.integers(1, 3))]
            case 1:
                octets[at:at] = draw(st.binary(min_size=1, max_size=4))
            case _:
                octets[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
    return bytes(octets)


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_is_read_or_refused_as_its_name_says(name: str) -> None:
    if name.startswith("bad-"):
        with pytest.raises(BadReply):
            decode_reply(question_of(name), SEQUENCE, CORPUS[name])
    else:
        decode_reply(question_of(name), SEQUENCE, CORPUS[name])


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("asked", QUESTIONS)
def test_a_reply_to_another_question_is_passed_over(name: str, asked: str) -> None:
    with pytest.raises(NotTheAnswer):
        decode_reply(QUESTIONS[asked], SEQUENCE + 1, CORPUS[name])
    if question_of(name) is not QUESTIONS[asked]:
        with pytest.raises(NotTheAnswer):
            decode_reply(QUESTIONS[asked], SEQUENCE, CORPUS[name])


@given(st.binary(max_size=300) | damaged(), st.sampled_from(list(QUESTIONS.values())))
def test_octets_are_the_answer_or_an_error(packet: bytes, question: Question[Any]) -> None:
    with suppress(NotTheAnswer, BadReply):
        decode_reply(question, SEQUENCE, packet)


@given(st.binary(min_size=TRACKING.length, max_size=TRACKING.length))
@example(b"\xff" * TRACKING.length)
def test_any_fields_of_a_reply_are_read_or_refused(fields: bytes) -> None:
    with suppress(BadReply):
        reply = decode_reply(TRACKING, SEQUENCE, CORPUS["tracking-ahead"][:28] + fields)
        assert math.isfinite(reply.current_correction + reply.root_delay + reply.root_dispersion)


@given(st.integers(-(1 << 31), (1 << 31) - 1))
@example(-(1 << 31))
@example((1 << 31) - 1)
def test_any_number_is_finite(number: int) -> None:
    assert math.isfinite(decode_float(number))


@given(st.sampled_from(list(QUESTIONS.values())), st.integers(0, (1 << 32) - 1))
def test_a_request_is_never_shorter_than_its_reply(question: Question[Any], sequence: int) -> None:
    assert len(encode_request(question, sequence)) == 28 + question.length
