"""``cspctl profile``, ``key``, ``status`` and ``reload``."""

from __future__ import annotations

from pathlib import Path

import pytest

import cspd
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.health import Health, HealthState
from tests.support.administration import Administration


def test_profiles_are_listed(administration: Administration) -> None:
    listed = administration.json("profile", "list")
    assert len(listed) == len(administration.installation.profiles)
    assert {"id", "group", "category", "description"} == set(listed[0])
    assert "tls-server" in administration.done("profile", "list")


def test_profile_is_shown_with_names_for_identifiers(administration: Administration) -> None:
    shown = administration.json("profile", "show", "basic-ocsp")
    assert (shown["extended_key_usage"], shown["key_usage"]) == (["OCSPSigning"], ["digitalSignature"])
    names = administration.json("profile", "show", "esim-discovery-tls-server")
    assert names["certificate_policies"] == ["id-rspRole-ds-tls"]
    text = administration.done("profile", "show", "tls-server")
    assert "extended key usage      serverAuth\n" in text
    assert "2.5.29" not in "".join(
        str(administration.json("profile", "show", p)) for p in administration.installation.profiles
    )


def test_unknown_profile_is_refused(administration: Administration) -> None:
    assert administration.refused("profile", "show", "none") == "not-found: there is no profile 'none'"


def test_keys_name_the_cas_that_sign_with_them(hierarchy: Administration) -> None:
    """Also after a re-key: the old key goes on to sign CRLs."""
    hierarchy.done("ca", "renew", "demo~issuing", "--rekey")
    used_by = [(each["label"], each["used_by"]) for each in hierarchy.json("key", "list")]
    assert sorted(used_by) == [
        ("demo~issuing", ["demo~issuing"]),
        ("demo~issuing", ["demo~issuing"]),
        ("demo~root", ["demo~root"]),
    ]
    assert administration_shows_no_private_key(hierarchy)


def administration_shows_no_private_key(administration: Administration) -> bool:
    return "PRIVATE" not in administration.done("--json", "key", "list")


def test_an_installation_without_keys_says_so(administration: Administration) -> None:
    assert administration.done("key", "list") == "no keys\n"


def test_status_tells_what_runs(hierarchy: Administration) -> None:
    found = hierarchy.json("status")
    assert found["version"] == cspd.__version__
    assert found["time"] == "2026-11-24T12:00:00Z"
    assert found["listeners"] == {"http": "127.0.0.1:8080"}
    assert found["certificates"] == {"good": 1}
    assert [each["ca"] for each in found["authorities"]] == ["demo~issuing", "demo~root"]
    assert found["enrollment_urls"] == [
        {"what": "ACME", "url": "https://h/demo~issuing/d", "command": "client https://h/demo~issuing/d"}
    ]
    text = hierarchy.done("status")
    assert "listeners      http on 127.0.0.1:8080\n" in text
    assert "certificates   1 good\n" in text
    assert "\nACME\n  https://h/demo~issuing/d\n  client https://h/demo~issuing/d\n" in text


def test_status_shows_the_parts_that_are_not_well(administration: Administration) -> None:
    assert "health         ok\n" in administration.done("status")
    administration.monitor.parts = (
        Health(part="store", state=HealthState.OK),
        Health(part="keys-token", state=HealthState.FAILED, reason="token removed"),
    )
    text = administration.done("status")
    assert "health         failed\n" in text
    assert "\nkeys-token  failed  token removed" in text
    assert "store" not in text
    assert administration.json("status")["parts"] == [
        {"part": "store", "state": "ok", "reason": ""},
        {"part": "keys-token", "state": "failed", "reason": "token removed"},
    ]


def test_status_of_an_empty_installation(administration: Administration) -> None:
    assert "certificates   none\n\nno CAs\n" in administration.done("status")


def test_reload_tells_its_warnings(administration: Administration) -> None:
    warning = Problem(what="ends soon", key=("listeners", "https"), file=Path("/etc/cspd/cspd.toml"), line=3)
    administration.daemon.warnings = [warning]
    result = administration.run("reload")
    assert (result.exit_code, result.stdout) == (0, "The configuration is active.\n")
    assert result.stderr == "warning: /etc/cspd/cspd.toml:3: listeners.https: ends soon.\n"
    assert administration.json("reload") == {"warnings": [warning.as_json()]}
    assert administration.daemon.reloads == 2


@pytest.mark.requirement("R-PLAT-052")
def test_refused_reload_says_that_the_old_one_is_active(administration: Administration) -> None:
    problem = Problem(what="is not a known key", key=("x",), file=Path("/etc/cspd/cspd.toml"), line=3)
    administration.daemon.refusal = ConfigurationRefused([problem])
    result = administration.run("reload")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "cspctl: the old configuration stays active:",
        "/etc/cspd/cspd.toml:3: x: is not a known key.",
    ]
    assert administration.refused("reload").startswith("configuration-refused: the old configuration stays active:")
