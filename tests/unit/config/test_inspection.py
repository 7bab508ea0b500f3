"""A protocol's own checks of its files are part of ``cspctl config check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from cspd.authority.profiles import Profile
from cspd.config.inspection import Inspection
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.config.values import SecretReference
from protocols.ocsp.config import OCSPConfig
from tests.support.authorities import shipped_profiles
from tests.support.clocks import FrozenClock
from tests.unit.config.installations import SOUND, install


def test_findings_of_a_section_are_reported_with_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = install(tmp_path)
    asked: list[tuple[Path, datetime]] = []
    found = Inspection(warnings=[Problem(what="ends soon", remedy="Renew it", key=("certificate",))])

    def inspect(section: OCSPConfig, folder: Path, now: datetime) -> Inspection:
        asked.append((folder, now))
        return found

    monkeypatch.setattr(OCSPConfig, "inspect", inspect, raising=False)
    configuration = load_configuration(file, environment={}, clock=FrozenClock())
    assert asked == [(tmp_path, FrozenClock().now())]
    assert [str(each) for each in configuration.warnings] == [
        f"{file}:25: protocols.ocsp.certificate: ends soon. Renew it."
    ]
    found = Inspection(problems=[Problem(what="is no file", key=("chain", 1))])
    with pytest.raises(ConfigurationRefused) as refused:
        load_configuration(file, environment={}, clock=FrozenClock())
    assert str(refused.value) == f"{file}:25: protocols.ocsp.chain[1]: is no file."


def test_cas_whose_clients_fail_in_tls_are_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = Inspection(client_trust=[(("trust", 0), "tls.pem")])
    monkeypatch.setattr(OCSPConfig, "inspect", lambda section, folder, now: asks, raising=False)

    def warnings(text: str) -> list[str]:
        file = install(tmp_path, text)
        loaded = load_configuration(file, environment={}, clock=FrozenClock())
        return [str(each).removeprefix(f"{file}:") for each in loaded.warnings]

    trusting = 'key = "tls.key"\nclient_certificates = "optional"\nclient_trust = ["tls.pem"]\n'
    elsewhere = SOUND.replace('key = "tls.key"\n', trusting)
    expected = (
        'protocols.ocsp.trust[0]: has CAs whose clients no listener of "ocsp" lets through TLS. '
        "Add the file to client_trust of the listener."
    )
    assert warnings(SOUND) == [f"25: {expected}"]
    assert warnings(elsewhere) == [f"27: {expected}"]
    assert warnings(elsewhere.replace('["acme"]', '["acme", "ocsp"]')) == []


class Choosy(OCSPConfig):
    """A section that looks at profiles."""

    def inspect_profiles(self, profiles: Mapping[str, Profile]) -> list[Problem]:
        return [Problem(what=f"{len(profiles)} is too many", key=("profile",))]


def test_profiles_that_a_section_cannot_use_are_reported_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocols.ocsp.config.OCSPConfig", Choosy)
    file = install(tmp_path)
    with pytest.raises(ConfigurationRefused) as refused:
        load_configuration(file, environment={}, clock=FrozenClock())
    assert str(refused.value) == f"{file}:25: protocols.ocsp.profile: {len(shipped_profiles())} is too many."


def test_what_only_opens_with_a_secret_is_inspected_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = install(tmp_path)
    (tmp_path / "password").write_text("s3cret\n")
    (tmp_path / "password").chmod(0o600)

    class Opening(OCSPConfig):
        def inspect_secrets(
            self, folder: Path, now: datetime, secret: Callable[[SecretReference], bytes]
        ) -> Inspection:
            opened = secret(SecretReference(file="password")) == b"s3cret"
            with pytest.raises(ValueError, match="does not exist"):
                secret(SecretReference(file="another"))
            return Inspection(problems=[Problem(what=f"opened: {opened}", key=("key",))])

    monkeypatch.setattr("protocols.ocsp.config.OCSPConfig", Opening)
    with pytest.raises(ConfigurationRefused) as refused:
        load_configuration(file, environment={}, clock=FrozenClock())
    assert str(refused.value) == f"{file}:25: protocols.ocsp.key: opened: True."


DIRECTORY = """
[authentication.windows]
kind = "active-directory"

