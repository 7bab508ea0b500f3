"""strongSwan's pki against the real daemon: CA certificates, enrollment, renewal, approval; openssl verifies."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.daemon import Daemon
from tests.support.processes import Process, program, run, wait_until

pytestmark = pytest.mark.interop

CA = "demo~issuing"
PROFILE = "scep-digital-signature-key-encipherment"
APPROVED = "scep-digital-signature"


class Site:
    """A server, and a folder for a client's files."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        secrets = tomllib.loads((daemon.folder / "demo.toml").read_text())
        self.challenge = secrets["secrets"]["scep_challenge"]
        self.url = f"{daemon.http_url}/scep/demo/{CA}/{PROFILE}/"
        pki = ["--caout", folder / "ca.pem", "--raout", folder / "ra.pem", "--outform", "pem", "--force"]
        run([program("pki"), "--scepca", "--url", self.url, *pki])

    def key(self, name: str, bits: int = 2048) -> Path:
        """A key of RSA, PEM."""
        path = self.folder / f"{name}.key"
        run([program("openssl"), "genrsa", "-out", path, str(bits)])
        return path

    def command(self, key: Path, name: str, *options: str | Path, url: str = "", challenge: str = "") -> list[Any]:
        """What asks for a certificate and prints it, PEM."""
        cas = [option for path in sorted(self.folder.glob("ca*.pem")) for option in ("--cacert", path)]
        asks = ["--url", url or self.url, "--in", key, "--dn", f"CN={name}", "--outform", "pem"]
        by = ["--password", challenge or self.challenge, "--cacert-enc", self.folder / "ra.pem"]
        return [program("pki"), "--scep", *asks, *by, "--cacert-sig", self.folder / "ra.pem", *cas, *options]

    def enroll(self, key: Path, name: str, *options: str | Path, expect: int = 0) -> Path:
        """A certificate, PEM."""
        path = self.folder / f"{name}-{len(list(self.folder.iterdir()))}.pem"
        path.write_text(run(self.command(key, name, *options), expect=expect).stdout)
        return path

    def verify(self, certificate: Path) -> x509.Certificate:
        """The certificate, once openssl has verified it with what ``--scepca`` has fetched."""
        issuing = self.folder / "ca-1.pem"
        run([program("openssl"), "verify", "-CAfile", self.daemon.root_pem, "-untrusted", issuing, certificate])
        return x509.load_pem_x509_certificate(certificate.read_bytes())

    def state(self, certificate: x509.Certificate) -> str:
        """Whether it is good."""
        return str(self.daemon.cspctl_json("cert", "show", CA, f"{certificate.serial_number:x}")["state"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Daemon(tmp_path_factory.mktemp("scep")) as daemon:
        yield Site(daemon, tmp_path_factory.mktemp("client"))


@pytest.mark.requirement("R-CEG-057", "R-CEGI-090")
def test_the_ca_and_its_registration_authority_are_fetched(site: Site) -> None:
    root, issuing, ra = (
        x509.load_pem_x509_certificate((site.folder / name).read_bytes()) for name in ("ca.pem", "ca-1.pem", "ra.pem")
    )
    assert root == x509.load_pem_x509_certificate(site.daemon.root_pem.read_bytes())
    ra.verify_directly_issued_by(issuing)
    usage = ra.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)


@pytest.mark.requirement("R-CEG-006", "R-CEG-061")
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_device_enrolls_over_clear_http(site: Site, digest: str) -> None:
    key = site.key(digest)
    certificate = site.verify(site.enroll(key, digest, "--digest", digest))
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == digest


def test_a_wrong_challenge_is_refused_with_a_reason(site: Site) -> None:
    done = run(site.command(site.key("stranger"), "stranger", challenge="wrong"), expect=1)
    assert "badMessageCheck" in done.stdout
    assert "the challengePassword is wrong" in site.daemon.output()


@pytest.mark.requirement("R-CEG-070", "R-CEGI-097")
def test_a_device_renews_with_its_certificate(site: Site) -> None:
    old_key, new_key = site.key("old"), site.key("new")
    old = site.enroll(old_key, "renewing")
    new = site.verify(site.enroll(new_key, "renewing", "--cert", old, "--key", old_key))
    before = site.verify(old)
    assert new.subject == before.subject
    assert new.public_key() != before.public_key()
    assert site.state(before) == "good"


def test_the_command_that_is_announced_works_as_it_stands(site: Site, tmp_path: Path) -> None:
    lines = site.daemon.output().splitlines()
    [announced] = [index for index, line in enumerate(lines) if f"SCEP, {CA}, {PROFILE}, strongSwan" in line]
    run(["/bin/bash", "-c", lines[announced + 1].strip()], cwd=tmp_path)
    device = x509.load_pem_x509_certificate((tmp_path / "device.pem").read_bytes())
    assert device.subject.rfc4514_string() == "CN=device"


@pytest.mark.requirement("R-CEG-067", "R-CEGI-094")
def test_a_device_waits_for_approval_and_what_it_renews_is_revoked(tmp_path: Path) -> None:
    service = {"ca": CA, "challenge": {"store": "scep-challenge"}}
    with Daemon(tmp_path, changes={"protocols.scep.services": [{**service, "revoke_replaced": True}]}) as daemon:
        client = tmp_path / "client"
        client.mkdir()
        site = Site(daemon, client)
        old_key, new_key = site.key("old"), site.key("new")
        old = site.enroll(old_key, "waiting")
        before = site.verify(old)
        daemon.change({"protocols.scep.services": [{**service, "revoke_replaced": True, "approval": True}]})
        daemon.reload()
        log = tmp_path / "pki.log"
        command = site.command(new_key, "waiting", "--cert", old, "--key", old_key, "--interval", "1")
        process = Process([os.fspath(each) for each in command], log=log)
        try:
            wait_until(lambda: bool(daemon.cspctl_json("request", "list")), what="the request waits")
            [row] = daemon.cspctl_json("request", "list")
            assert process.is_running
            assert site.state(before) == "good"
            daemon.cspctl("request", "approve", row["id"])
            assert process.wait(60) == 0
        finally:
            process.kill()
        issued = client / "issued.pem"
        text = log.read_text(errors="replace")
        issued.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
        after = site.verify(issued)
        assert after.subject == before.subject
        assert (site.state(before), site.state(after)) == ("revoked", "good")
