"""``cspctl cmp`` and what docs/cmp.md tells openssl to do, against the real daemon."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from protocols.cmp.registration_authorities import CMC_RA
from tests.support.daemon import Daemon
from tests.support.processes import program, run, wait_until
from tests.unit.http.certificates import make

pytestmark = pytest.mark.interop

RECIPIENT = "/O=cspd demo/CN=cspd demo issuing"
LABELS = [
    {"id": "demo", "ca": "demo~issuing", "profile": "tls-client"},
    {"id": "stations", "ca": "demo~issuing", "profile": "tls-client", "mac": False, "vendor_trust": "vendors"},
    {"id": "strict", "ca": "demo~issuing", "profile": "tls-client", "rules": "strict"},
    {"id": "approved", "ca": "demo~issuing", "profile": "tls-client", "approval": True, "check_after": "1s"},
]
CHANGES = {
    "protocols.cmp.labels": LABELS,
    "protocols.cmp.trust": [{"name": "vendors", "anchors": "vendors.pem"}],
    "protocols.cmp.registration_authorities": [{"trust": "vendors", "cas": ["demo~issuing"]}],
    "protocols.cmp.rules": [{"id": "strict", "mac_algorithms": ["HMAC-SHA256"]}],
}


class Site:
    """A server, and a folder for a client's files."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        folder.mkdir()
        self.vendor = make("Vendor Root", is_ca=True)
        (daemon.folder / "vendors.pem").write_bytes(self.vendor.pem)

    def key(self, name: str) -> str:
        """The file of a new key, in the client's folder."""
        options = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.folder / f"{name}.key"]
        run([program("openssl"), "genpkey", *options])
        return f"{name}.key"

    def given(self, name: str, usage: Any = None) -> tuple[str, ...]:
        """A certificate that the vendor made, as openssl signs with it."""
        party = make(name, self.vendor, usage=usage)
        (self.folder / f"{name}.pem").write_bytes(party.pem)
        (self.folder / f"{name}.key").write_bytes(party.key_pem())
        return ("-cert", f"{name}.pem", "-key", f"{name}.key", "-recipient", RECIPIENT)

    def cmp(self, command: str, label: str, *options: str, expect: int = 0) -> str:
        """What ``openssl cmp`` says."""
        url = f"{self.daemon.http_url}/.well-known/cmp/p/{label}"
        trust = ["-trusted", str(self.daemon.root_pem)]
        return run(
            [program("openssl"), "cmp", "-cmd", command, "-server", url, *trust, *options],
            cwd=self.folder,
            expect=expect,
        ).stdout

    def x509(self, file: str, *options: str) -> str:
        """What ``openssl x509`` says of a file."""
        return run([program("openssl"), "x509", "-in", self.folder / file, "-noout", *options]).stdout.strip()

    def secret(self, *options: str) -> tuple[str, ...]:
        """A new secret, as openssl takes it."""
        made = self.daemon.cspctl_json("cmp", "secret", "create", "device", *options)
        return ("-ref", made["reference"], "-secret", f"pass:{made['secret']}")


@contextmanager
def site_of(tmp_path: Path) -> Iterator[Site]:
    daemon = Daemon(tmp_path, changes=CHANGES, start=False)
    site = Site(daemon, tmp_path / "client")
    with daemon:
        daemon.start()
        yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("cmp")) as made:
        yield made


def test_the_command_of_the_demonstration_works_when_it_is_pasted(site: Site) -> None:
    [command] = re.findall(r"openssl genpkey .* openssl cmp .*/p/demo .*", site.daemon.output())
    assert shlex.split(command)[0] == "openssl"
    run(["sh", "-c", command], cwd=site.folder)
    assert site.x509("device.pem", "-subject") == "subject=CN = device"


def test_a_secret_of_cspctl_gives_one_certificate(site: Site) -> None:
    secret = site.secret("--ca", "demo~issuing", "--profile", "tls-client", "--lifetime", "1h")
    request = ("-subject", "/CN=once", "-newkey", site.key("once"), "-certout", "once.pem")
    site.cmp("ir", "demo", *secret, *request, "-cacertsout", "once-root.pem")
    assert site.x509("once.pem", "-subject") == "subject=CN = once"
    assert site.x509("once-root.pem", "-subject").endswith("CN = cspd demo root")
    assert "badMessageCheck" in site.cmp("ir", "demo", *secret, *request, expect=1)
    [row] = [row for row in site.daemon.cspctl_json("cmp", "secret", "list") if row["reference"] == secret[1]]
    assert row["state"] == "used"


