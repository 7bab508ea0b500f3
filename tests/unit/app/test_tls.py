from __future__ import annotations

import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cspd.config.configuration import Configuration
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused
from cspd.config.secrets import Secrets, SecretStore
from cspd.daemon.tls import load_tls
from tests.support.clocks import FrozenClock
from tests.unit.config.installations import SOUND, install, write_tls

NOW = FrozenClock().now()


def configuration(folder: Path, *, self_signed: bool = False) -> Configuration:
    text = SOUND.replace('certificate = "tls.pem"\nkey = "tls.key"\n', "") if self_signed else SOUND
    return load_configuration(install(folder, text), environment={}, clock=FrozenClock())


def test_certificate_of_conf_is_shown(tmp_path: Path) -> None:
    loaded = load_tls(configuration(tmp_path), now=NOW)
    assert list(loaded) == ["https"]
    assert loaded["https"].credentials.certificate_pem() == (tmp_path / "tls.pem").read_bytes()


@pytest.mark.requirement("R-PLAT-020")
def test_self_signed_certificate_is_made_once_and_kept_privately(tmp_path: Path) -> None:
    found = configuration(tmp_path, self_signed=True)
    first = load_tls(found, now=NOW)["https"].credentials
    again = load_tls(found, now=NOW)["https"].credentials
    assert again.certificate == first.certificate
    assert first.certificate.subject == first.certificate.issuer
    assert stat.S_IMODE((tmp_path / "state" / "self-signed" / "https.key").stat().st_mode) == 0o600
    renewed = load_tls(found, now=first.expires + timedelta(seconds=1))["https"].credentials
    assert renewed.certificate != first.certificate


def test_file_that_went_bad_after_the_check_is_refused_by_the_listeners_name(tmp_path: Path) -> None:
    found = configuration(tmp_path)
    write_tls(tmp_path, "other.example.com")
    (tmp_path / "tls.key").write_text("damaged")
    with pytest.raises(ConfigurationRefused) as refused:
        load_tls(found, now=NOW)
    assert [(problem.key, problem.what) for problem in refused.value.problems] == [
        (("listeners", "https", "tls"), f"{tmp_path / 'tls.key'}: is not a PEM private key")
    ]


def test_passphrase_that_is_gone_is_refused_by_its_key(tmp_path: Path) -> None:
    """The check reads it before, but nothing binds this to that."""
    (tmp_path / "passphrase").write_text("not needed")
    (tmp_path / "passphrase").chmod(0o600)
    text = SOUND.replace('key = "tls.key"\n', 'key = "tls.key"\npassphrase = { file = "passphrase" }\n')
    checked = load_configuration(install(tmp_path, text), environment={}, clock=FrozenClock())
    unread = Secrets(folder=tmp_path, store=SecretStore(tmp_path / "secrets"), environment={})
    (tmp_path / "passphrase").unlink()
    with pytest.raises(ConfigurationRefused) as refused:
        load_tls(replace(checked, secrets=unread), now=NOW)
    assert [(problem.key, problem.what) for problem in refused.value.problems] == [
        (("listeners", "https", "tls", "passphrase"), f"{tmp_path / 'passphrase'} does not exist")
    ]


def test_self_signed_certificate_that_cannot_be_kept_is_refused_by_the_listeners_name(tmp_path: Path) -> None:
    found = configuration(tmp_path, self_signed=True)
    (tmp_path / "state" / "self-signed").write_text("a file where the folder has to be")
    with pytest.raises(
        ConfigurationRefused, match=r"listeners\.https\.tls: the self-signed certificate cannot be kept"
    ):
        load_tls(found, now=NOW)
