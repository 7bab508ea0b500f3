"""The real cspctl and the real daemon, from the first organization to the last certificate; openssl is the witness."""

from __future__ import annotations

import json
import shlex
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from click.testing import CliRunner
from cryptography import x509

from cspd.admin.cspctl import main
from tests.support.daemon import Daemon, needs_other_users
from tests.support.openssl import RelyingParty
from tests.support.processes import free_port, program, run, wait_until

pytestmark = pytest.mark.interop

CA_EXTENSIONS = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"


@dataclass(frozen=True)
class PKI:
    """An installation whose administrator works with cspctl, and subscribers with lego."""

    daemon: Daemon
    http01_port: int
    folder: Path

    def enroll(self, ca: str, root_pem: Path) -> RelyingParty:
        """A certificate for localhost, as a relying party sees it that trusts ``root_pem``."""
        return RelyingParty(self.folder / uuid4().hex, self.lego(ca, expect=0).read_text(), root_pem)

    def lego(self, ca: str, *, expect: int) -> Path:
        """Run lego; gives the file of the chain."""
        path = self.folder / f"lego-{uuid4().hex}"
        run(
            [
                *(program("lego"), "--server", self.daemon.acme_directory(ca=ca), "--path", path, "--accept-tos"),
                *("--email", "pki@example.test", "--domains", "localhost"),
                *("--http", "--http.port", f"127.0.0.1:{self.http01_port}", "run"),
            ],
            environment={"LEGO_CA_CERTIFICATES": str(self.daemon.root_pem)},
            expect=expect,
        )
        return path / "certificates" / "localhost.crt"

    def make_issuing(self, ca_id: str, issuer: str = "root", organization: str = "demo") -> None:
        """An issuing CA that offers tls-server."""
        self.daemon.cspctl(
            *("ca", "create", f"{organization}~{ca_id}", "--issuer", issuer, "--subject", f"CN={ca_id},O=Example"),
            *("--profile", "tls-server", "--crl-days", "1"),
        )

    def crl_has(self, party: RelyingParty, what: Callable[[str], bool]) -> None:
        """Wait until the CRL of the certificate, which must verify, is as told."""
        wait_until(lambda: what(party.crl(self.folder)), what="the CRL")


def make_pki(folder: Path) -> PKI:
    port = free_port()
    return PKI(Daemon(folder, changes={"protocols.acme.http01.port": port}), port, folder)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PKI]:
    pki = make_pki(tmp_path_factory.mktemp("cspctl"))
    with pki.daemon:
        yield pki


@pytest.fixture
def own_pki(tmp_path: Path) -> Iterator[PKI]:
    """For tests that damage or stop it."""
    pki = make_pki(tmp_path)
    with pki.daemon:
        yield pki


