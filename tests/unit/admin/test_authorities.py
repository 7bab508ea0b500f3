"""``cspctl ca``."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.administration import Administration
from tests.support.authorities import certificate_for, named


@pytest.mark.requirement("R-CA-044")
@pytest.mark.requirement("R-PLAT-067")
def test_list_shows_id_type_state_and_end(hierarchy: Administration) -> None:
    assert hierarchy.json("ca", "list", "demo") == [
        {
            "ca": "demo~issuing",
            "type": "issuing",
            "state": "active",
            "key_type": "ec-p256",
            "subject": "CN=Issuing,O=Example",
            "not_after": "2036-11-24T12:00:00Z",
        },
        {
            "ca": "demo~root",
            "type": "root",
            "state": "active",
            "key_type": "ec-p256",
            "subject": "CN=Root,O=Example",
            "not_after": "2046-11-24T12:00:00Z",
        },
    ]
    assert hierarchy.json("ca", "list", "other") == []
    table = [line.split() for line in hierarchy.done("ca", "list").splitlines()]
    assert table[1] == ["demo~issuing", "issuing", "active", "ec-p256", "CN=Issuing,O=Example", "2036-11-24T12:00:00Z"]


def test_expired_ca_is_shown_as_expired(hierarchy: Administration) -> None:
    hierarchy.installation.clock.advance(timedelta(days=11 * 365))
    assert [each["state"] for each in hierarchy.json("ca", "list")] == ["expired", "active"]
    assert hierarchy.json("ca", "show", "demo~issuing")["state"] == "expired"


def test_a_root_is_made_as_told(administration: Administration) -> None:
    administration.done("org", "create", "demo")
    made = administration.json(
        *("ca", "create", "demo~root-3", "--subject", "CN=Root 3,O=Example,C=DE", "--key-type", "ec-p384"),
        *(
            "--administrator",
            "daemon",
            "--auditor",
            "nobody",
            "--not-after",
            "2030-01-02",
            "--ocsp-key-type",
            "rsa-2048",
        ),
        *("--crl-days", "30", "--delta-crl-hours", "6", "--record-before-signing", "--key-provider", "other"),
    )
    assert made["not_after"] == "2030-01-02T00:00:00Z"
    assert made["key"].startswith("other:")
    expected = {
        "ca": "demo~root-3",
        "type": "root",
        "state": "active",
        "key_type": "ec-p384",
        "subject": "CN=Root 3,O=Example,C=DE",
        "issuer": None,
        "administrators": ["daemon"],
        "auditors": ["nobody"],
        "ocsp_enabled": True,
        "ocsp_key_type": "rsa-2048",
        "crl_days": 30,
        "delta_crl_hours": 6,
        "record_before_signing": True,
    }
    assert {name: made[name] for name in expected} == expected


@pytest.mark.requirement("R-CA-007")
def test_show_tells_where_status_is_published(hierarchy: Administration) -> None:
    shown = hierarchy.json("ca", "show", "demo~issuing")
    assert shown["crl_url"] == "http://pki.example/crl/demo/issuing/crl.crl"
    assert shown["ocsp_url"] == "http://pki.example/ocsp/demo/issuing"
    silent = hierarchy.json("ca", "create", "demo~silent", "--subject", "CN=Silent", "--no-ocsp")
    assert silent["ocsp_url"] is None


def test_show_folds_long_lists(hierarchy: Administration) -> None:
    """Profiles stand beside their label, comma-separated, not one a line in the first column."""
    profiles = [each["id"] for each in hierarchy.json("profile", "list") if each["category"] == "subscriber"]
    options = [option for profile in profiles for option in ("--profile", profile)]
    lines = hierarchy.done("ca", "edit", "demo~issuing", *options).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("profiles "))
    assert all(line.startswith(" " * 23) for line in lines[start + 1 :])
    shown = ", ".join([lines[start].removeprefix("profiles")[1:], *lines[start + 1 :]])
    assert [each.strip() for each in shown.split(",") if each.strip()] == sorted(profiles)


def test_chain_is_printed_or_written(hierarchy: Administration, tmp_path: Path) -> None:
    printed = hierarchy.done("ca", "chain", "demo~issuing")
    subjects = [c.subject.rfc4514_string() for c in x509.load_pem_x509_certificates(printed.encode())]
    assert subjects == ["CN=Issuing,O=Example", "CN=Root,O=Example"]
    assert hierarchy.json("ca", "chain", "demo~issuing") == {"ca": "demo~issuing", "pem": printed}
    out = tmp_path / "chain.pem"
    assert hierarchy.done("ca", "chain", "demo~issuing", "--out", str(out)) == f"{out} is written.\n"
    assert out.read_text() == printed
    refused = hierarchy.run("ca", "chain", "demo~issuing", "--out", str(tmp_path / "absent" / "x"))
    assert refused.stderr == f"cspctl: {tmp_path / 'absent' / 'x'} cannot be written: No such file or directory\n"


@pytest.mark.requirement("R-CA-023")
def test_life_under_an_external_root(administration: Administration, tmp_path: Path) -> None:
    """Register the root, make the CA, take its request out, bring the certificate in; the pending CA can be shown."""
    now = administration.installation.clock.now()
    key, name, file = ec.generate_private_key(ec.SECP256R1()), named("Elsewhere"), tmp_path / "certificate.pem"
    file.write_text(
        certificate_for(key, subject=name, not_before=now, not_after=now + timedelta(days=3650), key_usage=(True, True))
    )
    administration.done("org", "create", "demo")
    imported = administration.json("ca", "import", "demo~ext", str(file), "--external-root")
    assert (imported["type"], imported["state"], imported["key"]) == ("external-root", "active", None)
    assert imported["crl_url"] is None
    made = administration.json(
        *("ca", "create", "demo~vpn", "--issuer", "ext", "--subject", "CN=VPN", "--profile", "est-digital-signature")
    )
    assert (made["state"], made["serial"], made["not_after"]) == ("pending-certificate", None, None)
    shown = administration.done("ca", "show", "demo~vpn").splitlines()
    assert [line.split() for line in shown if line.startswith(("state", "not after", "serial", "issuer"))] == [
        ["state", "pending-certificate"],
        ["not", "after"],
        ["issuer", "demo~ext"],
        ["serial"],
    ]
    assert administration.refused("ca", "chain", "demo~vpn") == "conflict: demo~vpn has no certificate yet"
    request = x509.load_pem_x509_csr(administration.done("ca", "csr", "demo~vpn").encode())
    assert request.is_signature_valid
    file.write_text(
        certificate_for(
            key,
            subject=request.subject,
            issuer=(name, key),
            public_key=request.public_key(),
            not_before=now,
            not_after=now + timedelta(days=365),
        )
    )
    assert administration.json("ca", "import", "demo~vpn", str(file))["state"] == "active"


def test_expired_external_root_is_taken_with_a_warning(administration: Administration, tmp_path: Path) -> None:
    now = administration.installation.clock.now()
    key, file = ec.generate_private_key(ec.SECP256R1()), tmp_path / "root.pem"
    start, end = now - timedelta(days=20), now - timedelta(days=10)
    file.write_text(certificate_for(key, subject=named("Old"), not_before=start, not_after=end))
    administration.done("org", "create", "demo")
    result = administration.run("--json", "ca", "import", "demo~old", str(file), "--external-root")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert json.loads(result.stdout)["state"] == "expired"


def test_edit_replaces_what_is_given(hierarchy: Administration) -> None:
    edited = hierarchy.json("ca", "edit", "demo~issuing", "--auditor", "nobody", "--profile", "tls-client")
    assert (edited["profiles"], edited["auditors"], edited["administrators"]) == (["tls-client"], ["nobody"], ["root"])


@pytest.mark.requirement("R-CA-045")
def test_renewal_keeps_the_key_and_rekey_does_not(hierarchy: Administration) -> None:
    before = hierarchy.json("ca", "show", "demo~issuing")
    hierarchy.installation.clock.advance(timedelta(days=1))
    renewed = hierarchy.json("ca", "renew", "demo~issuing", "--not-after", "2030-01-01T10:00:00")
    assert (renewed["key"], renewed["not_after"]) == (before["key"], "2030-01-01T10:00:00Z")
    assert renewed["earlier_certificates"] == 1
    rekeyed = hierarchy.json("ca", "renew", "demo~issuing", "--rekey", "--key-type", "ec-p384")
    assert (rekeyed["key_type"], rekeyed["earlier_certificates"]) == ("ec-p384", 2)
    assert rekeyed["key"] != before["key"]
    wrong = hierarchy.run("ca", "renew", "demo~issuing", "--key-type", "ec-p384")
    assert (wrong.exit_code, wrong.stderr.splitlines()[-1]) == (2, "Error: --key-type goes with --rekey")


def test_crls_are_published_now(hierarchy: Administration) -> None:
    [published] = hierarchy.json("ca", "crl", "demo~issuing")
    assert published == {
        "number": published["number"],
        "delta": False,
        "entries": 0,
        "this_update": "2026-11-24T12:00:00Z",
        "next_update": published["next_update"],
    }
    assert hierarchy.json("ca", "crl", "demo~issuing")[0]["number"] == published["number"] + 1


@pytest.mark.requirement("R-CA-045")
def test_disabled_ca_can_be_enabled(hierarchy: Administration) -> None:
    assert hierarchy.json("ca", "disable", "demo~issuing", "--yes")["state"] == "disabled"
    assert hierarchy.json("ca", "enable", "demo~issuing", "--yes")["state"] == "active"


def test_revocation_of_a_ca_disables_it_and_revokes_its_certificate(hierarchy: Administration) -> None:
    revoked = hierarchy.json("ca", "revoke", "demo~issuing", "--reason", "cACompromise", "--yes")
    assert revoked["state"] == "disabled"
    record = hierarchy.json("cert", "show", "demo~root", revoked["serial"])
    assert (record["state"], record["reason"]) == ("revoked", "cACompromise")


@pytest.mark.requirement("R-CA-042")
@pytest.mark.parametrize("answer", ["n\n", "", "\n"], ids=["no", "nobody there", "the default"])
def test_nothing_is_deleted_without_a_yes(hierarchy: Administration, answer: str) -> None:
    result = hierarchy.run("ca", "delete", "demo~issuing", given=answer)
    assert result.exit_code == 1
    assert "Delete demo~issuing and destroy its keys? This cannot be undone." in result.stderr
    assert result.stderr.splitlines()[-1] == "cspctl: nothing was done; --yes answers for a script"
    assert [operation for operation, _ in hierarchy.calls].count("ca-delete") == 0


@pytest.mark.parametrize("command", [("disable",), ("enable",), ("revoke", "--reason", "superseded"), ("delete",)])
def test_what_changes_what_clients_get_asks_first(hierarchy: Administration, command: tuple[str, ...]) -> None:
    hierarchy.calls.clear()
    name, *options = command
    assert hierarchy.run("ca", name, "demo~issuing", *options, given="n\n").exit_code == 1
    assert hierarchy.calls == []


@pytest.mark.requirement("R-CA-042")
def test_deleted_ca_is_gone_and_its_id_rests(hierarchy: Administration) -> None:
    assert hierarchy.done("ca", "delete", "demo~issuing", given="y\n") == "demo~issuing is deleted.\n"
    assert [each["ca"] for each in hierarchy.json("ca", "list")] == ["demo~root"]
    again = ("ca", "create", "demo~issuing", "--subject", "CN=x")
    assert hierarchy.refused(*again) == (
        "bad-field.ca-id: demo~issuing was deleted not long ago; its id rests until 2026-11-25 12:00 UTC"
    )
    hierarchy.installation.clock.advance(timedelta(hours=24))
    hierarchy.done(*again)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("show", "demo"), "malformed: a CA reference has the form <organization>~<ca-id>"),
        (("show", "demo~none"), "not-found: no CA demo~none"),
        (
            ("create", "demo~x", "--subject", "CN=x"),
            "bad-field.ca-id: a CA id has 3 to 18 of the characters a-z, 0-9, _ and -",
        ),
        (("create", "none~root", "--subject", "CN=x"), "not-found: no organization none"),
        (("create", "demo~root", "--subject", "CN=x"), "bad-field.ca-id: demo~root exists"),
        (("create", "demo~new", "--subject", "x"), "bad-name: no '=' after 'x'"),
        (
            ("create", "demo~new", "--subject", "CN=x", "--issuer", "issuing", "--profile", "tls-server"),
            "bad-field.issuer: the issuer of an issuing CA is a root",
        ),
        (
            ("create", "demo~new", "--subject", "CN=x", "--issuer", "root"),
            "bad-field.profiles: choose at least one profile",
        ),
        (
            ("create", "demo~new", "--subject", "CN=x", "--profile", "tls-server"),
            "bad-field.profiles: no profiles for a CA of this kind: tls-server",
        ),
        (
            ("create", "demo~new", "--subject", "CN=x", "--not-after", "2020-01-01"),
            "bad-field.not-after: the expiration date is past",
        ),
        (
            ("create", "demo~new", "--subject", "CN=x", "--not-after", "2099-01-01"),
            "bad-field.not-after: the expiration date is beyond the 20 years of basic-ca-root",
        ),
        (("csr", "demo~root"), "conflict: demo~root is not under an external root"),
        (("enable", "demo~root", "--yes"), "conflict: a CA that is active cannot be enabled"),
        (("revoke", "demo~root", "--reason", "superseded", "--yes"), "conflict: no root here signed demo~root"),
        (
            ("revoke", "demo~issuing", "--reason", "removeFromCRL", "--yes"),
            "bad-revocation-reason: the reason removeFromCRL is not allowed",
        ),
        (("delete", "demo~root", "--yes"), "conflict: delete the CAs below demo~root first; there is 1"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else value.partition(":")[0],
)
def test_refusals(hierarchy: Administration, arguments: tuple[str, ...], reason: str) -> None:
    assert hierarchy.refused("ca", *arguments) == reason
