"""The page of NDES, as the programs read it that were made for NDES."""

from __future__ import annotations

import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from protocols.scep.admin_page import encode_page, full_page, password_page

CERTIFICATE = b"the certificate of a CA"
CHALLENGE = "1ED0DD50F7459D6E"
PAGE = password_page(CERTIFICATE, CHALLENGE, minutes=60, one_time=True)


@pytest.mark.parametrize(
    "expression",
    [
        r"enrollment challenge password is: <B> (\w+) </B>",
        r"(?i)The enrollment challenge password is: <B> (\S*)",
        r"(?is)enrollment challenge password is:\s*<b>\s*([^<\s]+)\s*</b>",
        r"(?is)challenge password.*?([0-9A-Fa-f]{8,64})",
        r"The enrollment challenge password is: <B> ([A-Z0-9]+) ",
        r"is: <B> (\w+) </B> <P> This password can be used only once",
    ],
)
def test_expressions_that_programs_search_for_find_the_challenge(expression: str) -> None:
    found = re.search(expression, PAGE)
    assert found is not None
    assert found[1] == CHALLENGE


def test_only_the_challenge_is_a_word_of_sixteen_hexadecimal_digits() -> None:
    assert [word for word in PAGE.split() if re.match("^[A-F0-9]{16}", word)] == [CHALLENGE]


def test_the_thumbprint_is_that_of_the_certificate() -> None:
    found = re.search(r"The thumbprint \(hash value\) for the CA certificate is: <B> ([0-9A-F ]+) </B>", PAGE)
    assert found is not None
    assert bytes.fromhex(found[1]) == sha256(CERTIFICATE).digest()


def test_the_lifetime_is_told() -> None:
    assert "This password can be used only once and will expire within 60 minutes." in PAGE
    reusable = password_page(CERTIFICATE, CHALLENGE, minutes=119, one_time=False)
    assert "This password can be used multiple times and will expire within 119 minutes." in reusable
    assert "new challenge password" not in reusable


def test_a_full_cache_is_told_as_ndes_tells_it() -> None:
    page = full_page(limit=5, minutes=60)
    assert "The password cache is full." in page
    assert "challenge password is" not in page


def test_nothing_of_a_challenge_is_markup() -> None:
    page = password_page(CERTIFICATE, "<script>&\"'", minutes=1, one_time=True)
    tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.append(tag)

    Tags().feed(page)
    assert "script" not in tags
    assert "&lt;script&gt;&amp;&quot;&#x27;" in page


def test_the_encodings_can_be_read() -> None:
    octets = encode_page(PAGE, "utf-16")
    assert octets.decode("utf-16") == PAGE
    assert octets[2:].decode("utf-16-le") == PAGE
    assert encode_page(PAGE, "utf-8").decode() == PAGE
