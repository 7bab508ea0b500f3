"""CAs whose keys are in a PKCS#11 token (SoftHSM2), through the real daemon; the token goes away and comes back."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.ocsp import OCSPResponseStatus

from tests.support.acme_client import ACMEClient
from tests.support.challtestsrv import ChallengeTestServer
from tests.support.daemon import Daemon
from tests.support.ocsp_client import ask_ocsp, ocsp_request, ocsp_status
from tests.support.openssl import RelyingParty
from tests.support.processes import run, wait_until
from tests.support.softhsm import SoftHSM

pytestmark = pytest.mark.interop


@pytest.fixture
def challenges(tmp_path: Path) -> Iterator[ChallengeTestServer]:
    server = ChallengeTestServer(tmp_path)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHSM:
    return SoftHSM(tmp_path / "hsm")


@pytest.fixture
def daemon(tmp_path: Path, hsm: SoftHSM, challenges: ChallengeTestServer) -> Iterator[Daemon]:
    http01 = {"port": challenges.http_port, "nameservers": [challenges.nameserver]}
    with Daemon(tmp_path, token=hsm, changes={"protocols.acme.http01": http01}) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon, challenges: ChallengeTestServer) -> Iterator[ACMEClient]:
    """Of the issuing CA of the demonstration, with an account."""
    client = client_of(daemon, challenges)
    yield client
    client.close()


def client_of(daemon: Daemon, challenges: ChallengeTestServer, ca: str = "demo~issuing") -> ACMEClient:
    def solve(token: str, content: str) -> None:
        challenges.tell("add-http01", token=token, content=content)

    client = ACMEClient(daemon.acme_directory(ca=ca), trust=daemon.root_pem, solve=solve)
    client.register()
    return client


def revoked_in_crl(daemon: Daemon, serial: int, ca: str = "demo/issuing") -> bool:
    with urllib.request.urlopen(f"{daemon.http_url}/crl/{ca}/crl.crl", timeout=10) as answer:
        crl = x509.load_der_x509_crl(answer.read())
    return crl.get_revoked_certificate_by_serial_number(serial) is not None


def test_no_private_key_of_a_ca_is_outside_the_token(daemon: Daemon) -> None:
    keys = daemon.cspctl_json("key", "list")
    assert len(keys) >= 2
    assert all(key["reference"].startswith("token:") for key in keys), keys


def test_an_rsa_ca_in_the_token_issues_and_revokes(
    daemon: Daemon, challenges: ChallengeTestServer, tmp_path: Path
) -> None:
    daemon.cspctl(
        *("ca", "create", "demo~rsa", "--subject", "CN=RSA in a token,O=cspd demo", "--issuer", "root"),
        *("--key-type", "rsa-2048", "--key-provider", "token", "--profile", "tls-server", "--crl-days", "1"),
    )
    client = client_of(daemon, challenges, "demo~rsa")
    issued = client.enroll("rsa.test")
    party = RelyingParty(tmp_path / "party", issued.chain_pem, daemon.root_pem)
    party.verify()
    assert party.ocsp() == "good"
    client.revoke(issued)
    client.close()
    assert party.ocsp().startswith("revoked")
    wait_until(lambda: revoked_in_crl(daemon, issued.serial, "demo/rsa"), what="the CRL", seconds=10)
    party.crl(tmp_path)


def test_the_token_goes_away_and_comes_back_while_serving(daemon: Daemon, client: ACMEClient, hsm: SoftHSM) -> None:
    kept, revoked = client.enroll("kept.test"), client.enroll("revoked.test")
    order = client.begin("later.test")
    request = ocsp_request(kept.certificate, kept.issuer)
    nonced = ocsp_request(kept.certificate, kept.issuer, nonce=bytes(16))
    for issued in (kept, revoked):
        plain = ocsp_request(issued.certificate, issued.issuer)
        wait_until(
            lambda plain=plain: (
                ask_ocsp(daemon.http_url, plain).signature == ask_ocsp(daemon.http_url, plain).signature
            ),
            what="the kept answer",
        )
    assert ask_ocsp(daemon.http_url, nonced).response_status is OCSPResponseStatus.SUCCESSFUL

    assert not revoked_in_crl(daemon, revoked.serial)
    away = hsm.tokens.with_name("away")
    hsm.tokens.rename(away)
    try:
        wait_until(
            lambda: ask_ocsp(daemon.http_url, nonced).response_status is OCSPResponseStatus.TRY_LATER,
            what="the loss of the token",
        )
        assert ask_ocsp(daemon.http_url, request).response_status is OCSPResponseStatus.SUCCESSFUL
        # A certificate has to wait: the order is taken and stays in processing.
        client.respond(order)
        client.wait(order, "ready")
        begun = time.monotonic()
        assert client.finalize(order)["status"] == "processing"
        assert time.monotonic() - begun < 5
        # A revocation needs no key; nobody is told "good" any more, whatever had been signed before.
        client.revoke(revoked)
        assert ocsp_status(daemon.http_url, revoked.certificate, revoked.issuer) == "try_later"
        assert not revoked_in_crl(daemon, revoked.serial), "the last CRL goes on"
        assert ask_ocsp(daemon.http_url, request).response_status is OCSPResponseStatus.SUCCESSFUL
    finally:
        away.rename(hsm.tokens)

    def tell_revoked() -> bool:
        return ocsp_status(daemon.http_url, revoked.certificate, revoked.issuer) == "revoked"

    wait_until(tell_revoked, what="OCSP with the token", seconds=15)
    assert ask_ocsp(daemon.http_url, nonced).response_status is OCSPResponseStatus.SUCCESSFUL
    assert client.enroll("after.test").serial
    # What waited is made up for: the order within its half minute, the CRL within the minute of its job.
    client.wait(order, "valid", seconds=60)
    assert ocsp_status(daemon.http_url, client.download(order).certificate, kept.issuer) == "good"
    wait_until(lambda: revoked_in_crl(daemon, revoked.serial), what="the CRL", seconds=75)
    assert "Traceback" not in daemon.output()


def test_a_daemon_killed_while_the_token_signs_starts_again(daemon: Daemon, client: ACMEClient) -> None:
    before = client.enroll("before.test")
    client.close()
    daemon.kill()
    daemon.start()
    assert ocsp_status(daemon.http_url, before.certificate, before.issuer) == "good"
    assert client.enroll("after.test").issuer == before.issuer
    run(["openssl", "verify", "-CAfile", daemon.root_pem, daemon.issuing_pem])
