"""curl and strongSwan's pki against the real daemon: enroll, renew, keys made there, approval; openssl verifies."""

from __future__ import annotations

import email
import ssl
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.openssl import RelyingParty
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

PKCS10 = "Content-Type: application/pkcs10"
PEM = "Accept: application/pem-certificate-chain"


class Site:
    """A server, and a folder for a client's files."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        secrets = tomllib.loads((daemon.folder / "demo.toml").read_text())
        self.user = f"{secrets['est_user']}:{secrets['secrets']['est_password']}"
        self.url = f"{daemon.https_url}/.well-known/est/demo"

    def request(self, name: str) -> tuple[Path, Path]:
        """A key and a request for it, PEM."""
        key, csr = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}.example.test"]
        new_key = ["-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key]
        run([program("openssl"), "req", *new_key, *subject, "-out", csr])
        return key, csr

    def curl(
        self, operation: str, *options: str | Path, version: str = "1.3", url: str | None = None
    ) -> tuple[int, str]:
        """Status and body."""
        quiet = ["--silent", "--show-error", "--cacert", self.daemon.root_pem, "--write-out", "\n%{http_code}"]
        versions = [f"--tlsv{version}", "--tls-max", version]
        done = run([program("curl"), *quiet, *versions, *options, f"{url or self.url}/{operation}"])
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), body

    def post(self, operation: str, csr: Path, *options: str | Path, version: str = "1.3") -> tuple[int, str]:
        """POST a request and ask for PEM."""
        return self.curl(operation, "-H", PKCS10, "-H", PEM, "--data-binary", f"@{csr}", *options, version=version)

    def party(self, chain_pem: str) -> RelyingParty:
        """Somebody who trusts the root."""
        return RelyingParty(self.folder / f"party-{len(list(self.folder.iterdir()))}", chain_pem, self.daemon.root_pem)


@contextmanager
def site_of(tmp_path: Path, **changes: object) -> Iterator[Site]:
    folder = tmp_path / "client"
    folder.mkdir()
    with Daemon(tmp_path, changes={f"protocols.est.{name}": value for name, value in changes.items()}) as daemon:
        yield Site(daemon, folder)


@pytest.mark.requirement("R-CEG-149")
def test_curl_does_every_operation_with_tls_1_2_and_1_3(tmp_path: Path) -> None:
    """Enrolled by password, renewed by certificate: good until the renewal revokes it, by OCSP."""
    with site_of(tmp_path, revoke_replaced=True) as site:
        bases = ("", "/demo", "/demo/demo~issuing/tls-client", "/demo_demo~issuing_tls-client")
        for base in bases:
            url = f"{site.daemon.https_url}/.well-known/est{base}"
            status, ca_certificates = site.curl("cacerts", "-H", PEM, url=url)
            assert (status, ca_certificates.count("BEGIN CERTIFICATE")) == (200, 2)
        status, _ = site.curl("csrattrs")
        assert status == 200
        for version in ("1.2", "1.3"):
            key, csr = site.request(f"device-{version.replace('.', '-')}")
            assert site.post("simpleenroll", csr, version=version)[0] == 401
            assert site.post("simpleenroll", csr, "--user", "demo:wrong", version=version)[0] == 401
            status, chain = site.post("simpleenroll", csr, "--user", site.user, "-H", "Transfer-Encoding: chunked")
            assert status == 200, chain
            first = site.party(chain)
            first.verify("-purpose", "sslclient")
            assert first.ocsp() == "good"
            own = ("--cert", first.leaf, "--key", key)
            status, chain = site.post("simplereenroll", csr, *own, version=version)
            assert status == 200, chain
            second = site.party(chain)
            second.verify("-purpose", "sslclient")
            assert second.serial != first.serial
            assert second.ocsp() == "good"
            assert first.ocsp().startswith("revoked")
            assert site.post("simplereenroll", csr, *own, version=version)[0] == 403
            status, _ = site.curl(
                "revoke", "--cert", second.leaf, "--key", key, "-d", "reason=superseded", version=version
            )
            assert status == 200
            assert second.ocsp().startswith("revoked")


def test_curl_gets_a_key_that_was_made_there(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        _, csr = site.request("sensor")
        body = site.folder / "answer"
        status, _ = site.curl(
            "serverkeygen",
            "-H",
            PKCS10,
            "--data-binary",
            f"@{csr}",
            "--user",
            site.user,
            "-D",
            site.folder / "head",
            "-o",
            body,
        )
        assert status == 200
        head = (site.folder / "head").read_text().split("\n", 1)[1]
        message = email.message_from_string(head + body.read_text())
        key, cms = (part.get_payload(decode=True) for part in message.get_payload())  # type: ignore[union-attr]
        (site.folder / "key.der").write_bytes(key)  # type: ignore[arg-type]
        (site.folder / "cms.der").write_bytes(cms)  # type: ignore[arg-type]
        openssl = program("openssl")
        of_key = run([openssl, "pkey", "-inform", "DER", "-in", site.folder / "key.der", "-pubout"]).stdout
        run(
            [
                openssl,
                "pkcs7",
                "-inform",
                "DER",
                "-in",
                site.folder / "cms.der",
                "-print_certs",
                "-out",
                site.folder / "c.pem",
            ]
        )
        of_certificate = run([openssl, "x509", "-in", site.folder / "c.pem", "-noout", "-pubkey"]).stdout
        assert of_key == of_certificate


def test_a_request_waits_until_cspctl_approves_it(tmp_path: Path) -> None:
    with site_of(tmp_path, approval=True) as site:
        _, csr = site.request("waiting")
        assert site.post("simpleenroll", csr, "--user", site.user)[0] == 202
        [request] = site.daemon.cspctl_json("request", "list")
        site.daemon.cspctl("request", "approve", request["id"])
        status, chain = site.post("simpleenroll", csr, "--user", site.user)
        assert status == 200
        site.party(chain).verify()


def test_strongswan_enrolls_and_renews(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        pki, openssl, folder = program("pki"), program("openssl"), site.folder
        anchors = ["--cacert", str(site.daemon.root_pem), "--cacert", str(site.daemon.issuing_pem)]
        url = ["--url", site.daemon.https_url]
        run([pki, "--estca", *url, *anchors, "--caout", folder / "ca.pem", "--outform", "pem"])
        run([openssl, "verify", "-CAfile", folder / "ca.pem", folder / "ca-1.pem"])
        key, csr = site.request("swan")
        enroll = [pki, "--est", *url, *anchors, "--in", str(csr), "--outform", "pem"]
        first = _pem(run([*enroll, "--userpass", site.user]).stdout)
        issuing = site.daemon.issuing_pem.read_text()
        site.party(first + issuing).verify()
        (folder / "first.pem").write_text(first)
        second = _pem(run([*enroll, "--cert", str(folder / "first.pem"), "--key", str(key)]).stdout)
        party = site.party(second + issuing)
        party.verify()
        assert second != first
        assert party.ocsp() == "good"
        run([*enroll, "--userpass", "demo:wrong"], expect=1)


def test_bad_requests_over_https(tmp_path: Path) -> None:
    """Statuses that the server itself gives, beside those of the endpoint."""
    with site_of(tmp_path) as site:
        context = ssl.create_default_context(cafile=str(site.daemon.root_pem))
        rows = (
            ("GET", "simpleenroll", None, 405),
            ("PUT", "simplereenroll", b"x", 405),
            ("POST", "cacerts", b"x", 405),
            ("POST", "fullcmc", b"x", 415),
            ("POST", "simpleenroll", b"x" * 100_000, 413),
            ("POST", "simpleenroll", b"x", 415),
        )
        for method, operation, body, status in rows:
            connection = HTTPSConnection("localhost", site.daemon.https_port, context=context, timeout=30)
            connection.request(method, f"/.well-known/est/demo/{operation}", body=body)
            assert connection.getresponse().status == status, (method, operation)
            connection.close()
        # Nothing of EST is served without TLS.
        assert site.curl("cacerts", url=f"{site.daemon.http_url}/.well-known/est")[0] == 404


def _pem(output: str) -> str:
    """The certificate in an output that has messages around it."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return output[output.index(begin) : output.index(end)] + end + "\n"
