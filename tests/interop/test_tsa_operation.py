"""Running a timestamping authority: reloads, a token that goes away, a backup that comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chrony import Chrony
from tests.support.daemon import Daemon
from tests.support.processes import run, wait_until
from tests.support.softhsm import SoftHSM
from tests.support.timestamp_load import Load
from tests.support.timestamping import TimestampClient, issuer_entry

pytestmark = pytest.mark.interop

SYSTEM_FAILURE = ("Rejected.", "the request cannot be handled due to system failure")


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHSM:
    return SoftHSM(tmp_path / "hsm")


@pytest.fixture
def daemon(tmp_path: Path, hsm: SoftHSM) -> Iterator[Daemon]:
    with Daemon(tmp_path, token=hsm, changes={"protocols.tsp.issuers": [issuer_entry("demo")]}) as daemon:
        yield daemon


@pytest.fixture
def client(tmp_path: Path, daemon: Daemon) -> TimestampClient:
    return TimestampClient(tmp_path, daemon)


@pytest.mark.requirement("R-CEG-017")
def test_command_that_the_start_prints_works_when_pasted(daemon: Daemon, tmp_path: Path) -> None:
    [command] = [line for line in daemon.output().splitlines() if "openssl ts -query" in line]
    assert "Verification: OK" in run(["sh", "-c", command.strip()], cwd=tmp_path).stdout


@pytest.mark.requirement("R-TSA-095")
def test_token_that_goes_away_stops_tokens_and_they_come_back_with_it(
    daemon: Daemon, client: TimestampClient, hsm: SoftHSM
) -> None:
    client.timestamp("demo")
    away = hsm.tokens.with_name("away")
    hsm.tokens.rename(away)
    try:

        def is_refused() -> bool:
            assert client.post("demo") == 200
            if client.reply.read_bytes()[4:9] == b"\x30\x03\x02\x01\x00":
                client.verify()  # whatever is granted has a good signature
                return False
            return client.rejection() == SYSTEM_FAILURE

        wait_until(is_refused, what="the loss of the token")
    finally:
        away.rename(hsm.tokens)
    wait_until(lambda: not is_refused(), what="the token")
    client.timestamp("demo")
    assert "ProcessTimeStampRequest.Failed for demo: SystemFailureTSError" in daemon.output()
    assert "Traceback" not in daemon.output()


@pytest.mark.requirement("R-TSA-068")
def test_change_of_conf_has_no_effect_before_the_reload(daemon: Daemon, client: TimestampClient) -> None:
    client.timestamp("demo")
    daemon.change({"protocols.tsp.issuers": [issuer_entry("demo", policy="1.2.3.4"), issuer_entry("new")]})
    client.timestamp("demo")
    assert client.tst_info()["policy"].native != "1.2.3.4"
    assert client.post("new") == 404
    daemon.reload()
    client.timestamp("demo")
    assert client.tst_info()["policy"].native == "1.2.3.4"
    client.timestamp("new")


@pytest.mark.requirement("R-TSA-094")
def test_backup_brings_the_authority_back(daemon: Daemon, client: TimestampClient, tmp_path: Path) -> None:
    client.timestamp("demo")
    signer = client.token()["content"]["signer_infos"][0]["sid"].native
    daemon.stop()
    backup = tmp_path / "backup"
    shutil.copytree(daemon.folder, backup)
    shutil.rmtree(daemon.folder)
    backup.rename(daemon.folder)
    daemon.start()
    client.timestamp("demo")
    assert client.token()["content"]["signer_infos"][0]["sid"].native == signer


@pytest.fixture
def chrony(tmp_path: Path) -> Iterator[Chrony]:
    with Chrony(tmp_path) as chrony:
        yield chrony


def test_reload_refuses_nobody(tmp_path: Path, chrony: Chrony) -> None:
    """The new clock, its first question and the new units are waited for."""
    clock = {"source": "chrony", "address": chrony.address, "poll_interval": "1s", "max_error": "500ms"}
    with Daemon(tmp_path, changes={"protocols.tsp.clock": clock}) as daemon:
        load = Load((daemon.http_port,), "demo", wanted=1_000_000, clients=8)
        load.start()
        for reloads in range(1, 6):
            wait_until(lambda wanted=200 * reloads: len(load.stamps) >= wanted, what="tokens", seconds=60)
            daemon.reload()
        wait_until(lambda: len(load.stamps) >= 1200, what="tokens", seconds=60)
        load.stop()
        load.join()
    assert (load.refused, load.cut_off) == ([], 0)
