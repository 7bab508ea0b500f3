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
