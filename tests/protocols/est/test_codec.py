"""Bodies and headers, from any bytes."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.refusals import Malformed
from protocols.est.codec import MAX_BODY, decode_authorization, decode_request, encode_base64


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


@given(st.text(max_size=60))
def test_any_header_is_read_or_malformed(text: str) -> None:
    with suppress(Malformed):
        decode_authorization(f"Basic {text}")
    decode_authorization(text if not text.lower().startswith("basic") else None)


@given(st.text(max_size=20).filter(lambda text: ":" not in text), st.text(max_size=20))
def test_credentials_are_read_as_they_were_written(user: str, password: str) -> None:
    token = base64.b64encode(f"{user}:{password}".encode("utf-8", "replace")).decode()
    found = decode_authorization(f"bAsIc {token}")
    assert found is not None
    assert (found.user, found.password) == (
        user.encode("utf-8", "replace").decode(),
        password.encode("utf-8", "replace").decode(),
    )


def test_a_password_is_not_shown() -> None:
    found = decode_authorization("Basic " + base64.b64encode(b"alice:secret").decode())
    assert "alice" in repr(found)
    assert "secret" not in repr(found)
