"""DNS identifiers: one spelling, and what is refused with which error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.acme.errors import ACMEError
from protocols.acme.identifiers import IdentifierPolicy, normalize_dns_name, normalize_identifiers
from protocols.acme.messages import Identifier

POLICY = IdentifierPolicy(single_label_names=frozenset({"localhost"}))


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("*.Example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("0x7f.example", "0x7f.example"),
    ],
)
def test_a_name_has_one_spelling(asked: str, stored: str) -> None:
    assert normalize_identifiers([Identifier("dns", asked)], POLICY) == (Identifier("dns", stored),)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "malformed"),
        (".", "malformed"),
        ("example.com.", "malformed"),
        (".example.com", "malformed"),
        ("a..example.com", "malformed"),
        ("a b.example.com", "malformed"),
        ("a\nb.example.com", "malformed"),
        ("a\x07.example.com", "malformed"),
        ("a\x7f.example.com", "malformed"),
        ("under_score.example.com", "malformed"),
        ("-a.example.com", "malformed"),
        ("a-.example.com", "malformed"),
        ("bücher.example", "malformed"),
        ("example\u3002com", "malformed"),
        ("\uff45xample.com", "malformed"),
        ("xn--.example", "malformed"),
        ("xn--a.example", "malformed"),
        ("xn--bcher-kva9999999999.example", "malformed"),
        ("ab--cd.example", "malformed"),
        ("a" * 64 + ".example", "malformed"),
        (".".join(["a" * 49] * 6), "malformed"),
        ("*." + ".".join(["a" * 49] * 5) + ".aa", "malformed"),
        ("www.*.example.com", "malformed"),
        ("w*.example.com", "malformed"),
        ("*.*.example.com", "malformed"),
        ("*", "malformed"),
        ("*.", "malformed"),
        ("example.123", "malformed"),
        ("http://example.com", "malformed"),
        ("example.com:80", "malformed"),
        ("user@example.com", "malformed"),
        ("192.0.2.1", "rejectedIdentifier"),
        ("2001:db8::1", "rejectedIdentifier"),
        ("[2001:db8::1]", "rejectedIdentifier"),
        ("*.192.0.2.1", "rejectedIdentifier"),
        ("intranet", "rejectedIdentifier"),
        ("*.localhost", "rejectedIdentifier"),
        ("*.com", "rejectedIdentifier"),
    ],
)
def test_a_bad_name_is_refused(name: str, error: str) -> None:
    with pytest.raises(ACMEError) as raised:
        normalize_identifiers([Identifier("dns", name)], POLICY)
    assert raised.value.problem.type.value == error
    assert [problem.identifier for problem in raised.value.problem.subproblems] == [Identifier("dns", name)]


def test_other_types_are_not_supported() -> None:
    with pytest.raises(ACMEError) as raised:
        normalize_identifiers([Identifier("ip", "192.0.2.1")], POLICY)
    assert raised.value.problem.type.value == "unsupportedIdentifier"


def test_each_bad_name_has_its_subproblem() -> None:
    names = ["good.example.com", "bad_.example.com", "intranet"]
    with pytest.raises(ACMEError) as raised:
        normalize_identifiers([Identifier("dns", name) for name in names], POLICY)
    problem = raised.value.problem
    assert problem.type.value == "compound"
    assert [(inner.type.value, inner.identifier.value) for inner in problem.subproblems if inner.identifier] == [
        ("malformed", "bad_.example.com"),
        ("rejectedIdentifier", "intranet"),
    ]


def test_a_name_asked_twice_counts_once() -> None:
    names = ["b.example.com", "A.example.com", "B.example.com"]
    found = normalize_identifiers([Identifier("dns", name) for name in names], POLICY)
    assert [identifier.value for identifier in found] == ["b.example.com", "a.example.com"]


@given(st.text(max_size=80) | st.from_regex(r"[xn0-9a-zA-Z.*-]{0,40}", fullmatch=True))
def test_any_text_is_a_name_or_an_error(text: str) -> None:
    try:
        (identifier,) = normalize_identifiers([Identifier("dns", text)], POLICY)
    except ACMEError:
        return
    assert normalize_identifiers([identifier], POLICY) == (identifier,)
    assert normalize_dns_name(identifier.value.removeprefix("*.")) == identifier.value.removeprefix("*.")
    identifier.value.encode("ascii")
