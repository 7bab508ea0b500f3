"""The key service with a real token: SoftHSM2, each test in a process of its own.

Run these programs by hand to see more: ``SOFTHSM2_CONF=... python -m tests.interop.softhsm_programs load MODULE 60``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import program, run
from tests.support.softhsm import SoftHSM

pytestmark = pytest.mark.interop

KEY_TYPES = ("rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ec-p521")


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHSM:
    """A token called "one"."""
    made = SoftHSM(tmp_path / "hsm")
    made.make_token("one")
    return made


def start(hsm: SoftHSM, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs to its end, however it ends."""
    command = [sys.executable, "-m", "tests.interop.softhsm_programs", name, hsm.module, *arguments]
    return subprocess.run(
        command,
        env=dict(hsm.environment),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def result_of_program(hsm: SoftHSM, name: str, *arguments: str) -> Any:
    """What one of the programs says; it must end well and write no error."""
    done = start(hsm, name, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), f"{name} ended with {done.returncode}:\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.requirement("R-PLAT-111")
@pytest.mark.requirement("R-CA-003")
def test_keys_in_the_token_sign_certificates_crls_and_ocsp_responses(hsm: SoftHSM, tmp_path: Path) -> None:
    """Every key type; openssl says whether the signatures are good. Then another process uses the same keys."""
    out, openssl = tmp_path / "out", program("openssl")
    out.mkdir()
    references = result_of_program(hsm, "authorities", str(out))
    assert set(references) == set(KEY_TYPES)
    for name in KEY_TYPES:
        ca, crl, response = (out / name / file for file in ("ca.pem", "crl.pem", "response.der"))
        run([openssl, "verify", "-check_ss_sig", "-CAfile", ca, ca])
        assert "verify OK" in run([openssl, "crl", "-in", crl, "-noout", "-CAfile", ca]).stdout
        verdict = run([openssl, "ocsp", "-respin", response, "-issuer", ca, "-cert", ca, "-CAfile", ca, "-no_nonce"])
        assert "Response verify OK" in verdict.stdout
        assert f"{ca}: good" in verdict.stdout

    after = result_of_program(hsm, "after_restart", json.dumps(references))
    assert after["listed"] == {name: [reference, f"CA {name}"] for name, reference in references.items()}
    assert after["refused"] == [
        ["private_bytes", "UnsupportedAlgorithm"],
        ["ed25519", "Rejected"],
        ["unknown", "NotFound"],
    ]
    assert after["remaining"] == sorted(set(KEY_TYPES) - {"rsa-2048"})


def test_pss_and_prehashed_signatures_verify(hsm: SoftHSM) -> None:
    assert result_of_program(hsm, "paddings") == {"verified": 11}


def test_a_key_that_was_made_for_it_decrypts_and_tells_nothing_else(hsm: SoftHSM) -> None:
    """What does not decrypt does not look like a token that is lost."""
    outcomes = result_of_program(hsm, "decryption", "bare")
    assert outcomes.pop("health") == [True]
    refused = ["UnsupportedAlgorithm"] * 2
    schemes = ("pkcs1", "oaep-sha1", "oaep-sha256")
    assert outcomes == {
        **{f"decrypts {scheme}": ["text", "ValueError"] for scheme in schemes},
        **{f"signs {scheme}": refused for scheme in schemes},
    }


def test_a_token_that_takes_off_the_padding_itself_decrypts_too(hsm: SoftHSM) -> None:
    """Without the bare operation; SoftHSM knows OAEP with SHA-1 only, and says CKR_GENERAL_ERROR of bad paddings."""
    outcomes = result_of_program(hsm, "decryption", "unpadded")
    assert outcomes["decrypts pkcs1"] == outcomes["decrypts oaep-sha1"] == ["text", "ValueError"]
    assert outcomes["decrypts oaep-sha256"] == ["UnsupportedAlgorithm", "UnsupportedAlgorithm"]
    assert outcomes["health"] == [True]


@pytest.mark.parametrize("way", ["bare", "unpadded"])
def test_decryption_and_signatures_under_load_survive(hsm: SoftHSM, way: str) -> None:
    """Whatever strangers send, nobody who signs or decrypts with the same token is disturbed."""
    outcomes = result_of_program(hsm, "decryption_load", "3", way)
    assert set(outcomes) == {"signed", "text", "ValueError"}
    assert min(outcomes.values()) > 20


def test_sixteen_concurrent_signers_survive(hsm: SoftHSM) -> None:
    """SoftHSM, initialised for several threads, under more load than it has sessions; every signature verifies."""
    outcomes = result_of_program(hsm, "load", "5")
    assert set(outcomes) == {"signed"}
    assert outcomes["signed"] > 100


def test_eight_threads_break_a_module_that_python_pkcs11_initialised(hsm: SoftHSM) -> None:
    """Why we do not leave C_Initialize to it; the next test is the control. If this one fails, cryptoki.py may go.

    The process dies of a signal, or the module answers nonsense before.
    """
    assert start(hsm, "eight_threads", "python-pkcs11").returncode != 0


def test_eight_threads_do_not_break_a_module_that_we_initialised(hsm: SoftHSM) -> None:
    done = start(hsm, "eight_threads", "us")
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_tokens_of_one_module_work_side_by_side(hsm: SoftHSM) -> None:
    hsm.make_token("two")
    outcomes = result_of_program(hsm, "two_tokens")
    assert outcomes.pop("listed")
    assert set(outcomes) == {"signed"}


@pytest.mark.requirement("R-PLAT-110")
def test_a_token_that_goes_away_is_unavailable_and_comes_back_by_itself(hsm: SoftHSM) -> None:
    outcomes = result_of_program(hsm, "loss", str(hsm.tokens))
    before, during, lost, after = outcomes["signed"]
    assert before and during and after  # noqa: PT018  # one statement: it signs whenever the token is there
    assert lost == 0
    refused_before, refused_during, refused_lost, refused_after = outcomes["refused"]
    assert refused_before == refused_after == 0
    assert refused_during
    assert refused_lost
    assert 0 <= outcomes["recovered"] < 10
    assert (outcomes["health_lost"], outcomes["health_after"]) == ([False], [True])


@pytest.mark.requirement("R-PLAT-110")
def test_closed_sessions_are_opened_and_logged_in_again_without_a_refusal(hsm: SoftHSM) -> None:
    outcomes = result_of_program(hsm, "sessions_closed")
    assert outcomes.pop("codes") == [0] * 5
    assert set(outcomes) == {"signed"}


def test_a_wrong_pin_reaches_the_token_once(hsm: SoftHSM) -> None:
    """So that it does not lock; and the corrected secret is used without a restart."""
    outcomes = result_of_program(hsm, "wrong_pin")
    assert "token one refuses the PIN" in outcomes["at_start"]
    assert outcomes["outcomes"] == ["hsm-pin-incorrect"]
    assert outcomes["tries"] == 1
    assert outcomes["available_after"]
