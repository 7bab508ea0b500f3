"""The DER reader: exact bytes in, a whole value or a DERError out."""

from __future__ import annotations

import pytest
from asn1crypto.core import Integer, SequenceOf, SetOf, UTF8String
from asn1crypto.x509 import GeneralNames, Name

from cspd.x509.der import MAX_DEPTH, DERError, check_encoding, read


class Numbers(SequenceOf):  # type: ignore[misc]  # asn1crypto carries no types
    """SEQUENCE OF INTEGER."""

    _child_spec = Integer


class NumberSet(SetOf):  # type: ignore[misc]  # asn1crypto carries no types
    """SET OF INTEGER."""

    _child_spec = Integer


def nested(depth: int) -> bytes:
    """``depth`` SEQUENCEs, each in the other."""
    encoded = b""
    for _ in range(depth):
        length = len(encoded)
        header = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
        if 128 <= length < 256:
            header = b"\x81" + bytes([length])
        encoded = b"\x30" + header + encoded
    return encoded


def test_a_value_is_read() -> None:
    assert read(Numbers, bytes.fromhex("3006020101020180")).native == [1, -128]


BAD_ENCODINGS = {
    "nothing": "",
    "a tag alone": "30",
    "cut off content": "3003020101"[:-2],
    "trailing bytes": "020101ff",
    "content longer than its container": "30030202ff",
    "indefinite length": "30800201010000",
    "length in long form although short": "30810302010a",
    "length with a leading zero": "3082000302010a",
    "a length of five octets": "308500000000030201ff",
    "a string in pieces": "2c03" + "0c0161",
    "a primitive SEQUENCE": "1003" + "020101",
    "an integer with a superfluous zero": "02020001",
    "an integer with superfluous ones": "0202ff80",
    "an empty integer": "0200",
    "a boolean of 1": "010101",
    "a NULL with content": "050100",
    "a bit string with eight unused bits": "030208ff",
    "an empty bit string": "0300",
    "a bit string of unused bits alone": "030101",
    "a small tag in long form": "9f0100",
    "a tag with leading zeros": "9f80010100",
    "a tag without end": "9fffffffffffff0100",
}


@pytest.mark.parametrize("encoded", BAD_ENCODINGS.values(), ids=BAD_ENCODINGS)
def test_what_is_not_der_is_refused(encoded: str) -> None:
    with pytest.raises(DERError):
        check_encoding(bytes.fromhex(encoded))


GOOD_ENCODINGS = {
    "a boolean": "0101ff",
    "a negative integer": "0201ff",
    "an integer that needs its zero": "02020080",
    "an empty sequence": "3000",
    "an empty bit string": "030100",
    "an explicit tag": "a003020101",
    "an implicit primitive": "8001ff",
    "a high tag number": "9f1f0100",
    "an empty explicit tag inside": "3002a000",
}


@pytest.mark.parametrize("encoded", GOOD_ENCODINGS.values(), ids=GOOD_ENCODINGS)
def test_der_is_accepted(encoded: str) -> None:
    check_encoding(bytes.fromhex(encoded))


def test_depth_is_limited() -> None:
    check_encoding(nested(MAX_DEPTH))
    with pytest.raises(DERError, match="nested"):
        check_encoding(nested(MAX_DEPTH + 2))


def test_size_is_limited() -> None:
    with pytest.raises(DERError, match="more than 4 octets"):
        read(UTF8String, b"\x0c\x03abc", limit=4)


def test_a_set_out_of_order_is_not_der() -> None:
    """Only somebody who knows that it is a SET OF can see this."""
    check_encoding(bytes.fromhex("3106020102020101"))
    with pytest.raises(DERError):
        read(NumberSet, bytes.fromhex("3106020102020101"))
    assert read(NumberSet, bytes.fromhex("3106020101020102")).native == [1, 2]


def test_ber_is_read_where_the_standard_allows_it() -> None:
    ber = bytes.fromhex("30800201010000")
    with pytest.raises(DERError):
        read(Numbers, ber)
    assert read(Numbers, ber, canonical=False).native == [1]


def test_trailing_bytes_are_refused_in_ber_too() -> None:
    with pytest.raises(DERError):
        read(Numbers, bytes.fromhex("300302010100"), canonical=False)


@pytest.mark.parametrize(
    ("structure", "encoded"),
    [
        (Numbers, "30030c0161"),
        (UTF8String, "0c01ff"),
        (GeneralNames, "3003870112"),
        (Name, "3005310330010c"),
    ],
)
def test_a_wrong_structure_below_the_surface_is_refused(structure: type, encoded: str) -> None:
    """asn1crypto alone notices these only when somebody touches the field."""
    with pytest.raises(DERError):
        read(structure, bytes.fromhex(encoded))
