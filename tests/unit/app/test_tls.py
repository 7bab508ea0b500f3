from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from cspd.config.configuration import Configuration
from cspd.config.loader import load_configuration
from cspd.config.problems import ConfigurationRefused
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
