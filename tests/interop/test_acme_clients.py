"""Real ACME clients against the real daemon: each obtains, renews and revokes; openssl says what came of it.

The same with PostgreSQL below, and with all CAs in a SoftHSM2 token.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.challtestsrv import ChallengeTestServer
from tests.support.daemon import Daemon
from tests.support.openssl import RelyingParty
from tests.support.postgresql import PostgreSQLServer, postgresql_server  # noqa: F401  # a fixture
from tests.support.processes import Process, accepts_connections, free_port, program, run, wait_until
from tests.support.softhsm import SoftHSM

pytestmark = pytest.mark.interop


@dataclass(frozen=True)
class Site:
    """What a client's administrator has: a server, a DNS, a port for http-01."""

    daemon: Daemon
    dns: ChallengeTestServer
    folder: Path
    http01_port: int

    @property
    def directory(self) -> str:
        """The ACME directory."""
        return self.daemon.acme_directory("privatessl-tls-server")

    def name(self) -> str:
        """A new host name."""
        return f"host-{uuid4().hex[:8]}.example.test"

    def relying_party(self, chain_pem: str) -> RelyingParty:
        """Somebody who got the chain from the host and trusts the root."""
        return RelyingParty(self.folder / uuid4().hex, chain_pem, self.daemon.root_pem)

    def assert_good(self, chain_pem: str, *names: str) -> RelyingParty:
        """The chain verifies for the names; OCSP says good."""
        party = self.relying_party(chain_pem)
        for name in names:
            party.verify("-verify_hostname", name.replace("*", "any"))
        assert party.ocsp() == "good"
        return party

    def assert_revoked(self, party: RelyingParty) -> None:
        """OCSP says revoked at once; the CRL holds the serial soon."""
        verdict = party.ocsp()
        assert verdict.startswith("revoked"), verdict
        wait_until(lambda: party.serial in party.crl(self.folder), what="the CRL with the revoked serial")

    @contextmanager
    def web_server(self) -> Iterator[Path]:
        """A web server on the port of http-01; gives the folder of the challenge files."""
        root = self.folder / f"www-{uuid4().hex[:8]}"
        challenges = root / ".well-known" / "acme-challenge"
        challenges.mkdir(parents=True)
        server = Process(
            [
                sys.executable,
                "-m",
                "http.server",
                "--bind",
                "127.0.0.1",
                "--directory",
                str(root),
                str(self.http01_port),
            ],
            log=self.folder / "www.log",
        )
        try:
            wait_until(lambda: accepts_connections(self.http01_port), what="the web server")
            yield challenges
        finally:
            server.stop()

    def script(self, text: str) -> Path:
        """An executable shell script."""
        path = self.folder / f"hook-{uuid4().hex[:8]}.sh"
        path.write_text(f"#!/bin/sh\nset -eu\n{text}\n")
        path.chmod(0o755)
        return path


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "softhsm"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo PKI on each kind of store and of key."""
    folder = tmp_path_factory.mktemp(request.param)
    http01_port = free_port()
    with ExitStack() as stack:
        dns = ChallengeTestServer(folder)
        stack.callback(dns.stop)
        changes = {"protocols.acme.dns01.nameservers": [dns.nameserver], "protocols.acme.http01.port": http01_port}
        daemon = stack.enter_context(
            Daemon(
                folder,
                changes=changes,
                store_url=_empty_database(request) if request.param == "postgresql" else None,
                token=SoftHSM(folder / "softhsm") if request.param == "softhsm" else None,
            )
        )
        yield Site(daemon, dns, folder, http01_port)


def _empty_database(request: pytest.FixtureRequest) -> str:
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    server.execute("CREATE DATABASE acme_clients")
    return server.url("acme_clients")


class Certbot:
    """certbot with its own folders."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.folder / f"certbot-{uuid4().hex[:8]}"

    def __call__(self, *arguments: str | Path) -> str:
        folders = [part for name in ("config", "work", "logs") for part in (f"--{name}-dir", str(self._folder / name))]
        return run(
            [program("certbot"), *arguments, "--server", self._site.directory, *folders, "--non-interactive"],
            environment={"REQUESTS_CA_BUNDLE": str(self._site.daemon.root_pem)},
        ).stdout

    def chain(self, name: str) -> Path:
        """The file with the certificate and its issuers."""
        return self._folder / "config" / "live" / name / "fullchain.pem"