@pytest.mark.requirement("R-CAGW-213")
def test_kid_and_passcode_that_were_made_elsewhere_are_good(site: Site) -> None:
    site.daemon.cspctl("cmp", "secret", "create", "rack", "--reusable", "--reference", "kid-1", given="passcode-1\n")
    request = ("-subject", "/CN=rack", "-newkey", site.key("rack"), "-certout", "rack.pem")
    assert "badMessageCheck" in site.cmp(
        "ir", "demo", "-ref", "kid-1", "-secret", "pass:passcode-2", *request, expect=1
    )
    site.cmp("ir", "demo", "-ref", "kid-1", "-secret", "pass:passcode-1", *request)
    site.daemon.cspctl("cmp", "secret", "revoke", "kid-1")
    assert "badMessageCheck" in site.cmp(
        "ir", "demo", "-ref", "kid-1", "-secret", "pass:passcode-1", *request, expect=1
    )


def test_a_base_station_gets_its_certificate_by_that_of_its_vendor(site: Site) -> None:
    """docs/cmp.md, base stations: ir, the root in caPubs, kur, and nothing else by the vendor's certificate."""
    station = site.given("SN4711")
    request = ("-subject", "/CN=SN4711", "-newkey", site.key("station"), "-certout", "station.pem")
    site.cmp("ir", "stations", *station, *request, "-cacertsout", "operator-root.pem")
    assert site.x509("operator-root.pem", "-fingerprint") == site.x509(str(site.daemon.root_pem), "-fingerprint")
    own = ("-cert", "station.pem", "-key", "station.key")
    site.cmp("kur", "stations", *own, "-newkey", site.key("new"), "-certout", "new.pem")
    assert "notAuthorized" in site.cmp("rr", "stations", *station, "-oldcert", "new.pem", "-revreason", "4", expect=1)
    assert "signerNotTrusted" in site.cmp("ir", "demo", *station, *request, expect=1)
    assert "wrongIntegrity" in site.cmp("ir", "stations", *site.secret(), *request, expect=1)
    site.cmp("rr", "stations", "-cert", "new.pem", "-key", "new.key", "-oldcert", "new.pem", "-revreason", "4")
    revoked = ("-cert", "new.pem", "-key", "new.key")
    again = site.cmp("kur", "stations", *revoked, "-newkey", "station.key", "-certout", "again.pem", expect=1)
    assert "signerNotTrusted" in again


def test_a_registration_authority_vouches_and_revokes(site: Site) -> None:
    authority = site.given("ra", CMC_RA)
    request = ("-subject", "/CN=vouched", "-newkey", site.key("vouched"), "-certout", "vouched.pem")
    site.cmp("ir", "demo", *authority, *request, "-popo", "0")
    assert site.x509("vouched.pem", "-subject") == "subject=CN = vouched"
    assert "revocation accepted" in site.cmp("rr", "demo", *authority, "-oldcert", "vouched.pem", "-revreason", "1")
    assert "badPOP" in site.cmp("ir", "demo", *site.secret(), *request, "-popo", "0", expect=1)


@pytest.mark.requirement("R-CAGW-211")
def test_a_strict_rule_refuses_what_openssl_sends_by_default(site: Site) -> None:
    request = ("-subject", "/CN=strict", "-newkey", site.key("strict"), "-certout", "strict.pem")
    secret = site.secret("--reusable")
    assert "badAlg" in site.cmp("ir", "strict", *secret, *request, expect=1)
    site.cmp("ir", "strict", *secret, *request, "-mac", "hmacWithSHA256")


def test_a_client_polls_until_an_administrator_approves(site: Site) -> None:
    secret = site.secret()
    key = site.key("waiting")
    url = f"{site.daemon.http_url}/.well-known/cmp/p/approved"
    command = [program("openssl"), "cmp", "-cmd", "ir", "-server", url, "-trusted", str(site.daemon.root_pem), *secret]
    request = ["-subject", "/CN=waiting", "-newkey", key, "-certout", "waiting.pem"]
    with subprocess.Popen([*command, *request], cwd=site.folder, stderr=subprocess.DEVNULL) as client:
        try:
            waiting: list[Any] = []

            def is_waiting() -> bool:
                waiting[:] = site.daemon.cspctl_json("request", "list")
                return bool(waiting)

            wait_until(is_waiting, what="the request", seconds=60)
            site.daemon.cspctl("request", "approve", waiting[0]["id"])
            assert client.wait(timeout=120) == 0
        finally:
            client.kill()
    assert site.x509("waiting.pem", "-subject") == "subject=CN = waiting"


def test_trust_is_shown_as_the_daemon_has_read_it(site: Site) -> None:
    [row] = site.daemon.cspctl_json("cmp", "trust", "list")
    assert (row["name"], row["anchors"], row["vendor_trust_of"]) == ("vendors", 1, ["stations"])
    [anchor] = site.daemon.cspctl_json("cmp", "trust", "show", "vendors")
    assert anchor["subject"] == "CN=Vendor Root"


def test_trust_anchors_that_are_none_are_told_with_their_line(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, changes=CHANGES, start=False)
    (daemon.folder / "vendors.pem").write_text("no certificate")
    done = daemon.cspctl("config", "check", expect=1)
    assert re.search(r"cspd\.toml:\d+: protocols\.cmp\.trust\[0\]\.anchors: .*no PEM file", done.stdout)
