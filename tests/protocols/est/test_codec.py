"""Bodies and headers, from any bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.refusals import Malformed
from protocols.est.codec import MAX_BODY, decode_request, encode_base64


@given(st.binary(min_size=1, max_size=300), st.integers(1, 80))
def test_base64_is_read_whatever_its_lines(octets: bytes, width: int) -> None:
    octets = b"\x30\x82" + octets  # as every request begins
    text = encode_base64(octets)
    assert b"\n" not in text
    lines = b"\r\n".join(text[start : start + width] for start in range(0, len(text), width))
    assert decode_request(lines) == decode_request(text) == decode_request(octets) == octets


@given(st.binary(max_size=400))
def test_any_body_is_read_or_malformed(body: bytes) -> None:
    with suppress(Malformed):
        assert decode_request(body)


def test_bodies_have_a_limit() -> None:
    with pytest.raises(Malformed):
        decode_request(b"\x30" * (MAX_BODY + 1))
