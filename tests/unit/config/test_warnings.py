"""What a sound configuration is warned about, and what it does not switch on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cspd.config.loader import load_configuration
from tests.support.clocks import FrozenClock
from tests.unit.config.installations import SOUND, install, write_tls


def warnings(file: Path) -> list[str]:
    return [str(each) for each in load_configuration(file, environment={}, clock=FrozenClock()).warnings]


@pytest.mark.requirement("R-CEG-156")
def test_certificate_that_is_not_for_the_name_of_the_server(tmp_path: Path) -> None:
    file = install(tmp_path)
    write_tls(tmp_path, "www.example.com")
    assert warnings(file) == [
        (
            f"{file}:20: listeners.https.tls.certificate: the certificate is not for pki.example.com, "
            "the name of this server. Get one for it, beside www.example.com."
        )
    ]


@pytest.mark.requirement("R-CEG-155")
def test_certificate_that_ends_soon(tmp_path: Path) -> None:
    file = install(tmp_path)
    write_tls(tmp_path, "pki.example.com", validity=timedelta(days=29))
    [warning] = warnings(file)
    assert "listeners.https.tls.certificate: the certificate ends on 2026-12-23" in warning


@pytest.mark.requirement("R-CEG-023")
def test_acme_without_its_section_is_off_and_the_reference_says_so(tmp_path: Path) -> None:
    text = SOUND.replace("[protocols.acme]\n", "").replace('["acme"]', '["ocsp"]')
    configuration = load_configuration(install(tmp_path, text), environment={}, clock=FrozenClock())
    assert sorted(configuration.protocols) == ["ocsp", "repository"]
    reference = (Path(__file__).parents[3] / "conf" / "cspd.toml").read_text()
    assert "# Protocols: on when their section is there, unless it says enabled = false." in reference


@pytest.mark.requirement("R-CA-002")
@pytest.mark.parametrize("host", ["localhost", "db.example.com"])
@pytest.mark.parametrize("mode", ["demo", "prod"])
@pytest.mark.parametrize("protection", ["disable", "require", "verify-full"])
def test_database_that_is_not_verified(tmp_path: Path, host: str, mode: str, protection: str) -> None:
    """Wherever it is, it is never used without a word; in production elsewhere, only when allowed by name."""
    store = f'[store]\nurl = "postgresql://cspd@{host}/cspd"\ntls = {{ mode = "{protection}" }}\n'
    allowed = 'mode = "prod"\nallow_insecure = ["unverified-database-tls", "software-keys", "self-signed-tls"]'
    text = store + SOUND.replace('mode = "demo"', 'mode = "demo"' if mode == "demo" else allowed)
    found = [each for each in warnings(install(tmp_path, text)) if "store.tls.mode" in each]
    expected = (
        f'{tmp_path / "cspd.toml"}:3: store.tls.mode: does not prove which database server answers. Use "verify-full".'
    )
    assert found == ([] if protection == "verify-full" else [expected])
