"""certmonger against the real daemon: enroll, renew with the same key, renew with another, wait for approval."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.support.certmonger import Certmonger
from tests.support.daemon import Daemon
from tests.support.openssl import RelyingParty
from tests.support.processes import wait_until

pytestmark = pytest.mark.interop

PATIENCE = 180
"""Seconds that certmonger may take, on a machine with much else to do."""
PROFILE = "scep-digital-signature-key-encipherment"


class Site:
    """A server, and a machine whose certificates certmonger takes care of."""

    def __init__(self, daemon: Daemon, client: Certmonger) -> None:
        self.daemon, self.client = daemon, client
        self.password = (daemon.folder / "scep-challenge").read_text().strip()

    def request(self, name: str, password: str | None = None) -> None:
        """Have a certificate asked for."""
        names = ["-N", f"CN={name}", "-D", f"{name}.example.test"]
        self.client.request(name, "cspd", *names, "-L", self.password if password is None else password)

    def certificate(self, name: str) -> x509.Certificate:
        """What certmonger has written."""
        return x509.load_pem_x509_certificate(self.client.certificate(name).read_bytes())

    def wait_for_another(self, name: str, before: x509.Certificate | None = None) -> x509.Certificate:
        """The certificate that takes the place of one, or of none."""

        def is_there() -> bool:
            if not self.client.certificate(name).exists() or self.client.status(name) != "MONITORING":
                return False
            try:
                return self.certificate(name) != before
            except ValueError:  # certmonger is writing it
                return False

        wait_until(is_there, what=f"the certificate of {name}", seconds=PATIENCE)
        return self.certificate(name)

    def party(self, certificate: x509.Certificate) -> RelyingParty:
        """Somebody who trusts the root."""
        chain_pem = certificate.public_bytes(Encoding.PEM).decode() + self.daemon.issuing_pem.read_text()
        return RelyingParty(
            self.daemon.folder / f"party-{certificate.serial_number:x}", chain_pem, self.daemon.root_pem
        )


@contextmanager
def site_of(tmp_path: Path, **service: Any) -> Iterator[Site]:
    services = [{"ca": "demo~issuing", "challenge": {"store": "scep-challenge"}, **service}]
    with (
        Daemon(tmp_path, changes={"protocols.scep.services": services}) as daemon,
        Certmonger(tmp_path / "certmonger") as client,
    ):
        client.add_scep_ca("cspd", f"{daemon.http_url}/scep/demo/demo~issuing/{PROFILE}/")
        yield Site(daemon, client)


@pytest.mark.requirement("R-CEG-068")
def test_certmonger_enrolls_and_renews_with_the_same_key_and_with_another(tmp_path: Path) -> None:
    """All of them stay valid, for nothing else is set; openssl says so."""
    with site_of(tmp_path) as site:
        site.request("device")
        first = site.wait_for_another("device")
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert first.subject.rfc4514_string() == "CN=device"
        assert names.get_values_for_type(x509.DNSName) == ["device.example.test"]
        site.client.do("resubmit", "device")
        second = site.wait_for_another("device", first)
        assert second.public_key() == first.public_key()
        site.client.do("rekey", "device")
        third = site.wait_for_another("device", second)
        assert third.public_key() != second.public_key()
        key = load_pem_private_key(site.client.key("device").read_bytes(), None)
        assert key.public_key() == third.public_key()
        for certificate in (first, second, third):
            party = site.party(certificate)
            party.verify()
            assert party.ocsp() == "good"


@pytest.mark.requirement("R-CEG-067")
@pytest.mark.requirement("R-CEG-070")
@pytest.mark.requirement("R-CEGI-094")
@pytest.mark.requirement("R-CEGI-097")
def test_a_renewal_of_certmonger_replaces_its_certificate(tmp_path: Path) -> None:
    """It is signed with the old certificate, which is the proof: the challenge has changed meanwhile."""
    with site_of(tmp_path, revoke_replaced=True, renewal_without_challenge=True) as site:
        site.request("device")
        first = site.wait_for_another("device")
        assert site.party(first).ocsp() == "good"
        site.daemon.cspctl("secret", "set", "scep-challenge", given="another one altogether\n")
        site.daemon.reload()
        site.client.do("rekey", "device")
        second = site.wait_for_another("device", first)
        assert site.party(second).ocsp() == "good"
        old = site.party(first)
        assert old.ocsp().startswith("revoked")
        assert "Superseded" in old.crl(tmp_path)


def test_a_wrong_challenge_of_certmonger_is_refused(tmp_path: Path) -> None:
    with site_of(tmp_path) as site:
        site.request("device", "guessed")
        wait_until(lambda: site.client.status("device") == "CA_REJECTED", what="the refusal", seconds=PATIENCE)
        assert not site.client.certificate("device").exists()
        assert "the challengePassword is wrong" in site.daemon.output()
        assert "guessed" not in site.daemon.output()


def test_certmonger_waits_for_an_approval(tmp_path: Path) -> None:
    with site_of(tmp_path, approval=True) as site:
        site.request("device")
        wait_until(
            lambda: site.client.status("device") == "CA_WORKING", what="the answer that it waits", seconds=PATIENCE
        )
        [waiting] = site.daemon.cspctl_json("request", "list")
        site.daemon.cspctl("request", "approve", waiting["id"])
        site.client.do("refresh", "device")
        site.party(site.wait_for_another("device")).verify()