def test_certbot_standalone_obtains_renews_and_revokes(site: Site) -> None:
    """http-01 with certbot's own web server; revocation with the account key."""
    certbot, name, second = Certbot(site), site.name(), site.name()
    common = ("--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", str(site.http01_port))
    account = ("--agree-tos", "--email", "pki@example.test", "--no-eff-email")
    certbot("certonly", *common, *account, "-d", name, "-d", second)
    first = site.assert_good(certbot.chain(name).read_text(), name, second)
    certbot("renew", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", name)
    renewed = site.assert_good(certbot.chain(name).read_text(), name, second)
    assert renewed.serial != first.serial
    certbot("revoke", "--cert-path", certbot.chain(name), "--reason", "superseded", "--no-delete-after-revoke")
    site.assert_revoked(renewed)
    assert first.ocsp() == "good"


def test_certbot_wildcard_by_dns_01_and_revocation_with_the_certificate_key(site: Site) -> None:
    """dns-01 by manual hooks, a wildcard beside its base name; the thief of the account cannot be needed to revoke."""
    certbot, name = Certbot(site), site.name()
    tell = f"curl --silent --fail --data @- {site.dns.management}"
    host = '"host":"_acme-challenge.%s."'
    auth = site.script(f"""printf '{{{host},"value":"%s"}}' "$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION" | {tell}/set-txt""")
    clean = site.script(f"""printf '{{{host}}}' "$CERTBOT_DOMAIN" | {tell}/clear-txt""")
    certbot(
        *("certonly", "--manual", "--preferred-challenges", "dns", "--manual-auth-hook", auth),
        *("--manual-cleanup-hook", clean, "--register-unsafely-without-email", "--agree-tos"),
        *("-d", f"*.{name}", "-d", name),
    )
    party = site.assert_good(certbot.chain(name).read_text(), name, f"*.{name}")
    key = certbot.chain(name).with_name("privkey.pem")
    certbot(
        *("revoke", "--cert-path", certbot.chain(name), "--key-path", key),
        *("--reason", "keycompromise", "--no-delete-after-revoke"),
    )
    site.assert_revoked(party)


def test_lego_obtains_renews_and_revokes(site: Site) -> None:
    """lego with its own web server and an EC account key."""
    name, folder = site.name(), site.folder / f"lego-{uuid4().hex[:8]}"

    def lego(*arguments: str) -> None:
        run(
            [
                *(program("lego"), "--server", site.directory, "--path", folder, "--accept-tos"),
                *("--email", "pki@example.test", "--domains", name),
                *("--http", "--http.port", f"127.0.0.1:{site.http01_port}", *arguments),
            ],
            environment={"LEGO_CA_CERTIFICATES": str(site.daemon.root_pem)},
        )

    certificate = folder / "certificates" / f"{name}.crt"
    lego("run")
    first = site.assert_good(certificate.read_text(), name)
    lego("renew", "--days", "1000", "--no-random-sleep")
    renewed = site.assert_good(certificate.read_text(), name)
    assert renewed.serial != first.serial
    lego("revoke", "--keep")
    site.assert_revoked(renewed)


def test_uacme_obtains_renews_and_revokes(site: Site) -> None:
    """uacme, whose TLS library knows only the system's trust anchors: it sees a file of ours in their place."""
    name, folder = site.name(), site.folder / f"uacme-{uuid4().hex[:8]}"
    with site.web_server() as challenges:
        hook = site.script(
            f"""[ "$2" = http-01 ] || exit 1
case "$1" in
begin) printf %s "$5" > "{challenges}/$4" ;;
done|failed) rm -f "{challenges}/$4" ;;
esac"""
        )

        def uacme(*arguments: str | Path) -> None:
            words = [program("uacme"), "--acme-url", site.directory, "--confdir", folder, "--hook", hook, "--yes"]
            mount = 'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
            run(["unshare", "--mount", "sh", "-c", mount, site.daemon.root_pem, *words, *arguments])

        uacme("--type", "EC", "new", "pki@example.test")
        certificate = folder / name / "cert.pem"
        uacme("--type", "EC", "issue", name)
        first = site.assert_good(certificate.read_text(), name)
        uacme("--type", "EC", "--force", "issue", name)
        renewed = site.assert_good(certificate.read_text(), name)
        assert renewed.serial != first.serial
        uacme("--reason", "4", "revoke", certificate)
        site.assert_revoked(renewed)


def test_dehydrated_obtains_renews_and_revokes(site: Site) -> None:
    """dehydrated, a shell script over curl and openssl."""
    name, folder = site.name(), site.folder / f"dehydrated-{uuid4().hex[:8]}"
    folder.mkdir()
    with site.web_server() as challenges:
        (folder / "config").write_text(
            f"""CA="{site.directory}"
CHALLENGETYPE="http-01"
BASEDIR="{folder}"
WELLKNOWN="{challenges}"
CONTACT_EMAIL="pki@example.test"
CURL_OPTS="--cacert {site.daemon.root_pem}"
KEY_ALGO="rsa"
KEYSIZE="2048"
"""
        )

        def dehydrated(*arguments: str | Path) -> None:
            run([program("dehydrated"), "--config", folder / "config", *arguments])

        dehydrated("--register", "--accept-terms")
        certificate = folder / "certs" / name / "fullchain.pem"
        dehydrated("--cron", "--domain", name)
        first = site.assert_good(certificate.read_text(), name)
        dehydrated("--cron", "--force", "--domain", name)
        renewed = site.assert_good(certificate.read_text(), name)
        assert renewed.serial != first.serial
        dehydrated("--revoke", certificate.with_name("cert.pem").resolve())
        site.assert_revoked(renewed)


def test_acme_tiny_obtains_and_renews_and_the_administrator_revokes(site: Site) -> None:
    """acme-tiny knows no revocation; ``cspctl cert revoke`` does."""
    name, folder = site.name(), site.folder / f"acme-tiny-{uuid4().hex[:8]}"
    folder.mkdir()
    openssl = program("openssl")
    run([openssl, "genrsa", "-out", folder / "account.key", "2048"])
    run([openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder / "host.key"])
    subject = ("-subj", "/", "-addext", f"subjectAltName=DNS:{name}")
    run([openssl, "req", "-new", "-sha256", "-key", folder / "host.key", *subject, "-out", folder / "host.csr"])

    def acme_tiny() -> str:
        with site.web_server() as challenges:
            command = [program("acme-tiny"), "--account-key", folder / "account.key", "--csr", folder / "host.csr"]
            options = ["--acme-dir", challenges, "--directory-url", site.directory, "--disable-check", "--quiet"]
            return run([*command, *options], environment={"SSL_CERT_FILE": str(site.daemon.root_pem)}).stdout

    first = site.assert_good(acme_tiny(), name)
    renewed = site.assert_good(acme_tiny(), name)
    assert renewed.serial != first.serial
    site.daemon.cspctl("cert", "revoke", "demo~issuing", renewed.serial, "--reason", "keyCompromise", "--yes")
    site.assert_revoked(renewed)
