from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.directory.account_names import AccountName, AccountNameError, parse_account_name, parse_domain


@pytest.mark.requirement("R-CEG-128")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice", AccountName("alice")),
        ("EXAMPLE\\alice", AccountName("alice", "EXAMPLE")),
        ("alice@EXAMPLE", AccountName("alice", "EXAMPLE", is_principal=True)),
        ("example.com\\alice", AccountName("alice", "example.com")),
        ("alice@example.com", AccountName("alice", "example.com", is_principal=True)),
        ("EXAMPLE\\WS1$", AccountName("WS1$", "EXAMPLE")),
        ("Jörg Müller@example.com", AccountName("Jörg Müller", "example.com", is_principal=True)),
        ("dave.dunn@corp.example", AccountName("dave.dunn", "corp.example", is_principal=True)),
    ],
)
def test_the_five_forms(text: str, expected: AccountName) -> None:
    assert parse_account_name(text) == expected
    assert str(expected) == text


NONE = (
    [
        "",
        "\\alice",
        "alice@",
        "@example.com",
        "EXAMPLE\\",
        "a\\b\\c",
        "a\\b@c",
        "a@b@c",
        " alice",
        "alice ",
        "a\0b",
        "alice\n",
    ],
    ["*", "a*", "a|b", "al/ice", "a" * 257, "a@" + "b" * 256, "EX AMPLE\\a", "EX*\\a", "\ud800", "alice@ex\0ample"],
    ["alice@.example.com", 'a"b', "a,b", "a=b", "a+b", "a;b", "a<b", "a:b", "a?b"],
)


@pytest.mark.parametrize("text", [text for line in NONE for text in line])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(AccountNameError):
        parse_account_name(text)


@given(st.text())
def test_any_text_is_a_name_or_an_error(text: str) -> None:
    with suppress(AccountNameError):
        name = parse_account_name(text)
        assert str(name) == text
        assert not set(name.account) & set("*\\@\0")
        assert name.domain is None or not set(name.domain) & set("*\\@\0 ")


def test_domains() -> None:
    assert parse_domain("example.com") == "example.com"
    for text in ("", "a b", "*", "a\\b", "x" * 256, "-", "example.com."):
        with pytest.raises(AccountNameError):
            parse_domain(text)
