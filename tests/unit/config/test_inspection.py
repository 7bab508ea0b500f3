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
