"""The daemon as ``twistd`` runs it: start, refusal to start, reload, stop, crash."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import TWISTD, Daemon, needs_other_users
from tests.support.openssl import RelyingParty
from tests.support.postgresql import postgresql, postgresql_server
from tests.support.processes import accepts_connections, free_port, run, wait_until
from tests.support.softhsm import SoftHSM

__all__ = ["postgresql", "postgresql_server"]  # fixtures

pytestmark = pytest.mark.interop


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as daemon:
        yield daemon


def status(url: str, *, root: Path | None = None) -> str:
    """The HTTP status of the answer."""
    trust = ["--cacert", root] if root else []
    return run(["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", *trust, url]).stdout


class SlowRequest:
    """A request whose body comes only when told: it is running as long as we like."""

    def __init__(self, port: int, path: str, body: bytes, *, root: Path | None = None) -> None:
        self._body = body
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        if root is not None:
            context = ssl.create_default_context(cafile=str(root))
            self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\n"
        head += f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        self._socket.sendall(head.encode())
        assert self._socket.recv(64).startswith(b"HTTP/1.1 100"), "the server has not begun to read the body"

    def finish(self) -> bytes:
        """Send the body and give the whole answer."""
        self._socket.sendall(self._body)
        answer = b""
        while chunk := self._socket.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer and len(answer) > 200:
                break
        self.close()
        return answer

    def close(self) -> None:
        """Go away."""
        self._socket.close()


def ocsp_request(daemon: Daemon, folder: Path) -> bytes:
    file = folder / "request.der"
    tls = daemon.folder / "pki" / "tls.pem"
    run(["openssl", "ocsp", "-issuer", daemon.issuing_pem, "-cert", tls, "-reqout", file])
    return file.read_bytes()


@pytest.mark.requirement("R-PLAT-001")
@pytest.mark.requirement("R-PLAT-013")
def test_all_listeners_of_the_demo_answer(daemon: Daemon, tmp_path: Path) -> None:
    """ACME, OCSP and the CRL are there, verified by the trust anchor that init wrote; nothing listens on IPv6."""
    assert status(daemon.acme_directory(), root=daemon.root_pem) == "200"
    chain = (daemon.folder / "pki" / "tls.pem").read_text()
    party = RelyingParty(tmp_path / "party", chain, daemon.root_pem)
    party.verify()
    assert party.ocsp() == "good"
    assert "Certificate Revocation List" in party.crl(tmp_path)
    with socket.socket(socket.AF_INET6) as client:
        assert client.connect_ex(("::1", daemon.http_port)) != 0


@pytest.mark.requirement("R-PLAT-015")
def test_public_address_is_independent_of_the_listeners(tmp_path: Path) -> None:
    """A balancer's name is in ACME's URLs and in certificates, while the daemon listens on loopback."""
    public = {
        "server.public_https": "https://balancer.example.com/pki",
        "server.public_http": "http://status.example.com",
    }
    with Daemon(tmp_path, changes=public) as daemon:
        local = daemon.acme_directory()
        directory = json.loads(run(["curl", "--silent", "--fail", "--cacert", daemon.root_pem, local]).stdout)
        assert directory["newNonce"].startswith("https://balancer.example.com/pki/acme/demo/demo~issuing/")
        made = daemon.cspctl_json(
            *("ca", "create", "demo~other", "--issuer", "root", "--subject", "CN=Other", "--profile", "tls-server")
        )
        certificate = tmp_path / "other.pem"
        daemon.cspctl("ca", "chain", made["ca"], "--out", str(certificate))
        text = run(["openssl", "x509", "-in", certificate, "-noout", "-ext", "crlDistributionPoints"]).stdout
        assert "URI:http://status.example.com/crl/demo/root/crl.crl" in text


@pytest.mark.requirement("R-CEG-015")
def test_acme_is_not_served_in_the_clear(daemon: Daemon) -> None:
    assert status(daemon.acme_directory().replace(daemon.https_url, daemon.http_url)) == "404"


@pytest.mark.requirement("R-CEG-017")
def test_start_prints_every_enrollment_url(daemon: Daemon) -> None:
    assert daemon.acme_directory("tls-server") in daemon.output()
    assert daemon.acme_directory("privatessl-tls-server") in daemon.output()


@pytest.mark.requirement("R-CEGI-009")
def test_every_enrollment_protocol_has_a_command_that_tries_it(daemon: Daemon) -> None:
    urls = daemon.cspctl_json("status")["enrollment_urls"]
    protocols = {each["what"].partition(",")[0] for each in urls}
    assert protocols >= {"ACME", "CMP", "EST", "MDM web service", "SCEP", "WSTEP"}
    assert all(each["url"] and each["command"] for each in urls)


@pytest.mark.requirement("R-PLAT-003")
def test_bad_configuration_ends_the_start_with_all_problems(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, start=False)
    daemon.change({"server.mode": "production", "listeners.http.protocols": ["ocps"], "tenants.ids": [], "x.y": 1})
    done = daemon.run_to_end()
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    for expected in (
        "server.mode: has a value that is not allowed. Use 'demo' or 'prod'.",
        'listeners.http.protocols[0]: there is no protocol "ocps". Did you mean "ocsp".',
        "tenants.ids: has too few items. Give at least 1.",
        "x: is not a known key.",
    ):
        assert expected in done.stdout
    assert not accepts_connections(daemon.http_port)
    checked = daemon.cspctl("config", "check", expect=1)
    assert set(checked.stdout.splitlines()) <= set(done.stdout.splitlines())


@pytest.mark.requirement("R-PLAT-002")
def test_occupied_port_ends_the_start_by_name(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, start=False)
    with socket.socket() as occupant:
        occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        occupant.bind(("127.0.0.1", daemon.https_port))
        occupant.listen()
        done = daemon.run_to_end()
    assert done.returncode == 1
    reason = f'listener "https" cannot listen on 127.0.0.1:{daemon.https_port}: Address already in use'
    assert done.stdout.splitlines()[-1] == reason
    assert "Traceback" not in done.stdout


@pytest.mark.requirement("R-PLAT-002")
def test_daemonized_start_tells_its_parent_and_leaves_no_pid_file(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, start=False)
    pid_file = tmp_path / "twistd.pid"
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", daemon.https_port))
        occupant.listen()
        done = run(
            [TWISTD, f"--pidfile={pid_file}", "cspd", "--config", daemon.config],
            environment={"PYTHONPATH": str(Path(__file__).parents[2])},
            expect=None,
        )
    assert done.returncode == 1
    assert "Address already in use" in done.stdout
    assert not pid_file.exists()


def test_wrong_master_key_ends_the_start_with_the_reason(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, start=False)
    daemon.cspctl("secret", "set", "software-master-key", given="0" * 64)
    done = daemon.run_to_end()
    assert done.returncode == 1
    assert "master_key does not open" in done.stdout.splitlines()[-1]
    assert "Traceback" not in done.stdout


@pytest.mark.requirement("R-PLAT-006")
@pytest.mark.requirement("R-TSA-010")
def test_stop_lets_a_running_request_end(daemon: Daemon, tmp_path: Path) -> None:
    slow = SlowRequest(daemon.http_port, "/ocsp/demo/issuing", ocsp_request(daemon, tmp_path))
    daemon.send(signal.SIGTERM)
    wait_until(lambda: not accepts_connections(daemon.http_port), what="the closed port")
    assert b"200 OK" in slow.finish()
    assert daemon.wait() == 0


@pytest.mark.requirement("R-PLAT-006")
@pytest.mark.requirement("R-TSA-010")
def test_stop_is_bounded_by_the_graceful_timeout(tmp_path: Path) -> None:
    with Daemon(tmp_path, changes={"listeners.http.limits": {"graceful_timeout": "500ms"}}) as daemon:
        slow = SlowRequest(daemon.http_port, "/ocsp/demo/issuing", ocsp_request(daemon, tmp_path))
        daemon.send(signal.SIGTERM)
        assert daemon.wait(10) == 0
        slow.close()
        assert "outlived the graceful timeout" in daemon.output()


@pytest.mark.requirement("R-PLAT-007")
@pytest.mark.requirement("R-PLAT-040")
def test_reload_takes_a_good_configuration_and_running_requests_go_on(daemon: Daemon, tmp_path: Path) -> None:
    slow = SlowRequest(daemon.http_port, "/ocsp/demo/issuing", ocsp_request(daemon, tmp_path))
    port = free_port()
    third = {"endpoint": f"tcp:{port}:interface=127.0.0.1", "protocols": ["repository"]}
    daemon.change({"listeners.third": third, "listeners.http.protocols": ["monitoring", "ocsp"]})
    daemon.cspctl("config", "check")
    assert not accepts_connections(port), "nothing changes before the reload"
    daemon.reload()
    assert status(f"http://localhost:{port}/crl/demo/issuing/crl.crl") == "200"
    assert status(f"{daemon.http_url}/crl/demo/issuing/crl.crl") == "404"
    assert b"200 OK" in slow.finish()
    daemon.change({"listeners.third": None})
    daemon.send(signal.SIGHUP)
    wait_until(lambda: not accepts_connections(port), what="the closed listener")


@pytest.mark.requirement("R-CA-008")
@pytest.mark.requirement("R-PLAT-007")
@pytest.mark.requirement("R-CEG-027")
@pytest.mark.requirement("R-PLAT-052")
def test_bad_configuration_leaves_the_old_one_active_and_says_why(daemon: Daemon) -> None:
    occupied = free_port()
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", occupied))
        occupant.listen()
        for changes, reason in (
            ({"server.mode": "production"}, "server.mode: has a value that is not allowed"),
            (
                {"server.mode": "demo", "store.url": "sqlite:///other.sqlite"},
                "store: has changed, which needs a restart",
            ),
            (
                {
                    "store.url": "sqlite:///store.sqlite",
                    "listeners.x": {"endpoint": f"tcp:{occupied}:interface=127.0.0.1", "protocols": ["ocsp"]},
                    "listeners.http.protocols": ["monitoring", "ocsp"],
                },
                f'listener "x" cannot listen on 127.0.0.1:{occupied}: Address already in use',
            ),
        ):
            daemon.change(changes)
            daemon.reload()
            assert reason in daemon.output()
            assert status(f"{daemon.http_url}/crl/demo/issuing/crl.crl") == "200"
            assert status(daemon.acme_directory(), root=daemon.root_pem) == "200"
    assert "the configuration was reloaded" not in daemon.output()


@pytest.mark.requirement("R-PLAT-008")
def test_second_daemon_on_the_same_state_is_refused(daemon: Daemon) -> None:
    daemon.change({"listeners.http.endpoint": f"tcp:{free_port()}:interface=127.0.0.1"})
    done = daemon.run_to_end()
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"another cspd, process {daemon.pid}, works on {daemon.folder / 'state'}"
    assert status(daemon.acme_directory(), root=daemon.root_pem) == "200"


@pytest.mark.requirement("R-PLAT-008")
def test_daemon_starts_again_after_it_was_killed(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()
    assert status(daemon.acme_directory(), root=daemon.root_pem) == "200"


def test_sigusr1_opens_the_log_anew(tmp_path: Path) -> None:
    with Daemon(tmp_path, changes={"log.file": "cspd.log"}, start=False) as daemon:
        log, rotated = daemon.folder / "cspd.log", daemon.folder / "cspd.log.1"
        process = daemon.spawn()
        try:
            wait_until(lambda: log.exists() and "cspd is ready" in log.read_text(), what="the daemon")
            log.rename(rotated)
            process.send(signal.SIGUSR1)
            wait_until(log.exists, what="the new log")
        finally:
            process.stop()
        assert "Server Shut Down" in log.read_text()


def test_everything_lives_in_postgresql(tmp_path: Path, postgresql: str) -> None:
    with Daemon(tmp_path, store_url=postgresql) as daemon:
        assert not list(daemon.folder.rglob("*.sqlite"))
        chain = (daemon.folder / "pki" / "tls.pem").read_text()
        party = RelyingParty(tmp_path / "party", chain, daemon.root_pem)
        assert party.ocsp() == "good"
        assert "Certificate Revocation List" in party.crl(tmp_path)


@pytest.mark.requirement("R-PLAT-053")
def test_start_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, changes={"server.start_timeout": "1ms"}, start=False)
    done = daemon.run_to_end()
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "store, keys and protocols did not come up within 0.001 seconds"


def test_cas_live_in_a_token(tmp_path: Path) -> None:
    with Daemon(tmp_path, token=SoftHSM(tmp_path / "hsm")) as daemon:
        chain = (daemon.folder / "pki" / "tls.pem").read_text()
        party = RelyingParty(tmp_path / "party", chain, daemon.root_pem)
        assert party.ocsp() == "good"
        assert "Certificate Revocation List" in party.crl(tmp_path)


@pytest.mark.requirement("R-PLAT-005")
@needs_other_users
def test_daemon_drops_roots_rights(tmp_path: Path) -> None:
    """Started by root with uid and gid in conf: serves, and is root no more."""
    daemon = Daemon(tmp_path, changes={"server.uid": "nobody", "server.gid": "nogroup"}, start=False)
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o011)
    run(["chown", "-R", "nobody:nogroup", daemon.folder])
    with daemon:
        daemon.start()
        process = Path(f"/proc/{daemon.pid}/status").read_text()
        ids = [line.split()[1:] for line in process.splitlines() if line.startswith(("Uid:", "Gid:"))]
        assert all(number != "0" for line in ids for number in line)
        assert status(daemon.acme_directory(), root=daemon.root_pem) == "200"


def test_init_refuses_a_folder_with_content_and_leaves_nothing_after_a_failure(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, start=False)
    done = daemon.cspctl("init", "--demo", str(daemon.folder), expect=1, config=False)
    assert "is there already and not empty" in done.stdout
    fresh = tmp_path / "fresh"
    daemon.cspctl("init", "--demo", str(fresh), "--store", "mysql://nowhere/x", expect=1, config=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cspd"]


def test_concurrent_connections_are_served_while_reloading(daemon: Daemon, tmp_path: Path) -> None:
    """Requests one after the other during ten reloads: each is answered."""
    answers: list[bytes] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=10) as client:
                client.sendall(
                    b"GET /crl/demo/issuing/crl.crl HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
                answers.append(client.recv(15))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(10):
            daemon.reload()
    finally:
        stop.set()
        asking.join()
    assert len(answers) > 10
    assert set(answers) == {b"HTTP/1.1 200 OK"}