@pytest.fixture
def reachable_pki() -> Iterator[PKI]:
    """Where other users can pass: pytest closes its folders to them, even while another run needs them open."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        pki = make_pki(folder)
        with pki.daemon:
            yield pki


@pytest.mark.requirement("R-CA-042")
@pytest.mark.requirement("R-CA-045")
def test_life_of_a_hierarchy(pki: PKI, tmp_path: Path) -> None:
    """Organization, root, issuing CA, certificate; hold, release, disable, enable, revoke; then everything is ended."""
    cspctl, answer = pki.daemon.cspctl, pki.daemon.cspctl_json
    cspctl("org", "create", "life")
    cspctl("ca", "create", "life~root", "--subject", "CN=Life Root,O=Example,C=DE", "--key-type", "rsa-3072")
    root_pem = tmp_path / "root.pem"
    cspctl("ca", "chain", "life~root", "--out", str(root_pem))
    pki.make_issuing("tls", organization="life")
    party = pki.enroll("life~tls", root_pem)
    party.verify("-verify_hostname", "localhost")
    assert party.ocsp() == "good"

    cspctl("cert", "hold", "life~tls", party.serial)
    assert party.ocsp() == "revoked"
    pki.crl_has(party, lambda crl: "Certificate Hold" in crl)
    cspctl("cert", "unhold", "life~tls", party.serial)
    assert party.ocsp() == "good"
    pki.crl_has(party, lambda crl: party.serial not in crl)

    assert answer("ca", "disable", "life~tls", "--yes")["state"] == "disabled"
    pki.lego("life~tls", expect=1)
    assert party.ocsp() == "good", "status services go on"
    assert answer("ca", "enable", "life~tls", "--yes")["state"] == "active"
    pki.enroll("life~tls", root_pem).verify()

    cspctl("cert", "revoke", "life~tls", party.serial, "--reason", "keyCompromise", "--yes")
    assert party.ocsp() == "revoked"
    pki.crl_has(party, lambda crl: party.serial in crl and "Key Compromise" in crl)

    refused = cspctl("ca", "delete", "life~root", "--yes", expect=1)
    assert refused.stdout == "cspctl: delete the CAs below life~root first; there is 1\n"
    serial = answer("ca", "revoke", "life~tls", "--reason", "cessationOfOperation", "--yes")["serial"]
    assert answer("cert", "show", "life~root", serial)["reason"] == "cessationOfOperation"
    cspctl("ca", "delete", "life~tls", "--yes")
    again = cspctl("ca", "create", "life~tls", "--subject", "CN=x", expect=1)
    assert "life~tls was deleted not long ago; its id rests until" in again.stdout
    cspctl("ca", "delete", "life~root", "--yes")
    assert answer("ca", "list", "life") == []
    assert {each["ca"] for each in answer("ca", "list")} >= {"demo~root", "demo~issuing"}


@pytest.mark.requirement("R-CA-023")
def test_openssl_is_the_external_root(pki: PKI, tmp_path: Path) -> None:
    """Its certificate in, our request out, our certificate in; subscribers' chains verify against it."""
    openssl, cspctl = program("openssl"), pki.daemon.cspctl
    root_key, root_pem, csr, pem = (tmp_path / name for name in ("root.key", "root.pem", "ca.csr", "ca.pem"))
    run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes"),
            *("-subj", "/CN=Offline Root/O=Example", "-days", "3650", "-keyout", root_key, "-out", root_pem),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        ]
    )
    cspctl("ca", "import", "demo~offline", str(root_pem), "--external-root")
    pki.make_issuing("vpn", issuer="offline")
    assert pki.daemon.cspctl_json("ca", "show", "demo~vpn")["state"] == "pending-certificate"
    pki.lego("demo~vpn", expect=1)
    cspctl("ca", "csr", "demo~vpn", "--out", str(csr))
    run([openssl, "req", "-in", csr, "-verify", "-noout"])
    extensions = tmp_path / "extensions"
    extensions.write_text(CA_EXTENSIONS)
    sign = [*(openssl, "x509", "-req", "-in", csr, "-CA", root_pem, "-CAkey", root_key), "-CAcreateserial"]
    run([*sign, "-extfile", extensions, "-days", "1825", "-out", pem])

    foreign = cspctl("ca", "import", "demo~vpn", str(root_pem), expect=1)
    assert foreign.stdout.startswith("cspctl: "), "the root's own certificate is not the CA's"
    cspctl("ca", "import", "demo~vpn", str(pem))
    party = pki.enroll("demo~vpn", root_pem)
    party.verify("-verify_hostname", "localhost")
    assert party.ocsp() == "good"
    cspctl("cert", "revoke", "demo~vpn", party.serial, "--yes")
    assert party.ocsp() == "revoked"
    pki.crl_has(party, lambda crl: party.serial in crl)


@pytest.mark.requirement("R-CA-045")
def test_certificates_of_a_ca_stay_good_when_it_is_renewed_and_rekeyed(pki: PKI) -> None:
    """Before, after the renewal and after the re-key: all chains verify, and OCSP and CRL know all of them."""
    pki.make_issuing("keys")
    ca, root_pem = "demo~keys", pki.daemon.root_pem
    parties = [pki.enroll(ca, root_pem)]
    first = pki.daemon.cspctl_json("ca", "show", ca)
    renewed = pki.daemon.cspctl_json("ca", "renew", ca)
    assert (renewed["key"], renewed["serial"] == first["serial"]) == (first["key"], False)
    parties.append(pki.enroll(ca, root_pem))
    rekeyed = pki.daemon.cspctl_json("ca", "renew", ca, "--rekey", "--key-type", "ec-p384")
    assert (rekeyed["key"] == first["key"], rekeyed["key_type"]) == (False, "ec-p384")
    parties.append(pki.enroll(ca, root_pem))
    for party in parties:
        party.verify()
        assert party.ocsp() == "good"
        pki.daemon.cspctl("cert", "revoke", ca, party.serial, "--yes")
    for party in parties:
        assert party.ocsp() == "revoked"
        pki.crl_has(party, lambda crl, serial=party.serial: serial in crl)  # type: ignore[misc]  # bound at once
    assert len(pki.daemon.cspctl_json("ca", "crl", ca)) == 2, "one for each key"


