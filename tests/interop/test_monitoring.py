"""Health and metrics of the real daemon, also while its store or its token goes away and comes back."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPResponseStatus

from tests.support.daemon import Daemon
from tests.support.metrics import samples
from tests.support.ocsp_client import ask_ocsp, ocsp_request
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import wait_until
from tests.support.softhsm import SoftHSM

pytestmark = pytest.mark.interop

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def get(daemon: Daemon, path: str, *, accept: str = "*/*") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{daemon.http_port}{path}", headers={"Accept": accept})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def health(daemon: Daemon) -> tuple[int, Mapping[str, str]]:
    """The status, and the state of each part."""
    status, body = get(daemon, "/health")
    return status, {each["part"]: each["state"] for each in json.loads(body)["parts"]}


def is_well(daemon: Daemon, part: str) -> Callable[[], bool]:
    """200, and the part is ok. Another may be degraded: a job that met the loss has failed."""
    return lambda: (found := health(daemon))[0] == 200 and found[1][part] == "ok"


def has_failed(daemon: Daemon, part: str) -> Callable[[], bool]:
    return lambda: (found := health(daemon))[0] == 503 and found[1][part] == "failed"


def metric(daemon: Daemon, name: str, *labels: str, accept: str = "*/*") -> float | None:
    status, body = get(daemon, "/metrics", accept=accept)
    assert status == 200
    return samples(body, is_openmetrics=accept == OPENMETRICS).get((name, labels))


@pytest.fixture
def server() -> Iterator[PostgreSQLServer]:
    """One that the test may stop."""
    server = PostgreSQLServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.mark.requirement("R-PLAT-087")
@pytest.mark.requirement("R-PLAT-088")
def test_a_lost_database_shows_and_clears_by_itself(tmp_path: Path, server: PostgreSQLServer) -> None:
    with Daemon(tmp_path, store_url=server.url()) as daemon:
        wait_until(is_well(daemon, "store"), what="the server")
        assert metric(daemon, "cspd_health", "store") == 1.0
        assert get(daemon, "/crl/demo/issuing/crl.crl")[0] == 200
        wait_until(lambda: metric(daemon, "cspd_crl_number", "demo~issuing", "0", "full") is not None, what="the CRL")
        server.stop()
        wait_until(has_failed(daemon, "store"), what="the loss")
        assert [get(daemon, f"/health/{each}")[0] for each in ("live", "store", "keys")] == [200, 503, 200]
        assert metric(daemon, "cspd_health", "store") == 0.0
        server.start()
        wait_until(is_well(daemon, "store"), what="the recovery")
        assert metric(daemon, "cspd_health", "store") == 1.0


@pytest.mark.requirement("R-PLAT-087")
@pytest.mark.requirement("R-PLAT-088")
def test_a_lost_token_shows_and_clears_by_itself(tmp_path: Path) -> None:
    """Nobody has to sign for it: asking for health finds out."""
    hsm = SoftHSM(tmp_path / "hsm")
    with Daemon(tmp_path, token=hsm) as daemon:
        process = daemon.pid
        issuing = x509.load_pem_x509_certificate(daemon.issuing_pem.read_bytes())
        request = ocsp_request(
            x509.load_pem_x509_certificate((daemon.folder / "pki" / "tls.pem").read_bytes()), issuing, nonce=b"n" * 16
        )
        assert ask_ocsp(daemon.http_url, request).response_status is OCSPResponseStatus.SUCCESSFUL
        wait_until(is_well(daemon, "keys-token"), what="the server")
        away = hsm.tokens.with_name("away")
        hsm.tokens.rename(away)
        wait_until(has_failed(daemon, "keys-token"), what="the loss")
        assert metric(daemon, "cspd_health", "keys-token") == 0.0
        assert ask_ocsp(daemon.http_url, request).response_status is OCSPResponseStatus.TRY_LATER
        found = daemon.cspctl_json("status")
        assert found["health"] == "failed"
        assert {"part": "store", "state": "ok", "reason": ""} in found["parts"]
        assert "keys-token  failed" in daemon.cspctl("status").stdout
        away.rename(hsm.tokens)
        wait_until(is_well(daemon, "keys-token"), what="the recovery")
        assert ask_ocsp(daemon.http_url, request).response_status is OCSPResponseStatus.SUCCESSFUL
        assert (daemon.is_running, daemon.pid) == (True, process)


def test_both_formats_are_read_by_their_parsers(tmp_path: Path) -> None:
    """Core and protocols are on the page."""
    with Daemon(tmp_path) as daemon:
        assert metric(daemon, "cspd_health", "tsp-clock") is not None
        assert get(daemon, "/crl/demo/issuing/crl.crl")[0] == 200
        for accept in ("*/*", OPENMETRICS):
            requests = ("http", "GET", "repository", "2xx")
            assert metric(daemon, "cspd_http_requests_total", *requests, accept=accept) == 1.0
            assert (metric(daemon, "cspd_key_signatures_total", "software", accept=accept) or 0) >= 1
            assert (metric(daemon, "process_resident_memory_bytes", accept=accept) or 0) > 1e6
        wait_until(lambda: metric(daemon, "cspd_crl_number", "demo~issuing", "0", "full") is not None, what="the CRL")


def test_a_reload_keeps_the_counters_and_takes_what_is_new(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        assert get(daemon, "/crl/demo/issuing/crl.crl")[0] == 200
        daemon.change({"protocols.acme": None, "listeners.https.protocols": ["est", "mdm", "ocsp", "wstep"]})
        daemon.reload()
        found = samples(get(daemon, "/metrics")[1])
        assert found["cspd_http_requests_total", ("http", "GET", "repository", "2xx")] == 1.0
        jobs = {labels[0] for name, labels in found if name == "cspd_job_runs_total"}
        assert {"crl-publish-due", "ocsp-renew-responders"} <= jobs
        assert not [job for job in jobs if job.startswith("acme")]
        daemon.change({"protocols.monitoring.trusted": []})
        daemon.reload()
        assert get(daemon, "/metrics")[0] == 403
        assert json.loads(get(daemon, "/health")[1]) == {"state": "ok"}
