"""BER becomes DER."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.ber import MAX_DEPTH, join, to_der
from cspd.x509.cursor import Cursor
from cspd.x509.tlv import INTEGER, OCTET_STRING, SEQUENCE, DERError, element


@pytest.mark.parametrize(
    ("what", "ber", "der"),
    [
        ("DER already", "3003020105", "3003020105"),
        ("an indefinite length", "30800201050000", "3003020105"),
        ("one in the other", "3080308002010500000000", "30053003020105"),
        ("a length of four octets", "3084000000030201 05", "3003020105"),
        ("a length of one octet that needs none", "308103020105", "3003020105"),
        ("a length of two octets that needs one", "30820003020105", "3003020105"),
        ("a length of two octets that needs them", f"30820100048200fc{'00' * 252}", f"3081ff0481fc{'00' * 252}"),
        ("a string in pieces", "240804026162040263 64", "040461626364"),
        ("a string in pieces of pieces", "24802480040161000004016200 00", "04026162"),
        ("nothing", "3000", "3000"),
        ("nothing, at length", "30800000", "3000"),
    ],
)
def test_lengths_and_strings(what: str, ber: str, der: str) -> None:
    assert to_der(bytes.fromhex(ber), limit=1000) == bytes.fromhex(der)


@pytest.mark.parametrize(
    ("what", "ber", "says"),
    [
        ("nothing at all", "", "cut short"),
        ("one octet", "30", "cut short"),
        ("no end of contents", "3080020105", "cut short"),
        ("half an end of contents", "308002010500", "cut short"),
        ("an indefinite length of a primitive", "0480000000", "indefinite"),
        ("a length of nine octets", "3089000000000000000000", "absurd"),
        ("more than there is", "3004020105", "reaches behind"),
        ("something behind", "300000", "something follows"),
        ("a tag number above 30", "3f8100", "above 30"),
        ("a BIT STRING in pieces", "23040302 0001", "BIT STRING"),
    ],
)
def test_what_is_not_read(what: str, ber: str, says: str) -> None:
    with pytest.raises(DERError, match=says):
        to_der(bytes.fromhex(ber), limit=100)


def test_limits() -> None:
    with pytest.raises(DERError, match="more than 3 octets"):
        to_der(b"\x30\x02\x05\x00", limit=3)
    deep = b"\x30\x80" * (MAX_DEPTH + 1) + b"\x00\x00" * (MAX_DEPTH + 1)
    with pytest.raises(DERError, match="too deeply"):
        to_der(deep, limit=1000)


def test_pieces_are_joined() -> None:
    assert join(element(OCTET_STRING, b"ab") + element(OCTET_STRING, b"") + element(OCTET_STRING, b"c")) == b"abc"
    with pytest.raises(DERError):
        join(element(INTEGER, b"\x01"))


@given(st.binary(max_size=100))
def test_any_octets_give_der_or_an_error(data: bytes) -> None:
    """What is given out is taken again, and stays as it is."""
    try:
        der = to_der(data, limit=1000)
    except DERError:
        return
    assert to_der(der, limit=1000) == der


def test_a_cursor_walks() -> None:
    data = bytes.fromhex("300f 020105 06032a0304 0401ff a0020500".replace(" ", ""))
    cursor = Cursor.over(data).enter(SEQUENCE)
    assert cursor.integer() == 5
    assert cursor.object_identifier() == "1.2.3.4"
    assert cursor.enter_optional(0xA1) is None
    assert cursor.contents(OCTET_STRING) == b"\xff"
    assert cursor.peek() == 0xA0
    inner = cursor.enter_optional(0xA0)
    assert inner is not None
    assert list(inner.elements()) == [b"\x05\x00"]
    cursor.finish()
    assert cursor.peek() is None
    assert cursor.rest() == b""


def test_a_cursor_refuses_what_is_left_over_or_missing() -> None:
    cursor = Cursor.over(bytes.fromhex("3003020105")).enter(SEQUENCE)
    with pytest.raises(DERError, match="something follows"):
        cursor.finish()
    cursor.element()
    with pytest.raises(DERError, match="cut short"):
        cursor.element()