def test_work_without_a_daemon_is_seen_when_it_starts(own_pki: PKI) -> None:
    """Revoked, made and deleted with the daemon down; cspctl says what it cannot do."""
    daemon = own_pki.daemon
    party = own_pki.enroll("demo~issuing", daemon.root_pem)
    daemon.stop()
    down = daemon.cspctl("status", expect=1)
    assert down.stdout == f"cspctl: no daemon runs: nobody listens on {daemon.folder / 'state' / 'admin.sock'}\n"
    assert {each["ca"] for each in daemon.cspctl_json("ca", "list")} == {"demo~root", "demo~issuing"}
    daemon.cspctl("cert", "revoke", "demo~issuing", party.serial, "--reason", "superseded", "--yes")
    own_pki.make_issuing("offline")
    renewed = daemon.cspctl_json("ca", "renew", "demo~issuing")
    daemon.start()
    assert party.ocsp() == "revoked"
    own_pki.crl_has(party, lambda crl: party.serial in crl)
    own_pki.enroll("demo~offline", daemon.root_pem).verify()
    assert daemon.cspctl_json("ca", "show", "demo~issuing")["serial"] == renewed["serial"]
    events = {event["event"] for event in daemon.cspctl_json("audit", "tail", "-n", "1000")}
    assert {"ca-created", "ca-renewed", "certificate-revoked", "command-run"} <= events


def test_audit_log_shows_what_was_done_to_the_file(own_pki: PKI, tmp_path: Path) -> None:
    """An event changed by hand is named; a chain cut short shows by the heads that were kept."""
    daemon = own_pki.daemon
    kept = tmp_path / "heads.json"
    kept.write_text(daemon.cspctl("--json", "audit", "verify").stdout)
    last = json.loads(kept.read_text())["events"]
    assert daemon.cspctl("audit", "verify", "--heads", str(kept)).stdout.endswith(" in 1 chains: sound\n")
    daemon.stop()
    store = daemon.folder / "state" / "store.sqlite"
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE audit_events SET actor = 'nobody' WHERE sequence = 2")
    connection.close()
    done = daemon.cspctl("audit", "verify", expect=1)
    assert "localhost 2: changed: does not have the hash it carries\n" in done.stdout
    assert "BROKEN" in done.stdout
    daemon.start()
    # While the daemon runs its jobs add events of their own.
    assert (
        "localhost 2: changed: does not have the hash it carries\n" in daemon.cspctl("audit", "verify", expect=1).stdout
    )
    daemon.stop()
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE audit_events SET actor = 'cspctl:root' WHERE sequence = 2")
        connection.execute("DELETE FROM audit_events WHERE sequence >= ?", (last,))
    connection.close()
    daemon.cspctl("audit", "verify")
    done = daemon.cspctl("audit", "verify", "--heads", str(kept), expect=1)
    assert f"localhost {last}: missing: was published as the head; the chain now ends at {last - 1}\n" in done.stdout


@pytest.mark.requirement("R-PLAT-052")
def test_reload_of_good_and_bad_configurations(own_pki: PKI) -> None:
    daemon = own_pki.daemon
    port = free_port()
    endpoint = f"tcp:{port}:interface=127.0.0.1"
    daemon.change({"listeners.third": {"endpoint": endpoint, "protocols": ["repository"]}})
    assert daemon.cspctl("reload").stdout == "The configuration is active.\n"
    assert daemon.cspctl_json("status")["listeners"]["third"] == f"127.0.0.1:{port}"
    daemon.change({"listeners.third.protocols": ["nothing"]})
    refused = daemon.cspctl("reload", expect=1)
    assert refused.stdout.startswith("cspctl: the old configuration stays active:\n")
    assert 'there is no protocol "nothing"' in refused.stdout
    refusal = json.loads(daemon.cspctl("--json", "reload", expect=1).stdout)
    assert refusal["error"] == "configuration-refused"
    assert daemon.cspctl_json("status")["listeners"]["third"] == f"127.0.0.1:{port}", "cspctl still finds the daemon"


@pytest.mark.parametrize(
    "command",
    [
        "version",
        "config check",
        "secret list",
        "org list",
        "org join demo",
        "ca list",
        "ca show demo~issuing",
        "ca chain demo~issuing",
        "ca crl demo~issuing",
        "cert list",
        "cert list demo~issuing --limit 100 --state good",
        "profile list",
        "profile show tls-server",
        "key list",
        "audit verify",
        "audit tail",
        "status",
        "reload",
    ],
)
def test_json_of_every_command_parses_and_people_get_text(pki: PKI, command: str) -> None:
    def cspctl(*options: str) -> str:  # in this process, for the sake of time; the socket is the daemon's
        arguments = ["--config", str(pki.daemon.config), *options, *command.split()]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    assert isinstance(json.loads(cspctl("--json")), dict | list)
    text = cspctl()
    assert text.strip()
    with pytest.raises(ValueError, match=r"Expecting|Extra data"):
        json.loads(text)


def test_refusals_in_json(pki: PKI) -> None:
    for command in ("ca show demo~none", "cert show demo~issuing 1", "ca show x", "profile show x", "ca csr demo~root"):
        answer = json.loads(pki.daemon.cspctl("--json", *command.split(), expect=1).stdout)
        assert set(answer) == {"error", "reason"}


