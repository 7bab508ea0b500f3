"""strongSwan, curl and openssl against the real daemon: who gets a certificate at a plain SCEP URL."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509

from cspd.clock import SystemClock
from tests.support.daemon import Daemon
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

PKI, CURL, OPENSSL = program("pki"), program("curl"), program("openssl")
PROFILE = "scep-digital-signature-key-encipherment"
STATIC = "correct horse battery"
KEY = "a key that two programs have"
PASSWORD = "pass code of the mdm"  # of the test
EVENT = json.dumps({"webhook": {"webhookEvent": "SCEPChallenge"}, "event": {"payloadIdentifier": "CDB0BC64"}})
SERVICE = {
    "ca": "demo~issuing",
    "challenge": {"env": "CHALLENGE"},
    "webhook": {"key": {"env": "WEBHOOK_KEY"}, "users": ["mdm"]},
    "mscep_admin": {"users": ["mdm"]},
}
CHANGES = {
    "authentication.mdm": {"kind": "static", "users": [{"name": "mdm", "password": {"env": "MDM_PASSWORD"}}]},
    "protocols.scep.services": [SERVICE],
}
ENVIRONMENT = {"CHALLENGE": STATIC, "WEBHOOK_KEY": KEY, "MDM_PASSWORD": PASSWORD}


def now() -> int:
    """Seconds since 1970."""
    return int(SystemClock().now().timestamp())


@dataclass
class Site:
    """A daemon, and the folder of its clients."""

    daemon: Daemon
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    def url(self, profile: str = PROFILE, base: str | None = None) -> str:
        """Of a plain place."""
        return f"{base or self.daemon.http_url}/scep/demo/demo~issuing/{profile}"

    def fetch_certificates(self) -> None:
        """What strongSwan wants to have before it enrolls."""
        ca, ra = self.folder / "ca.pem", self.folder / "ra.pem"
        options = ("--caout", ca, "--raout", ra, "--outform", "pem", "--force")
        run([PKI, "--scepca", "--url", f"{self.url()}/", *options])

    def enroll(self, challenge: str | None, name: str = "device") -> subprocess.CompletedProcess[bytes]:
        """What strongSwan makes of a challenge, with a new key."""
        key = self.folder / f"{next(self.numbers)}.key"
        run([OPENSSL, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
        ca, ra = self.folder / "ca.pem", self.folder / "ra.pem"
        trust = ["--cacert-enc", ra, "--cacert-sig", ra, "--cacert", ca]
        password = [] if challenge is None else ["--password", challenge]
        command = [PKI, "--scep", "--url", f"{self.url()}/", "--in", key, "--dn", f"CN={name}", *password, *trust]
        return subprocess.run([*command, "--outform", "pem"], capture_output=True, timeout=120, check=False)

    def is_enrolled(self, challenge: str | None, name: str = "device") -> bool:
        """Whether a device with that challenge gets its certificate; fails for anything but the two answers."""
        done = self.enroll(challenge, name)
        if done.returncode == 0:
            assert x509.load_pem_x509_certificate(done.stdout).subject.rfc4514_string() == f"CN={name}"
            return True
        assert re.search(rb"failInfo: +(badMessageCheck|badRequest)", done.stderr), done.stderr
        return False

    def are_enrolled(self, challenge: str, names: Sequence[str]) -> list[bool]:
        """The same of several devices at one moment."""
        with ThreadPoolExecutor(len(names)) as threads:
            return list(threads.map(lambda name: self.is_enrolled(challenge, name), names))

    def curl(self, url: str, *options: str | Path) -> tuple[int, str, Path]:
        """Status, media type and body of an answer."""
        body = self.folder / f"{next(self.numbers)}.body"
        done = run(
            [CURL, "-sS", "--cacert", self.daemon.root_pem, "-o", body, "-w", "%{http_code} %{content_type}"]
            + [str(option) for option in options]
            + [url]
        )
        status, _, media_type = done.stdout.partition(" ")
        return int(status), media_type, body

    def signature(self, timestamp: int) -> list[str]:
        """The headers of a signed event, computed by openssl."""
        command = [OPENSSL, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"key:{KEY}", "-r"]
        digest = run(command, given=f"{timestamp}.{EVENT}").stdout.split()[0]
        return ["-H", f"X-Cspd-Timestamp: {timestamp}", "-H", f"X-Cspd-Signature: sha256={digest}"]

    def post(self, *options: str, base: str | None = None) -> tuple[int, str]:
        """Ask the webhook: status and body."""
        url = f"{self.url(base=base or self.daemon.https_url)}/challenge"
        status, _, body = self.curl(url, "-H", "Content-Type: application/json", "-d", EVENT, *options)
        return status, body.read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One daemon that hands out challenges in every way."""
    folder = tmp_path_factory.mktemp("scep")
    (folder / "client").mkdir()
    with Daemon(folder, changes=CHANGES, environment=ENVIRONMENT) as daemon:
        site = Site(daemon, folder / "client")
        site.fetch_certificates()
        yield site


@pytest.mark.requirement("R-CEG-062")
@pytest.mark.requirement("R-CEGI-092")
def test_the_static_challenge_is_needed(site: Site) -> None:
    assert site.is_enrolled(STATIC)
    assert not site.is_enrolled("wrong")
    assert not site.is_enrolled(None)


