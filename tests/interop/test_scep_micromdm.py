"""``scepclient`` of micromdm against the real daemon: a client that writes SHA-1 and DES, and so needs switches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from protocols.scep.ca_certificates import decode_ca_certificates
from tests.support.daemon import Daemon
from tests.support.openssl import RelyingParty
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

PROFILE = "scep-digital-signature-key-encipherment"


class Site:
    """A server, and a client's folder."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        self.password = (daemon.folder / "scep-challenge").read_text().strip()
        self.url = f"{daemon.http_url}/scep/demo/demo~issuing/{PROFILE}/"
        folder.mkdir()

    def scepclient(self, password: str, *options: str, expect: int | None = 0) -> str:
        """Its output. Without a fingerprint it encrypts for all certificates of GetCACert; CAs have no RSA here."""
        with urlopen(f"{self.url}?operation=GetCACert") as answer:
            first, *_ = decode_ca_certificates(answer.headers["Content-Type"], answer.read())
        command = [program("scepclient"), "-server-url", self.url, "-challenge", password]
        files = ["-private-key", "device.key", "-certificate", "device.pem", "-cn", "device"]
        who = ["-ca-fingerprint", sha256(first).hexdigest()]
        return run([*command, *files, *who, *options], cwd=self.folder, expect=expect).stdout


@contextmanager
def site_of(tmp_path: Path, **section: Any) -> Iterator[Site]:
    with Daemon(tmp_path, changes={f"protocols.scep.{name}": value for name, value in section.items()}) as daemon:
        yield Site(daemon, tmp_path / "client")


def test_scepclient_enrolls_where_sha1_and_des_are_allowed(tmp_path: Path) -> None:
    with site_of(tmp_path, allow_sha1=True, allow_des=True) as site:
        site.scepclient(site.password)
        certificate_pem = (site.folder / "device.pem").read_text()
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        key = load_pem_private_key((site.folder / "device.key").read_bytes(), None)
        assert certificate.public_key() == key.public_key()
        assert "CN=device" in certificate.subject.rfc4514_string()
        RelyingParty(
            tmp_path / "party", certificate_pem + site.daemon.issuing_pem.read_text(), site.daemon.root_pem
        ).verify()


@pytest.mark.requirement("R-CEG-062")
def test_scepclient_is_told_what_is_wrong(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        assert re.search(r"failInfo: badAlg \(0\)", site.scepclient(site.password, expect=1))
        site.daemon.change({"protocols.scep.allow_sha1": True, "protocols.scep.allow_des": True})
        site.daemon.reload()
        (site.folder / "csr.pem").unlink()  # it would be sent again, with the challenge in it
        assert re.search(r"failInfo: badMessageCheck \(1\)", site.scepclient("guessed", expect=1))
        assert not (site.folder / "device.pem").exists()