def test_socket_is_for_its_owner_alone(pki: PKI) -> None:
    state = pki.daemon.folder / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "admin.sock").stat().st_mode) == 0o600


@needs_other_users
def test_another_user_is_told_who_may(reachable_pki: PKI) -> None:
    """With the daemon up and down, and when not even the conf file can be read."""
    daemon = reachable_pki.daemon

    def as_nobody(*arguments: str) -> str:
        nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        command = [*nobody, sys.executable, "-m", "cspd.admin.cspctl", "--config", daemon.config, *arguments]
        environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
        return run(command, environment=environment, expect=1, cwd=Path("/")).stdout

    assert f"{daemon.config}: cannot be read: Permission denied." in as_nobody("ca", "list")
    daemon.folder.chmod(0o755)
    daemon.config.chmod(0o644)
    closed = f"{daemon.folder / 'state' / 'admin.sock'} is closed to you; run cspctl as root\n"
    assert as_nobody("ca", "list") == f"cspctl: {closed}"
    daemon.stop()
    assert as_nobody("ca", "list") == f"cspctl: {closed}"


@needs_other_users
def test_root_leaves_nothing_of_its_own_in_the_state_of_another_user(reachable_pki: PKI) -> None:
    """Without a daemon root works as the user to whom the state belongs, and the daemon starts as that user after."""
    daemon = reachable_pki.daemon
    daemon.stop()
    daemon.change({"server.uid": "nobody", "server.gid": "nogroup"})
    run(["chown", "-R", "nobody:nogroup", daemon.folder])
    daemon.cspctl("org", "create", "offline")
    reachable_pki.make_issuing("offline")
    owners = {path.owner() for path in daemon.folder.rglob("*")}
    assert owners == {"nobody"}
    # Asked before the daemon runs, whose CRL jobs write events of their own.
    assert daemon.cspctl_json("audit", "tail", "-n", "1")[0]["actor"] == "cspctl:root"
    daemon.start()
    assert "offline" in {each["name"] for each in daemon.cspctl_json("org", "list")}


@pytest.mark.requirement("R-CEGI-010")
def test_certificates_of_a_chain_can_be_had_one_by_one(pki: PKI, tmp_path: Path) -> None:
    written = pki.daemon.cspctl_json("ca", "chain", "demo~issuing", "--folder", str(tmp_path))["files"]
    assert sorted(Path(each).name for each in written) == ["1.cer", "1.pem", "2.cer", "2.pem", "chain.pem"]
    chain = x509.load_pem_x509_certificates((tmp_path / "chain.pem").read_bytes())
    assert chain[0].issuer == chain[1].subject == chain[1].issuer, "from the issuing CA to the root"
    for number, certificate in enumerate(chain, start=1):
        assert x509.load_pem_x509_certificate((tmp_path / f"{number}.pem").read_bytes()) == certificate
        assert x509.load_der_x509_certificate((tmp_path / f"{number}.cer").read_bytes()) == certificate
    both = pki.daemon.cspctl("ca", "chain", "demo~issuing", "--folder", str(tmp_path), "--out", "x", expect=2)
    assert "--out or --folder" in both.stdout


@pytest.mark.requirement("R-CEG-017")
@pytest.mark.requirement("R-CA-007")
@pytest.mark.parametrize(
    ("client", "port_option", "folders"),
    [
        ("certbot", "--http-01-port {port}", "--config-dir {at}/c --work-dir {at}/w --logs-dir {at}/l"),
        ("lego", "--http.port 127.0.0.1:{port}", "--path {at}"),
    ],
)
def test_printed_commands_can_be_pasted(pki: PKI, tmp_path: Path, client: str, port_option: str, folders: str) -> None:
    """As they stand, in a shell, in any folder; only ports and folders are ours, for this machine is not the demo's."""
    program(client)
    printed = next(
        each["command"]
        for each in pki.daemon.cspctl_json("status")["enrollment_urls"]
        if each["what"] == f"ACME, tls-server, {client}" and "demo~issuing" in each["url"]
    )
    assert printed in pki.daemon.output(), "the start says the same"
    assert str(pki.daemon.root_pem) in shlex.split(printed)[0]
    options = f"{port_option} {folders}".format(port=pki.http01_port, at=tmp_path / client)
    run(["sh", "-c", printed.replace(" -d ", f" {options} -d ")], cwd=tmp_path)
    files = [*(tmp_path / client).rglob("fullchain.pem"), *(tmp_path / client).rglob("localhost.crt")]
    party = RelyingParty(tmp_path / "party", files[0].read_text(), pki.daemon.root_pem)
    party.verify("-verify_hostname", "localhost")