[[authentication.windows.settings.domains]]
name = "example.com"
laps = true
user = "svc-cspd@example.com"
password = { store = "svc-cspd" }
"""


def report_on(tmp_path: Path, section: str) -> list[str]:
    """What is said of an authentication section behind the sound configuration, without the file's name and number."""
    file = install(tmp_path, SOUND + section)
    with pytest.raises(ConfigurationRefused) as refused:
        load_configuration(file, environment={}, clock=FrozenClock())
    return [str(each).partition("authentication.windows.")[2] for each in refused.value.problems]


@pytest.mark.requirement("R-PLAT-003")
def test_settings_of_a_connector_are_checked_whether_or_not_a_protocol_uses_it(tmp_path: Path) -> None:
    assert report_on(tmp_path, DIRECTORY) == [
        'settings.domains[0].laps: is not a known key. Did you mean "ldaps".',
    ]
    (missing,) = report_on(tmp_path, DIRECTORY.replace("laps", "ldaps"))
    assert missing.startswith('settings.domains[0].password: no secret "svc-cspd" in the secret store. Set it with')
    (there_is,) = report_on(tmp_path, DIRECTORY.replace("active-directory", "active"))
    assert there_is == 'kind: there is no password-check "active"; there is: active-directory, ldap.'


@pytest.mark.requirement("R-PLAT-003")
def test_files_of_connectors_are_looked_at(tmp_path: Path) -> None:
    kerberos = DIRECTORY.replace('user = "svc-cspd@example.com"', 'ca_file = "ca.pem"').replace("laps = true", "")
    kerberos = kerberos.replace(
        'password = { store = "svc-cspd" }', 'kerberos = { principal = "a", keytab = "a.keytab" }'
    )
    kerberos += '[authentication.windows.settings]\nkerberos_configuration = "krb5.conf"\n'
    (tmp_path / "ca.pem").write_text("nothing")
    issuers = "Name the issuers of the domain controllers' certificates"
    assert sorted(report_on(tmp_path, kerberos)) == [
        f"settings.domains[0].ca_file: {tmp_path}/ca.pem is not PEM of certificates. {issuers}.",
        f"settings.domains[0].kerberos.keytab: {tmp_path}/a.keytab is no file. Name a keytab.",
        f"settings.kerberos_configuration: {tmp_path}/krb5.conf is no file. Name a krb5.conf.",
    ]
    ldap = """
[authentication.windows]
kind = "ldap"
settings = { servers = ["ldaps://a.example"], user_dn = "uid={user}", ca_file = "FILE" }
"""
    issuers = "Name the issuers of the servers' certificates"
    assert report_on(tmp_path, ldap.replace("FILE", "none.pem")) == [
        f"settings.ca_file: {tmp_path}/none.pem cannot be read: No such file or directory. {issuers}."
    ]
    assert report_on(tmp_path, ldap.replace("FILE", "ca.pem")) == [
        f"settings.ca_file: {tmp_path}/ca.pem is not PEM of certificates. {issuers}."
    ]
    file = install(tmp_path, SOUND + ldap.replace("FILE", "tls.pem"))
    assert load_configuration(file, environment={}, clock=FrozenClock()).warnings == ()


@pytest.mark.requirement("R-PLAT-003")
def test_users_have_to_be_of_an_authentication_that_there_is(tmp_path: Path) -> None:
    mdm = SOUND.replace('["acme"]', '["acme", "mdm"]') + '[protocols.mdm]\nusers = ["products"]\n'
    static = """
[authentication.product]
users = [{ name = "jamf", password = { store = "software-master-key" } }]
"""
    for text, remedy in ((mdm, "Add it"), (mdm + static, 'Did you mean "product"')):
        file = install(tmp_path, text)
        with pytest.raises(ConfigurationRefused) as refused:
            load_configuration(file, environment={}, clock=FrozenClock())
        assert str(refused.value) == (
            f"{file}:29: protocols.mdm.users[0]: there is no [authentication.products]. {remedy}."
        )
    sound = (mdm + static).replace('"products"', '"product"')
    assert "mdm" in load_configuration(install(tmp_path, sound), environment={}, clock=FrozenClock()).protocols
