from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cspd.refusals import Malformed, Unavailable
from plugins.active_directory import assembly
from plugins.active_directory.assembly import build_directory
from plugins.active_directory.config import ActiveDirectorySettings
from tests.support.threads import CallQueue
from tests.unit.http.certificates import make

DOMAIN: dict[str, Any] = {"name": "Example.COM", "user": "reader@example.com", "password": {"env": "READER"}}


class Reactor(CallQueue):
    def seconds(self) -> float:
        return 0.0


def build(folder: Path = Path(), *, domain: dict[str, Any] | None = None, **settings: Any) -> Any:
    secrets = {"READER": b"secret", "EMPTY": b"", "BINARY": b"\xff"}

    def secret(reference: Any) -> bytes:
        if reference.env not in secrets:
            raise ValueError(f"{reference.env} is not set")
        return secrets[reference.env]

    return build_directory(
        "windows", {"domains": [domain or DOMAIN], **settings}, reactor=Reactor(), secret=secret, folder=folder
    )


@pytest.mark.requirement("R-CEG-131")
def test_what_stands_in_conf_and_what_does_not() -> None:
    domain = ActiveDirectorySettings.model_validate({"domains": [DOMAIN]}).domains[0]
    assert (domain.name, domain.ldap, domain.global_catalog) == ("example.com", 389, 3268)
    assert domain.uses_tls
    assert (domain.connect_timeout.total_seconds(), domain.read_timeout.total_seconds()) == (30, 30)
    ldaps = ActiveDirectorySettings.model_validate({"domains": [{**DOMAIN, "ldaps": True}]}).domains[0]
    assert (ldaps.ldap, ldaps.global_catalog) == (636, 3269)


@pytest.mark.parametrize(
    "settings",
    [
        {"domains": []},
        {"domains": [DOMAIN, DOMAIN]},
        {"domains": [{**DOMAIN, "name": "example"}]},
        {"domains": [{**DOMAIN, "name": "exa mple.com"}]},
        {"domains": [{**DOMAIN, "user": None}]},
        {"domains": [{**DOMAIN, "kerberos": {"principal": "svc", "keytab": "k"}}]},
        {"domains": [{"name": "a.b", "kerberos": {"principal": "s", "keytab": "k"}, "start_tls": False}]},
        {"domains": [{**DOMAIN, "max_referrals": 11}]},
        {"domains": [{**DOMAIN, "max_referrals": -1}]},
        {"domains": [{**DOMAIN, "ca_password": {"env": "X"}}]},
        {"domains": [{**DOMAIN, "ldap_port": 0}]},
        {"domains": [{**DOMAIN, "read_timeout": "0s"}]},
        {"domains": [{**DOMAIN, "colour": "red"}]},
        {"dns_servers": ["dns.example.com"]},
        {"dns_servers": ["192.0.2.1:x"]},
        {"threads": 0},
    ],
)
@pytest.mark.requirement("R-CEGI-029")
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="settings"):
        build(**settings)


def test_secrets_and_files_are_checked(tmp_path: Path) -> None:
    for domain, refusal in (
        ({"password": {"env": "NONE"}}, Unavailable),
        ({"password": {"env": "EMPTY"}}, Malformed),
        ({"password": {"env": "BINARY"}}, Malformed),
        ({"ca_file": "none.pem"}, Unavailable),
    ):
        with pytest.raises(refusal):
            build(tmp_path, domain={**DOMAIN, **domain})
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(Malformed, match="certificates"):
        build(tmp_path, domain={**DOMAIN, "ca_file": "empty.pem"})
    (tmp_path / "ca.pem").write_bytes(make("CA", is_ca=True).pem)
    build(tmp_path, domain={**DOMAIN, "ca_file": "ca.pem"})


def test_kerberos_needs_its_package_and_its_keytab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = {"name": "example.com", "kerberos": {"principal": "svc", "keytab": "k"}}

    def missing() -> None:
        raise Unavailable("Kerberos needs the package gssapi")

    monkeypatch.setattr(assembly, "_check_gssapi", missing)
    with pytest.raises(Unavailable, match="gssapi"):
        build(tmp_path, domain=domain)
    monkeypatch.setattr(assembly, "_check_gssapi", lambda: None)
    with pytest.raises(Unavailable, match="does not exist"):
        build(tmp_path, domain=domain)
    (tmp_path / "k").write_bytes(b"")
    build(tmp_path, domain=domain)


def test_nothing_starts_before_the_first_question() -> None:
    """Building is for checking, too: a reload that is refused must leave nothing behind."""
    build(dns_servers=["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53"]).stop()
