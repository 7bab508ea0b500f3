"""Whatever is in the body of a request comes out of it, in every form that clients send it in."""

from __future__ import annotations

import base64
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.refusals import Malformed
from protocols.est.codec import MAX_BODY, decode_request

octets = st.binary(min_size=1, max_size=600)
line_ends = st.sampled_from(("\n", "\r\n", "\n\n", " \t\r\n"))


@given(octets, st.integers(1, 100), line_ends, st.sampled_from(("", "\n", " \r\n")))
def test_base64_with_any_line_breaks_comes_back(request_der: bytes, width: int, line_end: str, around: str) -> None:
    text = base64.b64encode(request_der).decode()
    body = around + line_end.join(textwrap.wrap(text, width)) + around
    if not body.startswith("0"):  # which says DER: no request in base64 begins so
        assert decode_request(body.encode()) == request_der


@given(octets, st.integers(1, 100), line_ends, st.sampled_from(("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")))
def test_pem_comes_back(request_der: bytes, width: int, line_end: str, label: str) -> None:
    lines = textwrap.wrap(base64.b64encode(request_der).decode(), width)
    body = line_end.join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))
    assert decode_request(body.encode()) == request_der


@given(octets)
def test_der_comes_back(contents: bytes) -> None:
    assert decode_request(b"\x30" + contents) == b"\x30" + contents


def test_a_body_has_a_limit() -> None:
    decode_request(b"\x30" + bytes(MAX_BODY - 1))
    with pytest.raises(Malformed):
        decode_request(b"\x30" + bytes(MAX_BODY))
