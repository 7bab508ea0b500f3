"""Registration authorities through the real daemon: keys in a token, renewal on two nodes, bad profiles."""

from __future__ import annotations

import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from protocols.scep.ca_certificates import decode_ca_certificates
from protocols.scep.codec import decode
from protocols.scep.messages import FailInfo, MessageType, PKIMessage, PKIStatus
from protocols.scep.verification import verify
from tests.support.daemon import Daemon
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import wait_until
from tests.support.scep_client import EVERYTHING, ScepClient, certificate_of, csr_of
from tests.support.softhsm import SoftHSM

pytestmark = pytest.mark.interop

CA = "demo~issuing"
PROFILE = "scep-digital-signature-key-encipherment"
CERTIFICATES = "protocols.scep.registration_authorities"
KEY = rsa.generate_private_key(65537, 2048)
CERTIFICATE = certificate_of(KEY, "device")


@dataclass
class Device:
    """Asks one node of an installation."""

    daemon: Daemon
    password: str = field(init=False)

    def __post_init__(self) -> None:
        self.password = (self.daemon.folder / "scep-challenge").read_text().strip()

    @property
    def url(self) -> str:
        return f"{self.daemon.http_url}/scep/demo/{CA}/{PROFILE}/"

    def certificates(self) -> list[x509.Certificate]:
        """What GetCACert gives."""
        with urllib.request.urlopen(f"{self.url}?operation=GetCACert", timeout=60) as answer:
            media_type = answer.headers["Content-Type"]
            return [x509.load_der_x509_certificate(der) for der in decode_ca_certificates(media_type, answer.read())]

    def status(self) -> int:
        """The HTTP status of GetCACert."""
        try:
            self.certificates()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        return 200

    def enroll(self, envelope_for: x509.Certificate, *, oaep: bool = False) -> tuple[PKIMessage, x509.Certificate]:
        """The answer to a new request, and who signed it."""
        client = ScepClient(key=KEY, certificate=CERTIFICATE, ra_certificate=envelope_for, oaep=oaep)
        request = client.send(
            MessageType.PKCS_REQ, csr_of(KEY, "device", self.password), transaction_id=secrets.token_hex(16)
        )
        post = urllib.request.Request(f"{self.url}?operation=PKIOperation", data=request, method="POST")
        post.add_header("Content-Type", "application/x-pki-message")
        with urllib.request.urlopen(post, timeout=60) as answer:
            received = decode(answer.read())
        verify(received, EVERYTHING)
        assert received.signer_certificate is not None
        return received.message, received.signer_certificate


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHSM:
    return SoftHSM(tmp_path / "hsm")


@pytest.fixture
def daemon(tmp_path: Path, hsm: SoftHSM) -> Iterator[Daemon]:
    with Daemon(tmp_path, token=hsm) as daemon:
        yield daemon


@pytest.mark.requirement("R-CEG-054")
@pytest.mark.requirement("R-CEG-055")
@pytest.mark.requirement("R-CEG-059")
@pytest.mark.requirement("R-CEG-060")
def test_keys_in_a_token_open_envelopes_and_sign_and_are_renewed(daemon: Daemon) -> None:
    device = Device(daemon)
    first, issuing, root = device.certificates()  # waits for what the first start makes
    assert isinstance(first.public_key(), rsa.RSAPublicKey)
    first.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    for oaep in (False, True):
        answer, signer = device.enroll(first, oaep=oaep)
        assert (answer.pki_status, signer) == (PKIStatus.SUCCESS, first)
    [listed] = daemon.cspctl_json("scep", "ra", "list")
    assert listed["key"].startswith("token:")
    assert listed["serial"] == f"{first.serial_number:x}"
    assert daemon.cspctl_json("scep", "ra", "renew", CA) == {"ca": CA}
    wait_until(lambda: device.certificates()[0] != first, what="the new certificate")
    second = device.certificates()[0]
    for certificate in (first, second):
        answer, signer = device.enroll(certificate)
        assert (answer.pki_status, signer) == (PKIStatus.SUCCESS, second)


