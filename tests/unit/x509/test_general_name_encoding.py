"""GeneralNames from DER."""

from __future__ import annotations

import contextlib
import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from cspd.x509.general_name_encoding import MAX_ENCODED_NAMES, decode_general_names, encode_general_names
from cspd.x509.general_names import GeneralNameError

NAMES = (
    x509.DNSName("www.example"),
    x509.DNSName("xn--bcher-kva.example"),
    x509.RFC822Name("a@example.org"),
    x509.UniformResourceIdentifier("https://example.org/%C3%BC"),
    x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ünit 7")])),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
    x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x03abc"),
)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: type(name).__name__)
def test_each_kind_comes_back_as_it_was(name: x509.GeneralName) -> None:
    assert decode_general_names(encode_general_names([name])) == (name,)


def test_the_order_is_kept() -> None:
    assert decode_general_names(encode_general_names(NAMES)) == NAMES


@pytest.mark.parametrize(
    ("what", "names_der", "says"),
    [
        ("nothing", b"", "cut short"),
        ("an empty list", b"\x30\x00", "empty list"),
        ("another structure", b"\x31\x00", "identifier 0x31"),
        ("a trailing octet", b"\x30\x03\x82\x01a\x00", "something follows"),
        ("an indefinite length", b"\x30\x80\x82\x01a\x00\x00", "indefinite"),
        ("no ASCII", b"\x30\x03\x82\x01\xff", "not GeneralNames"),
        ("an address of three octets", b"\x30\x05\x87\x03abc", "not GeneralNames"),
        ("a broken directoryName", b"\x30\x04\xa4\x02\x05\x00", "not GeneralNames"),
        ("an x400Address", b"\x30\x02\xa3\x00", "the tag 0xa3"),
        ("an otherName without a value", b"\x30\x06\xa0\x04\x06\x02\x2a\x03", "cut short"),
        ("too many octets", bytes(MAX_ENCODED_NAMES + 1), "octets of names"),
    ],
)
def test_what_is_none_is_refused(what: str, names_der: bytes, says: str) -> None:
    with pytest.raises(GeneralNameError, match=says):
        decode_general_names(names_der)


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda tail: bytes((0x30, len(tail))) + tail))
def test_any_octets_give_names_or_an_error(names_der: bytes) -> None:
    with contextlib.suppress(GeneralNameError):
        decode_general_names(names_der)
