"""``cspctl cert``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.values import CAReference, EnrollmentRequest, Issued, Requester
from tests.support.administration import Administration
from tests.support.authorities import ISSUING
from tests.support.issuing import common_name, make_csr

HELD = "certificateHold"
NO_SUCH = "not-found: demo~issuing issued no certificate with the serial number 1234"


def issue(administration: Administration, name: str, ca: CAReference = ISSUING) -> str:
    """A certificate of tls-server for a host name; gives its serial number as cspctl shows it."""
    request = EnrollmentRequest(
        ca=ca,
        profile="tls-server",
        requester=Requester(protocol="acme", identity="somebody"),
        csr_der=make_csr(ec.generate_private_key(ec.SECP256R1()), common_name(name), [x509.DNSName(name)]),
    )
    issued = administration.installation.run(administration.installation.issuance.enroll(request))
    assert isinstance(issued, Issued)
    return f"{issued.serial:X}"


def test_show_has_everything_and_the_pem(hierarchy: Administration) -> None:
    serial = issue(hierarchy, "www.example.com")
    shown = hierarchy.json("cert", "show", "demo~issuing", serial)
    assert shown.pop("pem").startswith("-----BEGIN CERTIFICATE-----\n")
    assert shown == {
        "ca": "demo~issuing",
        "serial": serial,
        "state": "good",
        "subject": "CN=www.example.com",
        "names": ["www.example.com"],
        "profile": "tls-server",
        "issued_at": "2026-11-24T12:00:00Z",
        "not_before": shown["not_before"],
        "not_after": "2027-02-22T12:00:00Z",
        "protocol": "acme",
        "requester": "somebody",
        "revoked_at": None,
        "reason": None,
    }
    text = hierarchy.done("cert", "show", "demo~issuing", serial.lower())
    assert text.endswith("\n-----END CERTIFICATE-----\n")
    assert "\n-----BEGIN CERTIFICATE-----\n" in text, "PEM can be pasted: it stands alone"


@pytest.mark.parametrize("written", ["{}", "0x{}", "00:{}"])
def test_serial_numbers_are_taken_as_other_programs_write_them(hierarchy: Administration, written: str) -> None:
    serial = issue(hierarchy, "www.example.com")
    assert hierarchy.json("cert", "show", "demo~issuing", written.format(serial))["serial"] == serial


def test_list_is_paged_the_latest_first(hierarchy: Administration) -> None:
    """Every certificate once, whatever is issued between the pages; the last page names no next."""
    serials = []
    for number in range(5):
        hierarchy.installation.clock.advance(timedelta(seconds=1))
        serials.insert(0, issue(hierarchy, f"{number}.example.com"))
    seen: list[str] = []
    after: tuple[str, ...] = ()
    for _ in range(3):
        page = hierarchy.json("cert", "list", "demo~issuing", "--limit", "2", *after)
        seen += [each["serial"] for each in page["certificates"]]
        after = ("--after", page["next"])
        hierarchy.installation.clock.advance(timedelta(seconds=1))
        issue(hierarchy, "later.example.com")
    assert seen == serials
    assert page["next"] is None


def test_people_are_told_how_to_see_more(hierarchy: Administration) -> None:
    for name in ("a.example.com", "b.example.com"):
        issue(hierarchy, name)
    result = hierarchy.run("cert", "list", "demo~issuing", "--limit", "1")
    assert result.stderr.startswith("more with --after 2026-11-24T12:00:00+00:00/")
    after = result.stderr.split()[-1]
    rest = hierarchy.run("cert", "list", "demo~issuing", "--limit", "1", "--after", after)
    assert rest.stderr == ""
    assert "example.com" in rest.stdout


def test_list_is_filtered(hierarchy: Administration) -> None:
    first, second = issue(hierarchy, "www.example.com"), issue(hierarchy, "mail.example.com")
    hierarchy.done("cert", "revoke", "demo~issuing", second, "--yes")

    def found(*options: str) -> set[str]:
        return {each["serial"] for each in hierarchy.json("cert", "list", *options)["certificates"]}

    subordinate = hierarchy.json("ca", "show", "demo~issuing")["serial"]
    assert found() == {first, second, subordinate}
    assert found("demo~root") == {subordinate}
    assert found("--text", "WWW.") == {first}
    assert found("--state", "revoked") == {second}
    assert found("--profile", "tls-server") == {first, second}
    assert found("--expires-before", "2027-02-23") == {first, second}
    assert found("--expires-before", "2027-02-22") == set()
    assert hierarchy.done("cert", "list", "--text", "nowhere") == "no certificates\n"


def test_expired_certificate_is_shown_as_expired(hierarchy: Administration) -> None:
    serial = issue(hierarchy, "www.example.com")
    hierarchy.installation.clock.advance(timedelta(days=91))
    assert hierarchy.json("cert", "show", "demo~issuing", serial)["state"] == "expired"


def test_revocation_asks_and_is_for_good(hierarchy: Administration) -> None:
    serial = issue(hierarchy, "www.example.com")
    command = ("cert", "revoke", "demo~issuing", serial, "--reason", "keyCompromise")
    assert hierarchy.run(*command, given="n\n").exit_code == 1
    assert hierarchy.json("cert", "show", "demo~issuing", serial)["state"] == "good"
    result = hierarchy.run(*command, "--invalidity-date", "2026-11-01", given="y\n")
    assert result.stdout == f"demo~issuing {serial} is revoked (keyCompromise).\n"
    assert result.stderr == f"Revoke {serial} of demo~issuing? This cannot be undone. [y/N]: y\n"
    revoked = hierarchy.json("cert", "show", "demo~issuing", serial)
    assert (revoked["state"], revoked["reason"], revoked["revoked_at"]) == (
        "revoked",
        "keyCompromise",
        "2026-11-24T12:00:00Z",
    )
    assert hierarchy.refused(*command, "--yes") == "already-revoked: the certificate is revoked already"


@pytest.mark.requirement("R-PLAT-152")
def test_hold_is_taken_back(hierarchy: Administration) -> None:
    serial = issue(hierarchy, "www.example.com")
    assert hierarchy.done("cert", "hold", "demo~issuing", serial) == f"demo~issuing {serial} is held ({HELD}).\n"
    assert hierarchy.json("cert", "unhold", "demo~issuing", serial)["state"] == "good"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("show", "demo~issuing", "1234"), NO_SUCH),
        (("show", "demo~none", "1234"), "not-found: no CA demo~none"),
        (("show", "demo~issuing", "xyz"), "malformed: 'xyz' is not a serial number in hexadecimal"),
        (("show", "demo~issuing", "0"), "malformed: a serial number is positive and has 20 octets at most"),
        (("show", "demo~issuing", "1" * 41), "malformed: a serial number is positive and has 20 octets at most"),
        (("revoke", "demo~issuing", "1234", "--yes"), NO_SUCH),
        (("hold", "demo~issuing", "1234"), NO_SUCH),
        (("unhold", "demo~issuing", "1234"), NO_SUCH),
        (("list", "--after", "x"), "malformed: 'after' is not the 'next' of a page"),
        (("list", "--after", "2026-11-24T12:00:00/1/2"), "malformed: 'after' is not the 'next' of a page"),
        (("list", "demo~none"), "not-found: no CA demo~none"),
    ],
)
def test_refusals(hierarchy: Administration, arguments: tuple[str, ...], reason: str) -> None:
    assert hierarchy.refused("cert", *arguments) == reason


def test_unhold_of_a_good_certificate_is_refused(hierarchy: Administration) -> None:
    serial = issue(hierarchy, "www.example.com")
    assert (
        hierarchy.refused("cert", "unhold", "demo~issuing", serial)
        == "conflict: the certificate is not on hold but good"
    )


def test_a_request_is_certified_by_the_administrators_word(hierarchy: Administration, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = tmp_path / "host.csr"
    request = x509.load_der_x509_csr(make_csr(key, common_name("pki.example.com"), [x509.DNSName("pki.example.com")]))
    csr.write_bytes(request.public_bytes(Encoding.PEM))
    issued = hierarchy.json("cert", "issue", "demo~issuing", str(csr), "--profile", "tls-server")
    leaf, issuer, root = x509.load_pem_x509_certificates(issued["pem"].encode())
    assert (leaf.public_key(), leaf.issuer, issuer.issuer) == (key.public_key(), issuer.subject, root.subject)
    shown = hierarchy.json("cert", "show", "demo~issuing", issued["serial"])
    assert (shown["protocol"], shown["names"]) == ("cspctl", ["pki.example.com"])
    out = tmp_path / "tls.pem"
    hierarchy.done("cert", "issue", "demo~issuing", str(csr), "--profile", "tls-server", "--out", str(out))
    assert out.read_text().count("BEGIN CERTIFICATE") == 3


@pytest.mark.parametrize(
    ("text", "profile", "refusal"),
    [
        ("hello", "tls-server", "malformed: this is no certification request in PEM"),
        (None, "no-such-profile", "no-such-profile: CA demo~issuing has no profile 'no-such-profile'"),
    ],
    ids=["no CSR", "unknown profile"],
)
def test_what_cannot_be_certified(
    hierarchy: Administration, tmp_path: Path, text: str | None, profile: str, refusal: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.load_der_x509_csr(make_csr(key, common_name("a.example.com"), [x509.DNSName("a.example.com")]))
    csr = tmp_path / "host.csr"
    csr.write_text(text or request.public_bytes(Encoding.PEM).decode())
    assert hierarchy.refused("cert", "issue", "demo~issuing", str(csr), "--profile", profile) == refusal