def test_a_token_that_is_away_is_said_and_used_when_it_comes_back(daemon: Daemon, hsm: SoftHSM) -> None:
    device = Device(daemon)
    certificate = device.certificates()[0]
    assert daemon.stop() == 0
    away = hsm.tokens.with_name("away")
    hsm.tokens.rename(away)
    hsm.tokens.mkdir()
    daemon.start()
    with pytest.raises(urllib.error.HTTPError) as refused:
        device.enroll(certificate)
    assert refused.value.code >= 500
    refused.value.close()
    hsm.tokens.rmdir()
    away.rename(hsm.tokens)

    def is_back() -> bool:
        try:
            answer, signer = device.enroll(certificate)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        return answer.pki_status is PKIStatus.SUCCESS and signer == certificate

    wait_until(is_back, what="the token", seconds=120)


@pytest.mark.requirement("R-CEG-059")
def test_two_nodes_renew_in_turn_and_never_refuse(tmp_path: Path) -> None:
    """Each opens envelopes for what the other gives, the previous one included, until its grace is over."""
    server = PostgreSQLServer()
    try:
        server.start()
        changes = {
            CERTIFICATES: [{"ca": CA, "grace": "25s"}],
            "protocols.scep.renew_registration_authorities": "* * * * * *",
        }
        with (
            Daemon(tmp_path, store_url=server.url(), start=False, changes=changes) as first,
            first.another_node() as second,
        ):
            first.start()
            second.start()
            nodes = Device(first), Device(second)
            seen: list[x509.Certificate] = []

            def asked() -> None:
                for one, other in (nodes, nodes[::-1]):
                    certificate = one.certificates()[0]
                    if certificate not in seen:
                        seen.append(certificate)
                    answer, _ = other.enroll(certificate)
                    assert answer.pki_status is PKIStatus.SUCCESS, answer

            asked()
            for number, node in enumerate((first, second), start=1):
                node.cspctl("scep", "ra", "renew", CA)

                def is_new(number: int = number) -> bool:
                    asked()
                    return len(seen) > number

                wait_until(is_new, what="the successor", seconds=120)
            query = "SELECT count(*) FROM scep_registration_authorities"
            wait_until(lambda: str(server.execute(query)[0][0]) == "1", what="the end of the grace", seconds=120)
            wait_until(lambda: all(each.certificates()[0] == seen[-1] for each in nodes), what="both nodes", seconds=60)
            for node in nodes:
                answer, signer = node.enroll(seen[0])
                assert (answer.pki_status, answer.fail_info) == (PKIStatus.FAILURE, FailInfo.BAD_MESSAGE_CHECK)
                assert signer == seen[-1]
            assert len(seen) == 3
    finally:
        server.remove()


@pytest.mark.requirement("R-CEG-056")
@pytest.mark.requirement("R-CEG-058")
@pytest.mark.requirement("R-CEGI-007")
def test_what_conf_gets_wrong_fails_the_check_and_the_reload(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        device = Device(daemon)
        certificate = device.certificates()[0]
        for wrong, says in (
            ([], f"registration_authorities: there is none for {CA}"),
            ([{"ca": CA, "key_type": "ec-p256"}], "envelopes need a key that decrypts"),
            (
                [{"ca": CA, "profile": "scep-digital-signature"}],
                "profile scep-digital-signature has no keyEncipherment in its key_usage",
            ),
        ):
            daemon.change({CERTIFICATES: wrong})
            done = daemon.cspctl("config", "check", expect=None)
            assert done.returncode != 0
            assert says in " ".join(done.stdout.split())
            daemon.reload()
            answer, signer = device.enroll(certificate)
            assert (answer.pki_status, signer) == (PKIStatus.SUCCESS, certificate), "the old configuration goes on"
        other = Device(daemon)
        wanted = other.url.replace(CA, "demo~root")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{wanted}?operation=GetCACert", timeout=60)
        assert refused.value.code == 404
        refused.value.close()
