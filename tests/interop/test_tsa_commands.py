"""``cspctl tsa`` with a real daemon, a real token, a real chronyd, and openssl to judge what comes out."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.support.chrony import Chrony
from tests.support.daemon import Daemon
from tests.support.processes import accepts_connections, free_port, program, run, wait_until
from tests.support.softhsm import SoftHSM
from tests.support.tsa_client import TSAClient

pytestmark = pytest.mark.interop

KEY_TYPES = {
    "RSA2048": "RSA 2048 bits",
    "RSA3072": "RSA 3072 bits",
    "RSA4096": "RSA 4096 bits",
    "ECDSAP256": "EC 256 bits",
    "ECDSAP384": "EC 384 bits",
    "ECDSAP521": "EC 521 bits",
}


SLOT_ATTRIBUTES = (
    "Slot Id",
    "Label",
    "Serial Number",
    "Model",
    "Firmware Version",
    "Configuration",
    "Slot Description",
    "FM HW Status",
)


@pytest.mark.requirement("R-TSA-071", "R-TSA-073", "R-TSA-076", "R-TSA-077", "R-TSA-078", "R-TSA-080")
def test_keys_of_a_token_while_the_daemon_runs(tmp_path: Path) -> None:
    token = SoftHSM(tmp_path / "hsm")
    with Daemon(tmp_path, token=token) as daemon:
        made = {}
        for key_type, kind in KEY_TYPES.items():
            csr = tmp_path / f"{key_type}.csr"
            done = daemon.cspctl("tsa", "create-key", "-k", key_type, "-s", f"CN={key_type}", "-o", str(csr), "-y")
            assert done.stdout.startswith("Using token with label cspd\nCreated key with id ")
            made[done.stdout.split("id ")[1][:40]] = kind
            text = run(["openssl", "req", "-in", csr, "-verify", "-noout", "-subject"]).stdout
            assert "verify OK" in text
            assert f"CN = {key_type}" in text
        _import_foreign_key(token, tmp_path)

        listed = daemon.cspctl_json("tsa", "list-keys")
        ours = {each["key_id"]: each["kind"] for each in listed if each["label"] == "tsa"}
        assert ours == made
        foreign = [each for each in listed if each["label"] == "foreign"]
        assert {(each["object"], each["key_id"], each["kind"]) for each in foreign} == {
            ("public", "0f", "RSA 2048 bits"),
            ("private", "0f", "RSA 2048 bits"),
        }
        assert {"sign", "unwrap"} <= set(next(each for each in foreign if each["object"] == "private")["usage"])

        key_id = next(iter(made))
        again = daemon.cspctl("tsa", "create-csr", "-k", key_id, "-y").stdout
        (tmp_path / "again.csr").write_text(again.partition("CSR:\n")[2])
        assert f"CN = {key_id}" in run(["openssl", "req", "-in", tmp_path / "again.csr", "-noout", "-subject"]).stdout
        for each in (key_id, "0f"):
            assert daemon.cspctl("tsa", "delete-key", "-k", each, "-y").stdout == (
                f"Deleted public key with id {each}\nDeleted private key with id {each}\n"
            )
        left = {each["key_id"] for each in daemon.cspctl_json("tsa", "list-keys", "-p", "1234")}
        assert left.isdisjoint({key_id, "0f"})
        assert left > made.keys() - {key_id}

        said = daemon.cspctl("tsa", "check", "hsm", "-l", "3").stdout
        assert {"Label -> cspd", "Model -> SoftHSM v2"} <= set(said.splitlines())
        slots = said.count("Slot Id -> ")
        assert slots > 1, "SoftHSM always has one more slot, without a token"
        assert [said.count(f"\n{attribute} -> ") for attribute in SLOT_ATTRIBUTES] == [slots] * 8
        assert daemon.cspctl("tsa", "check", "hsm").stdout == said, "levels are for nShield"
        assert said.endswith("Passing HSM checks... Done\n")
        assert "Current Slot Id: " in said
        wrong = daemon.cspctl("tsa", "check", "hsm", "-p", "9999", expect=1).stdout
        assert "refuses the PIN" in wrong


@pytest.mark.requirement("R-TSA-068", "R-TSA-087")
def test_stopped_authority_is_connected_to_by_nobody_until_it_is_deployed(tmp_path: Path) -> None:
    port = free_port()
    daemon = Daemon(tmp_path, start=False)
    daemon.change(
        {
            "listeners.tsa": {"endpoint": f"tcp:{port}:interface=127.0.0.1", "protocols": ["tsp"]},
            "listeners.http.protocols": ["monitoring", "ocsp", "repository"],
        }
    )
    client = TSAClient(tmp_path)
    with daemon:
        daemon.start()
        url = f"http://localhost:{port}"
        wait_until(lambda: client.ask(url, "demo").is_granted, what="the first token")
        config = tomllib.loads(daemon.config.read_text())
        [issuer] = config["protocols"]["tsp"]["issuers"]
        daemon.change({"protocols.tsp.issuers": [{**issuer, "id": "renamed"}]})
        assert client.ask(url, "demo").is_granted

        daemon.cspctl("tsa", "stop")
        wait_until(lambda: not accepts_connections(port), what="the closed port")
        assert "tsp" not in daemon.cspctl_json("status")["protocols"]
        daemon.stop()
        daemon.start()
        assert not accepts_connections(port)

        daemon.cspctl("tsa", "deploy")
        wait_until(lambda: accepts_connections(port), what="the opened port")
        wait_until(lambda: client.ask(url, "renamed").is_granted, what="a token of the deployed configuration")
        with pytest.raises(HTTPError, match="404"):
            client.ask(url, "demo")
        assert [each["issuer"] for each in daemon.cspctl_json("tsa", "list")] == ["renamed"]


@pytest.mark.requirement("R-TSA-081")
def test_clock_is_checked_with_chronyd(tmp_path: Path) -> None:
    with Chrony(tmp_path) as chrony:
        clock = {"source": "chrony", "address": chrony.address, "poll_interval": "1s", "max_error": "500ms"}
        with Daemon(tmp_path, changes={"protocols.tsp.clock": clock}) as daemon:
            assert daemon.cspctl("tsa", "check", "clock").stdout == (
                "Starting Pod... Done\nChecking clock status... Done\n"
            )
            chrony.set_offset(2.0)
            wait_until(lambda: abs(chrony.offset()) > 1, what="the drift")
            drifted = daemon.cspctl("tsa", "check", "clock", expect=1).stdout
            assert "500" in drifted or "0.5 s are allowed" in drifted
            chrony.kill()
            assert daemon.cspctl("tsa", "check", "clock", expect=1).stdout.startswith("Starting Pod... Done\n")


def test_token_is_verified_and_found_in_the_log(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, start=False)
    [issuer] = tomllib.loads(daemon.config.read_text())["protocols"]["tsp"]["issuers"]
    daemon.change({"protocols.tsp.issuers": [{**issuer, "log_tokens": True}]})
    data, query, response = tmp_path / "data", tmp_path / "q.tsq", tmp_path / "r.tsr"
    data.write_text("contract")
    run([program("openssl"), "ts", "-query", "-data", data, "-sha256", "-cert", "-out", query])
    with daemon:
        daemon.start()
        url = f"{daemon.http_url}/tsa/demo"
        header = "Content-Type: application/timestamp-query"
        wait_until(lambda: TSAClient(tmp_path).ask(daemon.http_url, "demo").is_granted, what="the first token")
        run([program("curl"), "-sS", "-H", header, "--data-binary", f"@{query}", "-o", response, url])
        verify = ("tsa", "verify", "--token", str(response), "--ca", str(daemon.root_pem))
        said = daemon.cspctl(*verify, "--data", str(data)).stdout
        assert said.endswith("Verification: OK\n")
        assert daemon.cspctl(*verify, "--query", str(query)).stdout.endswith("Verification: OK\n")
        found = json.loads(daemon.cspctl("--json", *verify, "--digest", "00" * 32, expect=1).stdout)
        assert [each["flaw"] for each in found["findings"]] == ["imprint"]

        rows = daemon.cspctl_json("tsa", "log", "list")
        assert found["token_sha256"] in {each["token_sha256"] for each in rows}
        [row] = daemon.cspctl_json("tsa", "log", "list", "--serial", found["serial_number"])
        assert row["token_sha256"] == found["token_sha256"]
        assert daemon.cspctl("tsa", "log", "verify").stdout == f"{len(rows)} tokens, sound\n"
        exported = daemon.cspctl("tsa", "log", "export").stdout
        assert [json.loads(line) for line in exported.splitlines()] == rows
        [listed] = daemon.cspctl_json("tsa", "list")
        assert (listed["issuer"], listed["health"]) == ("demo", "ok")
        assert listed["url"] == url
        [key_id] = {
            each["key_id"] for each in daemon.cspctl_json("tsa", "list-keys") if each["reference"] == listed["key"]
        }
        asked = daemon.cspctl("tsa", "delete-key", "-k", key_id, given="n\n", expect=1).stdout
        assert "It signs the timestamps of demo." in asked


def _import_foreign_key(token: SoftHSM, folder: Path) -> None:
    """As an administrator would with SoftHSM's own tool."""
    key = folder / "foreign.pem"
    run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
    command = [program("softhsm2-util"), "--import", key, "--token", "cspd", "--label", "foreign", "--id", "0f"]
    run([*command, "--pin", "1234"], environment=token.environment)
