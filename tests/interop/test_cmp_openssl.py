"""``openssl cmp`` against the real daemon: every operation, by secrets and by signatures, and what is refused."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.daemon import Daemon
from tests.support.openssl import RelyingParty
from tests.support.processes import program, run, wait_until
from tests.unit.http.certificates import Party, make

pytestmark = pytest.mark.interop

ISSUING = "demo~issuing"
PROFILE = "tls-client"
CMC_RA = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")


def label(name: str, **values: object) -> dict[str, object]:
    """A path to the demonstration's CA."""
    return {"id": name, "ca": ISSUING, "profile": PROFILE, **values}


LABELS = [
    label("devices"),
    label("strict", implicit_confirm=False, mac=True),
    label("approved", approval=True, check_after="1s"),
    label("replacing", revoke_replaced=True),
    label("stations", vendor_trust="vendors"),
    label("keys", key_generation=True),
]


@dataclass
class Site:
    """A daemon, and a folder with the files of openssl."""

    daemon: Daemon
    folder: Path
    vendor: Party
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def secret(self, *options: str) -> tuple[str, str]:
        """Reference and secret of a new one for any number of certificates."""
        made = self.daemon.cspctl_json("enrollment-secret", "create", "cmp", "device 7", "--reusable", *options)
        return made["reference"], made["secret"]

    def key(self, name: str) -> Path:
        """A new key on P-256."""
        file = self.folder / f"{name}.key"
        curve = ["-pkeyopt", "ec_paramgen_curve:P-256"]
        run([program("openssl"), "genpkey", "-algorithm", "EC", *curve, "-out", file])
        return file

    def party(self, made: Party, name: str) -> tuple[Path, Path]:
        """The files of a certificate and its key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(made.pem)
        key.write_bytes(made.key_pem())
        return certificate, key

    def cmp(self, path: str, *options: str | Path, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """``openssl cmp`` to a label."""
        server = f"{self.daemon.http_url}/.well-known/cmp/p/{path}"
        command = [program("openssl"), "cmp", "-server", server, "-trusted", self.daemon.root_pem, *options]
        return run([*command, "-keep_alive", "1", "-total_timeout", "60"], expect=expect, cwd=self.folder)

    def signing(self, certificate: Path, key: Path) -> list[str | Path]:
        """The options of a client with a certificate of somebody else, whose issuer openssl would write to."""
        subject = x509.load_pem_x509_certificate(self.daemon.issuing_pem.read_bytes()).subject
        recipient = "".join(f"/{each.rfc4514_string()}" for each in subject)
        return ["-cert", certificate, "-key", key, "-recipient", recipient]

    def by_secret(self, *options: str) -> list[str | Path]:
        """The options of a client that has a new secret."""
        reference, secret = self.secret(*options)
        return ["-ref", reference, "-secret", f"pass:{secret}"]

    def enroll(self, path: str, *options: str | Path, name: str | None = None) -> Enrolled:
        """Get a certificate by what the options say."""
        name = name or f"device-{next(self.numbers)}"
        key = self.key(name)
        return self.issued(path, name, key, "-newkey", key, "-subject", f"/CN={name}", *options)

    def issued(self, path: str, name: str, key: Path, *options: str | Path) -> Enrolled:
        """Run openssl, which leaves a certificate."""
        file, chain = self.folder / f"{name}.pem", self.folder / f"{name}.chain.pem"
        done = self.cmp(path, *options, "-certout", file, "-chainout", chain)
        return Enrolled(self, name, key, file, done.stdout)


@dataclass
class Enrolled:
    """A certificate that openssl got, and what it said."""

    site: Site
    name: str
    key: Path
    file: Path
    said: str

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.file.read_bytes())

    @property
    def own(self) -> list[str | Path]:
        """The options of a client that signs with it."""
        return ["-cert", self.file, "-key", self.key]

    def check(self, status: str = "good") -> RelyingParty:
        """openssl verifies it, and OCSP says that."""
        chain = self.file.read_text() + self.site.daemon.issuing_pem.read_text()
        party = RelyingParty(self.site.folder / f"{self.name}-party", chain, self.site.daemon.root_pem)
        party.verify("-purpose", "sslclient")
        wait_until(lambda: party.ocsp().startswith(status), what=f"OCSP to say {status}")
        return party


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    tmp_path = tmp_path_factory.mktemp("cmp")
    folder = tmp_path / "client"
    folder.mkdir()
    vendor = make("vendor", is_ca=True)
    (folder / "vendor.pem").write_bytes(vendor.pem)
    changes = {
        "protocols.cmp.labels": LABELS,
        "protocols.cmp.default_label": "devices",
        "protocols.cmp.profiles": [PROFILE],
        "protocols.cmp.trust": [{"name": "vendors", "anchors": str(folder / "vendor.pem")}],
        "protocols.cmp.registration_authorities": [{"trust": "vendors"}],
    }
    with Daemon(tmp_path, changes=changes) as daemon:
        yield Site(daemon, folder, vendor)


@pytest.mark.requirement("R-CEG-151")
@pytest.mark.parametrize("command", ["ir", "cr"])
@pytest.mark.parametrize("confirm", [[], ["-implicit_confirm"]])
def test_a_secret_gets_a_certificate(site: Site, command: str, confirm: list[str]) -> None:
    enrolled = site.enroll("devices", "-cmd", command, *site.by_secret(), *confirm)
    assert ("CERTCONF" in enrolled.said) is not bool(confirm)
    enrolled.check()


def test_names_are_those_that_openssl_asks_for(site: Site) -> None:
    enrolled = site.enroll("devices", "-cmd", "ir", *site.by_secret(), "-sans", "a.example.test")
    names = enrolled.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.test"]


@pytest.mark.requirement("R-CEG-151")
@pytest.mark.parametrize("confirm", [[], ["-implicit_confirm"]])
def test_a_pkcs10_request_gets_a_certificate(site: Site, confirm: list[str]) -> None:
    name = f"p10-{next(site.numbers)}"
    key, csr = site.key(name), site.folder / f"{name}.csr"
    run([program("openssl"), "req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", csr])
    site.issued("devices", name, key, "-cmd", "p10cr", "-csr", csr, *site.by_secret(), *confirm).check()
    other = f"{name}-csr"
    site.issued("devices", other, key, "-cmd", "ir", "-csr", csr, "-newkey", key, *site.by_secret(), *confirm).check()


def test_implicit_confirmation_is_not_granted_where_conf_says_no(site: Site) -> None:
    assert "CERTCONF" in site.enroll("strict", "-cmd", "ir", *site.by_secret(), "-implicit_confirm").said


@pytest.mark.requirement("R-CEG-151")
def test_a_certificate_updates_itself(site: Site) -> None:
    old = site.enroll("replacing", "-cmd", "ir", *site.by_secret(), "-sans", "b.example.test")
    name, key = f"{old.name}-new", site.key(f"{old.name}-new")
    new = site.issued("replacing", name, key, "-cmd", "kur", *old.own, "-newkey", key)
    assert new.certificate.subject == old.certificate.subject
    new.check()
    old.check("revoked")
    refused = site.cmp("replacing", "-cmd", "kur", *old.own, "-newkey", key, "-certout", "x.pem", expect=1)
    assert "signerNotTrusted" in refused.stdout
    other = site.cmp(
        "replacing", "-cmd", "kur", *new.own, "-newkey", key, "-subject", "/CN=other", "-certout", "x.pem", expect=1
    )
    assert "badCertTemplate" in other.stdout


def test_a_certificate_gets_another_for_its_own_name_and_no_other(site: Site) -> None:
    first = site.enroll("devices", "-cmd", "ir", *site.by_secret())
    key = site.key(f"{first.name}-2")
    options = ("-cmd", "cr", *first.own, "-newkey", key)
    site.issued("devices", f"{first.name}-2", key, *options, "-subject", f"/CN={first.name}").check()
    refused = site.cmp("devices", *options, "-subject", "/CN=other", "-certout", "x.pem", expect=1)
    assert "notAuthorized" in refused.stdout


@pytest.mark.requirement("R-CEG-151")
@pytest.mark.parametrize("by", ["signature", "secret"])
def test_a_certificate_is_revoked(site: Site, by: str) -> None:
    secret = site.by_secret()
    enrolled = site.enroll("devices", "-cmd", "ir", *secret)
    enrolled.check()
    sender = enrolled.own if by == "signature" else secret
    site.cmp("devices", "-cmd", "rr", *sender, "-oldcert", enrolled.file, "-revreason", "4")
    enrolled.check("revoked")
    again = site.cmp("devices", "-cmd", "rr", *sender, "-oldcert", enrolled.file, expect=1)
    assert "signerNotTrusted" in again.stdout or "certRevoked" in again.stdout


def test_general_messages_are_answered(site: Site) -> None:
    """openssl 3.0 prints what is in genp, whatever it asks for."""
    done = site.cmp("devices", "-cmd", "genm", *site.by_secret())
    assert "received GENP" in done.stdout
    enrolled = site.enroll("devices", "-cmd", "ir", *site.by_secret())
    for kind in ("caCerts", "signKeyPairTypes", "currentCRL"):
        site.cmp("devices", "-cmd", "genm", *enrolled.own, "-infotype", kind, expect=None)


@pytest.mark.parametrize("popo", ["1", "2"])
def test_possession_is_proved_by_signature_or_by_decrypting(site: Site, popo: str) -> None:
    name = f"popo-{next(site.numbers)}"
    key = site.folder / f"{name}.key"
    run([program("openssl"), "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
    options = ("-cmd", "ir", *site.by_secret(), "-newkey", key, "-subject", f"/CN={name}", "-popo", popo)
    site.issued("devices", name, key, *options).check()


@pytest.mark.parametrize("popo", ["-1", "0"])
def test_possession_has_to_be_proved(site: Site, popo: str) -> None:
    key = site.key(f"popo-{next(site.numbers)}")
    options = ("-cmd", "ir", *site.by_secret(), "-newkey", key, "-subject", "/CN=a", "-certout", "x.pem")
    assert "badPOP" in site.cmp("devices", *options, "-popo", popo, expect=1).stdout


def test_a_registration_authority_vouches_for_possession(site: Site) -> None:
    certificate, ra_key = site.party(make("ra", site.vendor, usage=CMC_RA), "ra")
    options = ("-cmd", "ir", *site.signing(certificate, ra_key), "-popo", "0")
    site.enroll("devices", *options).check()


def test_a_device_gets_its_first_certificate_by_that_of_its_vendor(site: Site) -> None:
    certificate, key = site.party(make("machine", site.vendor), "machine")
    sender = site.signing(certificate, key)
    site.enroll("stations", "-cmd", "ir", *sender).check()
    options = ("-newkey", site.key("machine-2"), "-subject", "/CN=machine", "-certout", "x.pem")
    stranger = site.cmp("devices", "-cmd", "ir", *sender, *options, expect=1)
    assert "signerNotTrusted" in stranger.stdout or "notAuthorized" in stranger.stdout
    update = site.cmp("stations", "-cmd", "kur", *sender, *options, expect=1)
    assert "notAuthorized" in update.stdout


@contextmanager
def waiting(site: Site, name: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A client that polls for a certificate, and the id of its request."""
    server = f"{site.daemon.http_url}/.well-known/cmp/p/approved"
    command = [program("openssl"), "cmp", "-server", server, "-trusted", site.daemon.root_pem, *site.by_secret()]
    command += ["-cmd", "ir", "-newkey", site.key(name), "-subject", f"/CN={name}", "-certout", f"{name}.pem"]
    client = subprocess.Popen(
        [*map(str, command), "-total_timeout", "120"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=site.folder,
    )
    found: list[str] = []

    def waits() -> bool:
        found[:] = [each["id"] for each in site.daemon.cspctl_json("request", "list") if name in each["subject"]]
        return bool(found)

    try:
        wait_until(waits, what="the request")
        yield client, found[0]
    finally:
        client.kill()
        client.communicate()


@pytest.mark.requirement("R-CEG-151")
def test_a_client_polls_until_its_request_is_approved(site: Site) -> None:
    name = f"waits-{next(site.numbers)}"
    with waiting(site, name) as (client, request_id):
        site.daemon.cspctl("request", "approve", request_id)
        said, _ = client.communicate(timeout=120)
    assert client.returncode == 0, said
    assert "POLLREQ" in said
    Enrolled(site, name, site.folder / f"{name}.key", site.folder / f"{name}.pem", said).check()


def test_a_client_whose_request_is_denied_hears_it(site: Site) -> None:
    with waiting(site, f"denied-{next(site.numbers)}") as (client, request_id):
        site.daemon.cspctl("request", "deny", request_id, "--reason", "no such device")
        said, _ = client.communicate(timeout=120)
    assert client.returncode == 1
    assert "no such device" in said


NEGATIVE = {
    "a wrong secret": (["-secret", "pass:wrong"], "badMessageCheck"),
    "no such reference": (["-ref", "NOBODY"], "badMessageCheck"),
    "another recipient": (["-recipient", "/CN=another CA"], "wrongAuthority"),
    "without protection": (["-unprotected_requests"], "badMessageCheck"),
    "a weak MAC": (["-mac", "hmac-md5"], "badAlg"),
    "a MAC that the rules do not have": (["-mac", "hmacWithSHA512"], "badAlg"),
    "another profile": (["-path", f"/cmp/demo/{ISSUING}/tls-server"], ""),
    "the path of another operation": (["-path", "/.well-known/cmp/p/devices/certification"], "badRequest"),
}


@pytest.mark.parametrize(("options", "bit"), NEGATIVE.values(), ids=NEGATIVE)
def test_what_is_wrong_is_refused(site: Site, options: list[str], bit: str) -> None:
    key = site.key(f"wrong-{next(site.numbers)}")
    before = _issued(site)
    done = site.cmp(
        "devices",
        *("-cmd", "ir", "-newkey", key, "-subject", "/CN=wrong", "-certout", "x.pem"),
        *site.by_secret(),
        *options,
        expect=1,
    )
    assert bit in done.stdout
    assert _issued(site) == before


def _issued(site: Site) -> int:
    with closing(sqlite3.connect(site.daemon.folder / "state" / "store.sqlite")) as store:
        count: int = store.execute("SELECT count(*) FROM certificates WHERE protocol = 'cmp'").fetchone()[0]
        return count


def test_a_secret_of_another_profile_is_refused(site: Site) -> None:
    sender = site.by_secret("--profile", "tls-server")
    options = ("-cmd", "ir", "-newkey", site.key("elsewhere"), "-subject", "/CN=a", "-certout", "x.pem")
    assert "notAuthorized" in site.cmp("devices", *options, *sender, expect=1).stdout


def test_an_expired_certificate_is_refused(site: Site) -> None:
    certificate, key = site.party(make("old", site.vendor, days=(-9, -2)), "old")
    options = ("-newkey", key, "-subject", "/CN=old", "-certout", "x.pem", *site.signing(certificate, key))
    assert "signerNotTrusted" in site.cmp("stations", "-cmd", "ir", *options, expect=1).stdout


def test_a_client_that_confirms_nothing_loses_its_certificate(site: Site, tmp_path: Path) -> None:
    """By -disable_confirm openssl takes the certificate and leaves: the job revokes it."""
    changes = {"protocols.cmp.labels": [label("demo"), label("devices", confirm_wait="1s")]}
    with Daemon(tmp_path, changes=changes) as daemon:
        hasty = Site(daemon, site.folder, site.vendor, site.numbers)
        enrolled = hasty.enroll("devices", "-cmd", "ir", *hasty.by_secret(), "-disable_confirm")
        party = enrolled.check("")
        wait_until(lambda: party.ocsp().startswith("revoked"), what="the revocation", seconds=150)


def test_the_command_of_the_start_page_works(site: Site) -> None:
    urls = site.daemon.cspctl_json("status")["enrollment_urls"]
    [shown] = [each for each in urls if "CMP, devices" in each["what"]]
    done = subprocess.run(
        ["sh", "-c", shown["command"]], cwd=site.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert x509.load_pem_x509_certificate((site.folder / "device.pem").read_bytes()).subject.rfc4514_string() == (
        "CN=device"
    )
