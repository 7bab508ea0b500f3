"""Distinguished names as text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.x509.names import ATTRIBUTE_ALIASES, NameSyntaxError, attribute_type, format_name, parse_name


def name(*rdns: Sequence[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    """A name from its parts, root first."""
    return x509.Name(
        x509.RelativeDistinguishedName(x509.NameAttribute(oid, value) for oid, value in rdn) for rdn in rdns
    )


CN, ORG, OU, C, DC = (
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.COUNTRY_NAME,
    NameOID.DOMAIN_COMPONENT,
)

READ = {
    "the most specific part first": ("CN=www,O=Acme,C=DE", name([(C, "DE")], [(ORG, "Acme")], [(CN, "www")])),
    "several values in one part": ("CN=www+OU=web,O=Acme", name([(ORG, "Acme")], [(CN, "www"), (OU, "web")])),
    "several parts of one type": ("OU=a,OU=b", name([(OU, "b")], [(OU, "a")])),
    "semicolons and spaces": (" cn = www ; o= Acme Inc ", name([(ORG, "Acme Inc")], [(CN, "www")])),
    "escaped specials": (r"CN=a\,b\+c\"d\\e\=\#", name([(CN, 'a,b+c"d\\e=#')])),
    "escaped octets of UTF-8": (r"CN=K\C3\B6ln", name([(CN, "Köln")])),
    "escaped outer spaces": (r"CN=\ a\ ,O=b", name([(ORG, "b")], [(CN, " a ")])),
    "a space in hexadecimal": (r"CN=a\20", name([(CN, "a ")])),
    "an equals sign in a value": ("CN=a=b", name([(CN, "a=b")])),
    "dotted types": ("2.5.4.3=a,OID.2.5.4.10=b", name([(ORG, "b")], [(CN, "a")])),
    "domain components": ("DC=example,DC=org", name([(DC, "org")], [(DC, "example")])),
    "nothing": ("  ", x509.Name([])),
}


@pytest.mark.parametrize(("text", "expected"), READ.values(), ids=READ)
@pytest.mark.requirement("R-PRO-006")
def test_a_name_is_read(text: str, expected: x509.Name) -> None:
    assert parse_name(text) == expected


BAD = {
    "no equals sign": "www",
    "an unknown attribute": "XX=1",
    "an empty value": "CN=",
    "a trailing comma": "CN=a,",
    "a bare quote": 'CN="a"',
    "hexadecimal BER": "CN=#0c0161",
    "half an escape": "CN=a\\",
    "an escape of nothing special": r"CN=\zz",
    "octets that are no UTF-8": r"CN=\FF",
    "a lone surrogate": "CN=\ud800",
    "a country of three letters": "C=DEU",
    "the same type twice in one part": "CN=a+CN=a",
    "a dotted type with leading zeros": "2.05.4=a",
    "too long": "CN=" + "x" * 5000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_not_a_name_is_refused(text: str) -> None:
    with pytest.raises(NameSyntaxError):
        parse_name(text)


@pytest.mark.requirement("R-PRO-007")
@pytest.mark.parametrize(
    ("alias", "oid"),
    [
        ("SN", "2.5.4.4"),
        ("surname", "2.5.4.4"),
        ("SERIALNUMBER", "2.5.4.5"),
        ("s", "2.5.4.8"),
        ("ST", "2.5.4.8"),
        ("E", "1.2.840.113549.1.9.1"),
        ("email", "1.2.840.113549.1.9.1"),
        ("OrgUnit", "2.5.4.11"),
    ],
)
def test_aliases_mean_what_the_guide_says_in_any_case(alias: str, oid: str) -> None:
    for spelling in (alias, alias.upper(), alias.lower()):
        assert attribute_type(spelling).dotted_string == oid


@pytest.mark.requirement("R-CA-027")
def test_there_are_34_attribute_types() -> None:
    assert len(set(ATTRIBUTE_ALIASES.values())) == 34


def test_what_would_break_a_line_is_escaped() -> None:
    written = format_name(name([(CN, "a\n\u202eb\x00")]))
    assert written == r"CN=a\0A\E2\80\AEb\00"
    assert json.dumps(written).isascii()
    assert parse_name(written) == name([(CN, "a\n\u202eb\x00")])


def test_an_attribute_without_alias_is_dotted() -> None:
    assert format_name(name([(x509.ObjectIdentifier("2.5.4.65"), "p")])) == "2.5.4.65=p"
