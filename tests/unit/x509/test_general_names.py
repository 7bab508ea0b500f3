"""The syntax and the text of subject alternative names."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.x509.general_names import (
    USER_PRINCIPAL_NAME,
    GeneralNameError,
    check_general_name,
    describe,
    text_of,
)

UPN = x509.OtherName(USER_PRINCIPAL_NAME, b"\x0c\x0calice@ad.org")
OTHER = x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))


def dns(value: str) -> x509.DNSName:
    """A dNSName that nobody has checked, as it comes out of a CSR."""
    return x509.DNSName._init_without_validation(value)


def mail(value: str) -> x509.RFC822Name:
    """The same for an rfc822Name."""
    return x509.RFC822Name._init_without_validation(value)


def uri(value: str) -> x509.UniformResourceIdentifier:
    """The same for a URI."""
    return x509.UniformResourceIdentifier._init_without_validation(value)


GOOD: list[x509.GeneralName] = [
    dns("example.org"),
    dns("localhost"),
    dns("a-b.EXAMPLE.org"),
    dns("*.example.org"),
    dns("xn--kln-sna.example"),
    dns("1.2.3.com"),
    dns("a" * 63 + ".example"),
    mail("first.last+tag@example.org"),
    uri("https://example.org/a?b#c"),
    uri("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
    uri("spiffe://trust.example/workload"),
    x509.IPAddress(ip_address("192.0.2.1")),
    x509.IPAddress(ip_address("2001:db8::1")),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    UPN,
    OTHER,
    DIRECTORY,
]


@pytest.mark.requirement("R-PLAT-150")
@pytest.mark.parametrize("name", GOOD, ids=describe)
def test_good_names_pass(name: x509.GeneralName) -> None:
    check_general_name(name)


BAD: dict[str, x509.GeneralName] = {
    "an empty dNSName": dns(""),
    "a trailing dot": dns("example.org."),
    "a leading dot": dns(".example.org"),
    "two dots": dns("a..org"),
    "an underscore": dns("_acme-challenge.example.org"),
    "a space": dns("a b.org"),
    "a newline": dns("a.org\n"),
    "a NUL": dns("a.org\0.evil.org"),
    "a leading hyphen": dns("-a.org"),
    "a trailing hyphen": dns("a-.org"),
    "a long label": dns("a" * 64 + ".org"),
    "a long name": dns(".".join(["abcdefgh"] * 30)),
    "a wildcard alone": dns("*"),
    "a wildcard inside": dns("a.*.org"),
    "a partial wildcard": dns("w*.example.org"),
    "two wildcards": dns("*.*.org"),
    "a U-label": dns("köln.example"),
    "an A-label that decodes to nothing": dns("xn--.example"),
    "an A-label of ASCII": dns("xn--abc-.example"),
    "an A-label that IDNA 2008 does not have": dns("xn--i-7iq.example"),
    "reserved hyphens": dns("ab--c.example"),
    "an address as dNSName": dns("192.0.2.1"),
    "a mailbox without domain": mail("a"),
    "a mailbox with a name": mail("A <a@b.org>"),
    "a mailbox in quotes": mail('"a b"@b.org'),
    "a mailbox outside ASCII": mail("ä@b.org"),
    "a mailbox at an address": mail("a@[192.0.2.1]"),
    "a long local part": mail("a" * 65 + "@b.org"),
    "a relative URI": uri("/path"),
    "a URI with a space": uri("https://a.org/a b"),
    "a URI without host": uri("https:///path"),
    "a URI with a bad port": uri("https://a.org:x/"),
    "a URI with a bad escape": uri("https://a.org/%zz"),
    "a URI with a broken bracket": uri("https://[::1/"),
    "a network": x509.IPAddress(ip_network("192.0.2.0/24")),
    "a UPN that is no UTF8String": x509.OtherName(USER_PRINCIPAL_NAME, b"\x05\x00"),
    "an empty UPN": x509.OtherName(USER_PRINCIPAL_NAME, b"\x0c\x00"),
    "a UPN with a newline": x509.OtherName(USER_PRINCIPAL_NAME, b"\x0c\x02a\n"),
    "a huge otherName": x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x04\x82\x13\x88" + bytes(5000)),
    "an empty directoryName": x509.DirectoryName(x509.Name([])),
}


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_bad_names_are_refused(name: x509.GeneralName) -> None:
    with pytest.raises(GeneralNameError) as refused:
        check_general_name(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("name", "described"),
    [
        (dns("a.org"), "DNS:a.org"),
        (dns("a\nb"), r"DNS:a\nb"),
        (mail("a@b.org"), "email:a@b.org"),
        (x509.IPAddress(ip_address("2001:db8::1")), "IP:2001:db8::1"),
        (UPN, "UPN:alice@ad.org"),
        (x509.OtherName(USER_PRINCIPAL_NAME, b"\x05\x00"), "UPN:1.3.6.1.4.1.311.20.2.3:0500"),
        (OTHER, "otherName:1.2.3:0500"),
        (DIRECTORY, "DirName:CN=x"),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), "RID:1.2.3"),
    ],
)
def test_names_are_one_line_of_text(name: x509.GeneralName, described: str) -> None:
    assert describe(name) == described
    assert described.endswith(text_of(name))
