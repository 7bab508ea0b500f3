from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.directory.security_identifiers import SecurityIdentifierError, decode_sid, encode_sid

SUB_AUTHORITIES = st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=15)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("010100000000000100000000", "S-1-1-0"),
        ("01010000000000050b000000", "S-1-5-11"),
        ("01020000000000052000000020020000", "S-1-5-32-544"),
        ("0105000000000005150000009de6ae52b70d2f49f05e61844f040000", "S-1-5-21-1387194013-1227820471-2220973808-1103"),
        ("0101ffffffffffff01000000", "S-1-0xFFFFFFFFFFFF-1"),
    ],
)
def test_octets_and_text(octets: str, text: str) -> None:
    """The fourth as Samba has it in objectSid."""
    assert decode_sid(bytes.fromhex(octets)) == text
    assert encode_sid(text) == bytes.fromhex(octets)


@given(st.integers(0, (1 << 48) - 1), SUB_AUTHORITIES)
def test_every_identifier_is_written_and_read(authority: int, subs: list[int]) -> None:
    octets = bytes((1, len(subs))) + authority.to_bytes(6, "big") + b"".join(sub.to_bytes(4, "little") for sub in subs)
    assert encode_sid(decode_sid(octets)) == octets


@given(st.binary(max_size=80))
def test_any_octets_are_an_identifier_or_an_error(octets: bytes) -> None:
    with suppress(SecurityIdentifierError):
        assert encode_sid(decode_sid(octets)) == octets


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("", id="nothing"),
        pytest.param("01", id="one octet"),
        pytest.param("0100000000000005", id="no part"),
        pytest.param("010100000000000500", id="cut short"),
        pytest.param("0201000000000005" + "00" * 4, id="revision 2"),
        pytest.param("0110" + "00" * 70, id="16 parts"),
        pytest.param("01010000000000050b00000000", id="one too many"),
    ],
)
def test_what_is_no_identifier(octets: str) -> None:
    with pytest.raises(SecurityIdentifierError):
        decode_sid(bytes.fromhex(octets))


NO_TEXTS = (
    ["", "S-1", "S-1-5", "S-2-5-1", "s-1-5-1", "S-1-5-4294967296", "S-1-4294967296-1", "S-1-5-1 "],
    ["S-1-5" + "-1" * 16, "S-1-5--1", "S-1-5-\u0661", "S-1-0x1-1"],
)


@pytest.mark.parametrize("text", [text for line in NO_TEXTS for text in line])
def test_what_is_no_text_of_one(text: str) -> None:
    with pytest.raises(SecurityIdentifierError):
        encode_sid(text)