def test_a_challenge_of_cspctl_enrolls_one_device(site: Site) -> None:
    options = ("--ca", "demo~issuing", "--profile", PROFILE, "--lifetime", "1h")
    made = site.daemon.cspctl_json("scep", "challenge", "create", "router 7", *options)
    assert re.fullmatch("[A-Z2-7]{40}", made["challenge"])
    assert "secret" not in made
    assert site.is_enrolled(made["challenge"], "router-7")
    assert not site.is_enrolled(made["challenge"], "router-8")
    [row] = [r for r in site.daemon.cspctl_json("scep", "challenge", "list") if r["reference"] == made["reference"]]
    assert row["state"] == "used"
    revoked = site.daemon.cspctl_json("scep", "challenge", "create", "router 9")
    site.daemon.cspctl("scep", "challenge", "revoke", revoked["reference"])
    assert not site.is_enrolled(revoked["challenge"])


def test_devices_with_one_challenge_at_one_moment_get_one_certificate(site: Site) -> None:
    made = site.daemon.cspctl_json("scep", "challenge", "create", "router 7")
    assert sum(site.are_enrolled(made["challenge"], ["router-7", "router-8", "router-9", "router-10"])) == 1


def test_a_challenge_may_be_for_certain_names(site: Site) -> None:
    made = site.daemon.cspctl_json("scep", "challenge", "create", "router 7", "--name", "router-7")
    assert not site.is_enrolled(made["challenge"], "router-8")
    assert site.is_enrolled(made["challenge"], "router-7")


def test_a_challenge_that_was_made_elsewhere_enrolls_one_device(site: Site) -> None:
    options = ("--reference", "kid-4711")
    made = site.daemon.cspctl("--json", "scep", "challenge", "create", "printer", *options, given="pass code 1\n")
    assert "pass code" not in made.stdout
    assert site.is_enrolled("kid-4711:pass code 1")
    assert not site.is_enrolled("kid-4711:pass code 1")


def test_a_signed_delivery_gets_one_challenge(site: Site) -> None:
    headers = site.signature(now())
    status, challenge = site.post(*headers)
    assert status == 200, challenge
    assert site.post(*headers) == (200, challenge)
    assert site.is_enrolled(challenge, "phone")
    assert not site.is_enrolled(challenge, "phone")
    assert site.post(*headers)[0] == 409


def test_a_delivery_by_http_basic_gets_one_challenge(site: Site) -> None:
    status, challenge = site.post("-u", f"mdm:{PASSWORD}")
    assert status == 200, challenge
    assert site.is_enrolled(challenge, "phone")
    assert site.post("-u", "mdm:wrong")[0] == 401


def test_a_delivery_that_is_old_or_signed_by_nobody_is_refused(site: Site) -> None:
    assert site.post(*site.signature(now() - 3600))[0] == 403
    assert site.post("-H", "X-Cspd-Signature: sha256=" + "0" * 64)[0] == 403
    assert site.post()[0] == 401


def test_no_challenge_leaves_the_server_without_tls(site: Site) -> None:
    plain = site.daemon.http_url
    assert site.post("-u", f"mdm:{PASSWORD}", base=plain)[0] == 403
    assert site.curl(f"{site.url(base=plain)}/mscep_admin/", "-u", f"mdm:{PASSWORD}")[0] == 403


def test_the_page_of_ndes_has_a_challenge(site: Site) -> None:
    url = f"{site.url(base=site.daemon.https_url)}/mscep_admin/"
    status, media_type, body = site.curl(url, "-u", f"mdm:{PASSWORD}")
    assert (status, media_type) == (200, "text/html; charset=utf-16")
    page = run([program("iconv"), "-f", "UTF-16", "-t", "UTF-8", body]).stdout
    found = re.search(r"The enrollment challenge password is: <B> ([0-9A-F]{16}) </B>", page)
    assert found is not None, page
    assert site.is_enrolled(found[1], "wifi")
    assert not site.is_enrolled(found[1], "wifi")
    assert site.curl(url)[0] == 401


def test_no_challenge_reaches_the_log_or_the_audit_trail(site: Site) -> None:
    made = site.daemon.cspctl_json("scep", "challenge", "create", "router 7")["challenge"]
    assert site.is_enrolled(made)
    assert not site.is_enrolled("a guess that is wrong")
    told = site.daemon.output() + site.daemon.cspctl("--json", "audit", "tail", "-n", "1000").stdout
    for secret in (STATIC, KEY, PASSWORD, made, made[16:], "a guess that is wrong"):
        assert secret not in told
    assert "scep-challenge-refused" in told


@pytest.mark.requirement("R-CEG-063")
@pytest.mark.requirement("R-CEGI-093")
def test_an_insecure_service_needs_none_and_is_warned_of(tmp_path: Path) -> None:
    changes = {"protocols.scep.services": [{"ca": "demo~issuing", "insecure": True}]}
    (tmp_path / "client").mkdir()
    with Daemon(tmp_path, changes=changes) as daemon:
        site = Site(daemon, tmp_path / "client")
        site.fetch_certificates()
        assert site.is_enrolled(None)
        told = daemon.output()
        assert "anybody gets a certificate" in told
        assert "got its certificate without challenge" in told
        assert "anybody gets a certificate" in daemon.cspctl("config", "check").stdout
