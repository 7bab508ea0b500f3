"""The message in the query of a GET."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.scep.errors import DecodeError
from protocols.scep.limits import Limits
from protocols.scep.transport import decode_message_parameter

MESSAGE = b"\xfb\xef\xbe\xff\x00"  # ++++/wA=


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("++++/wA=", id="as it should be"),
        pytest.param("    /wA=", id="blanks for plus, also in front"),
        pytest.param("++++/wA", id="without its end"),
        pytest.param("++++\n/wA=\n", id="wrapped"),
        pytest.param("++++\r\n/wA=\r\n", id="wrapped by Windows"),
        pytest.param("----_wA=", id="base64url"),
        pytest.param("    \n/wA", id="all of it"),
    ],
)
def test_base64_of_the_field_is_read(text: str) -> None:
    assert decode_message_parameter(text) == MESSAGE


@given(st.binary(max_size=100))
def test_any_message_is_read_with_blanks_and_without(data: bytes) -> None:
    text = b64encode(data).decode()
    assert decode_message_parameter(text) == data
    assert decode_message_parameter(text.replace("+", " ")) == data


@pytest.mark.parametrize("text", ["A", "AA~!", "AA%3D", "A===AAAA", "é", "\x00"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="not base64"):
        decode_message_parameter(text)


def test_more_than_the_limit_is_refused() -> None:
    with pytest.raises(DecodeError, match="more than 2 octets"):
        decode_message_parameter("AAAAA", Limits(message_octets=2))
