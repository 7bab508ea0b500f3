"""Behind a balancer that ends HTTP and TLS, nginx: each request comes over a connection of the balancer's own.

EST, CMP, SCEP and the MDM web service do not look at the TLS session of the client (R-CEGI-013).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.daemon import Daemon
from tests.support.processes import Process, accepts_connections, free_port, program, run, wait_until
from tests.unit.http.certificates import SERVER_AUTH, make

pytestmark = [pytest.mark.interop, pytest.mark.requirement("R-CEGI-013")]

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    proxy_set_header Host $http_host;
    server {{ listen 127.0.0.1:{http_port}; location / {{ proxy_pass {http_url}; }} }}
    server {{
        listen 127.0.0.1:{https_port} ssl;
        ssl_certificate {folder}/balancer.pem; ssl_certificate_key {folder}/balancer.key;
        location / {{ proxy_pass {https_url}; }}
    }}
}}
"""


class Balancer:
    """nginx before a daemon, and a folder for the files of clients."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        facts = tomllib.loads((daemon.folder / "demo.toml").read_text())
        self.facts, self.secrets = facts, facts["secrets"]
        http_port, https_port = free_port(), free_port()
        self.http_url, self.https_url = f"http://127.0.0.1:{http_port}", f"https://localhost:{https_port}"
        root = make(name="Balancers", is_ca=True)
        own = make(name="localhost", issuer=root, names=["localhost"], usage=SERVER_AUTH)
        self.root_pem = folder / "balancers.pem"
        self.root_pem.write_bytes(root.pem)
        (folder / "balancer.pem").write_bytes(own.pem)
        (folder / "balancer.key").write_bytes(own.key_pem())
        configuration = CONFIGURATION.format(
            folder=folder,
            http_port=http_port,
            https_port=https_port,
            http_url=f"http://127.0.0.1:{daemon.http_port}",
            https_url=f"https://127.0.0.1:{daemon.https_port}",
        )
        (folder / "nginx.conf").write_text(configuration)
        nginx = [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self.process = Process(nginx, log=folder / "nginx.log")
        self.https_port = https_port

    def curl(self, *arguments: str | Path) -> str:
        """What curl prints; it fails for a status of 400 and above."""
        quiet = ["--silent", "--show-error", "--fail-with-body", "--cacert", self.root_pem]
        return run([program("curl"), *quiet, *arguments]).stdout

    def request(self, name: str) -> tuple[Path, Path]:
        """A key of RSA, and a request for it, PEM."""
        key, csr = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        new_key = ["-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key]
        run([program("openssl"), "req", *new_key, "-subj", f"/CN={name}", "-out", csr])
        return key, csr


@pytest.fixture(scope="module")
def balancer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balancer]:
    folder = tmp_path_factory.mktemp("balancer")
    with Daemon(folder) as daemon:
        made = Balancer(daemon, folder)
        try:
            wait_until(lambda: accepts_connections(made.https_port), what="nginx accepts connections")
            yield made
        finally:
            made.process.stop()


def common_name(certificate_pem: str) -> str:
    [name] = x509.load_pem_x509_certificate(certificate_pem.encode()).subject
    return str(name.value)


def test_est(balancer: Balancer) -> None:
    _, csr = balancer.request("est")
    user = f"{balancer.facts['est_user']}:{balancer.secrets['est_password']}"
    headers = ["-H", "Content-Type: application/pkcs10", "-H", "Accept: application/pem-certificate-chain"]
    url = f"{balancer.https_url}/.well-known/est/demo/simpleenroll"
    assert common_name(balancer.curl("-u", user, *headers, "--data-binary", f"@{csr}", url)) == "est"


def test_cmp(balancer: Balancer) -> None:
    key, _ = balancer.request("cmp")
    out = balancer.folder / "cmp.pem"
    url = f"{balancer.http_url}/.well-known/cmp/p/demo"
    secret = ["-ref", "demo", "-secret", f"file:{balancer.daemon.folder / 'cmp-secret'}"]
    asks = ["-cmd", "ir", "-newkey", key, "-subject", "/CN=cmp", "-certout", out]
    # Two exchanges: ir and ip, certConf and pkiConf.
    run([program("openssl"), "cmp", "-server", url, *secret, *asks, "-keep_alive", "0", "-total_timeout", "60"])
    assert common_name(out.read_text()) == "cmp"


def test_scep(balancer: Balancer) -> None:
    key, _ = balancer.request("scep")
    ca, ra = balancer.folder / "ca.pem", balancer.folder / "ra.pem"
    url = f"{balancer.http_url}/scep/demo/demo~issuing/scep-digital-signature-key-encipherment/"
    run([program("pki"), "--scepca", "--url", url, "--caout", ca, "--raout", ra, "--outform", "pem", "--force"])
    trusted = [option for path in sorted(balancer.folder.glob("ca*.pem")) for option in ("--cacert", path)]
    signed = ["--cacert-enc", ra, "--cacert-sig", ra, *trusted, "--outform", "pem"]
    asks = ["--in", key, "--dn", "CN=scep", "--password", balancer.secrets["scep_challenge"]]
    assert common_name(run([program("pki"), "--scep", "--url", url, *asks, *signed]).stdout) == "scep"


def test_mdm_web_service(balancer: Balancer) -> None:
    user = f"{balancer.facts['mdm_user']}:{balancer.secrets['mdm_password']}"
    sends = ["-H", "Content-Type: application/json", "--data-binary", "{}"]
    answer = balancer.curl("-u", user, *sends, f"{balancer.https_url}/mdm/services/demo/v11/ListDigitalIDs")
    assert [each["name"] for each in json.loads(answer)["digitalIds"]] == ["demo-device"]
