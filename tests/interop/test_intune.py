"""The real daemon with a stand-in for Microsoft's side on HTTPS: enrollment, refusal, outage, kill -9, revocation."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from protocols.scep.message_data import decode_message_data
from protocols.scep.messages import CertsOnly, FailInfo, MessageType, PKIMessage, PKIStatus
from tests.support.connect_proxy import ConnectProxy
from tests.support.daemon import Daemon
from tests.support.intune_service import (
    APPLICATION,
    CHALLENGE,
    FAILURE,
    SECRET,
    SUCCESS,
    TENANT,
    UPLOAD,
    VALIDATE,
    Fault,
    IntuneServer,
)
from tests.support.processes import program, run, wait_until
from tests.support.scep_client import ScepClient, certificate_of, csr_of
from tests.unit.http.certificates import make

pytestmark = pytest.mark.interop

CA = "demo~issuing"
PROFILE = "intune-digital-signature-key-encipherment"
PATH = f"/scep/demo/{CA}/{PROFILE}/intune/"
AGES = 100_000.0
"""Seconds that no test waits."""


class Site:
    """A server, Microsoft's side of it, and devices."""

    def __init__(self, daemon: Daemon, intune: IntuneServer) -> None:
        self.daemon, self.intune = daemon, intune

    def settings(self, **changes: Any) -> list[dict[str, Any]]:
        """``[[protocols.scep.intune]]``; None takes a key away."""
        written = {
            "ca": CA,
            "profiles": [PROFILE],
            "azure_application_id": APPLICATION,
            "azure_tenant": TENANT,
            "application_secret": {"store": "intune"},
            "override_endpoints": True,
            "endpoints": self.intune.endpoints,
            "revocation_schedule": "0/3 * * * * ?",
            **changes,
        }
        return [{name: value for name, value in written.items() if value is not None}]

    def configure(self, *, outbound: dict[str, Any] | None = None, **changes: Any) -> None:
        """Write it."""
        connects = {"ca_file": str(self.intune.ca_pem), "timeout": "3s", **(outbound or {})}
        self.daemon.change({"outbound": connects, "protocols.scep.intune": self.settings(**changes)})

    def ask(self, body: bytes, *, secure: bool = False) -> tuple[int, bytes]:
        """Status and body of the answer to a message."""
        base = self.daemon.https_url if secure else self.daemon.http_url
        context = ssl.create_default_context(cafile=str(self.daemon.root_pem)) if secure else None
        headers = {"Content-Type": "application/x-pki-message"}
        request = urllib.request.Request(f"{base}{PATH}?operation=PKIOperation", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def device(self, key: rsa.RSAPrivateKey) -> ScepClient:
        """One that has fetched the certificates, as GetCACert gives them."""
        with urllib.request.urlopen(f"{self.daemon.http_url}{PATH}?operation=GetCACert", timeout=60) as answer:
            found = x509_of(answer.read())
        [authority] = [
            each for each in found if each.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment
        ]
        return ScepClient(key=key, certificate=certificate_of(key, "device"), ra_certificate=authority)

    def try_to_enroll(self, challenge: str = CHALLENGE, **how: bool) -> tuple[int, PKIMessage | None, Any]:
        """What a new device is answered: status, message, and what it gives."""
        key = rsa.generate_private_key(65537, 2048)
        device = self.device(key)
        status, body = self.ask(device.enrollment(csr_of(key, "device", challenge)), **how)
        return (status, *device.read(body)) if status == 200 else (status, None, None)

    def enroll(self, **how: bool) -> x509.Certificate:
        """The certificate of a new device."""
        status, message, data = self.try_to_enroll(**how)
        assert message is not None, (status, self.daemon.output()[-3000:])
        assert message.pki_status is PKIStatus.SUCCESS, message
        assert isinstance(data, CertsOnly)
        return x509.load_der_x509_certificate(data.certificates_der[0])

    def was_told(self, certificate: x509.Certificate) -> Callable[[], bool]:
        """Whether Intune has heard of it."""
        serial = format(certificate.serial_number, "X")
        return lambda: any(
            each["certificateSerialNumber"].lstrip("0") == serial for each in self.intune.bodies(SUCCESS)
        )

    def state(self, certificate: x509.Certificate) -> str:
        """Whether it is good."""
        return str(self.daemon.cspctl_json("cert", "show", CA, f"{certificate.serial_number:x}")["state"])

    def health(self) -> dict[str, Any]:
        """Of the connection to Intune."""
        url = f"{self.daemon.http_url}/health"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        return next(each for each in json.loads(body)["parts"] if each["part"] == f"scep-intune-{CA}")


def x509_of(certs_only_der: bytes) -> list[x509.Certificate]:
    """The certificates of a degenerate SignedData."""
    found = decode_message_data(MessageType.CERT_REP, certs_only_der)
    assert isinstance(found, CertsOnly)
    return [x509.load_der_x509_certificate(each) for each in found.certificates_der]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("intune")
    with IntuneServer(folder) as intune:
        daemon = Daemon(folder, start=False)
        site = Site(daemon, intune)
        daemon.cspctl("secret", "set", "intune", given=SECRET)
        site.configure()
        with daemon:
            daemon.start()
            yield site


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """With nothing left of the last test, and nothing wrong with what it was sent."""
    running.intune.faults.clear()
    running.intune.codes.clear()
    yield running
    assert running.intune.complaints == []


@pytest.mark.requirement("R-CEG-007")
@pytest.mark.requirement("R-CEG-074")
@pytest.mark.requirement("R-CEG-075")
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_device_enrolls_and_intune_hears_of_it(site: Site, secure: bool) -> None:
    certificate = site.enroll(secure=secure)
    wait_until(site.was_told(certificate), what="the success notification")
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()  # Windows' name for it
    [told] = [each for each in site.intune.bodies(SUCCESS) if each["certificateThumbprint"] == thumbprint]
    validated = [each for each in site.intune.bodies(VALIDATE) if each["transactionId"] == told["transactionId"]]
    assert [each["certificateRequest"] for each in validated] == [told["certificateRequest"]]
    assert told["issuingCertificateAuthority"] == certificate.issuer.rfc4514_string()


@pytest.mark.requirement("R-CEGI-123")
def test_strongswan_enrolls_with_intune_s_challenge(site: Site, tmp_path: Path) -> None:
    url = f"{site.daemon.http_url}{PATH}"
    outputs = ["--caout", tmp_path / "ca.pem", "--raout", tmp_path / "ra.pem", "--outform", "pem"]
    run([program("pki"), "--scepca", "--url", url, *outputs])
    run([program("openssl"), "genrsa", "-out", tmp_path / "device.key", "2048"])
    cas = [option for path in sorted(tmp_path.glob("ca*.pem")) for option in ("--cacert", path)]
    asks = ["--url", url, "--in", tmp_path / "device.key", "--dn", "CN=strongswan", "--password", CHALLENGE]
    trusts = ["--cacert-enc", tmp_path / "ra.pem", "--cacert-sig", tmp_path / "ra.pem", *cas]
    pem = run([program("pki"), "--scep", *asks, *trusts, "--outform", "pem"]).stdout
    certificate = x509.load_pem_x509_certificate(pem.encode())
    wait_until(site.was_told(certificate), what="the success notification")


@pytest.mark.requirement("R-CEGI-111")
def test_a_device_that_intune_does_not_know_is_refused(site: Site) -> None:
    before = len(site.intune.bodies(SUCCESS))
    _, message, _ = site.try_to_enroll("guessed")
    assert message is not None
    assert (message.pki_status, message.fail_info) == (PKIStatus.FAILURE, FailInfo.BAD_MESSAGE_CHECK)
    wait_until(lambda: bool(site.intune.bodies(FAILURE)), what="the failure notification")
    assert len(site.intune.bodies(SUCCESS)) == before


OUTAGES = {
    "no connection": [Fault(is_reset=True)] * 3,
    "no answer": [Fault(delay=AGES)] * 10,
    "errors": [Fault(status=500)] * 3,
    "nonsense": [Fault(status=200, body=b"{")],
}


@pytest.mark.requirement("R-CEG-082")
@pytest.mark.requirement("R-CEGI-111")
@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_of_intune_gives_no_certificate(site: Site, name: str) -> None:
    site.intune.faults[VALIDATE] += OUTAGES[name]
    assert site.try_to_enroll()[0] == 503
    assert site.health()["state"] == "degraded"
    site.intune.faults.clear()
    site.enroll()


@pytest.mark.requirement("R-CEGI-112")
def test_a_notification_survives_kill_9(site: Site) -> None:
    site.intune.faults[SUCCESS] += [Fault(delay=AGES)]
    certificate = site.enroll()
    assert not site.was_told(certificate)()
    site.daemon.kill()
    site.intune.faults.clear()
    site.daemon.start()
    wait_until(site.was_told(certificate), what="the success notification", seconds=180)
    assert site.state(certificate) == "good"


@pytest.mark.requirement("R-CEG-079")
@pytest.mark.requirement("R-CEG-080")
@pytest.mark.requirement("R-CEGI-120")
def test_what_intune_wants_revoked_is_revoked_and_told(site: Site) -> None:
    certificate, other = site.enroll(), site.enroll()
    wait_until(site.was_told(certificate), what="the success notification")
    serial = format(certificate.serial_number, "X")
    issuer = certificate.issuer.rfc4514_string()
    orders = [
        {"requestContext": "c1", "serialNumber": serial, "issuerName": issuer, "caConfiguration": None},
        {"requestContext": "c2", "serialNumber": "01", "issuerName": issuer, "caConfiguration": None},
    ]
    # Intune does not hear of it the first time, and gives the same orders again.
    site.intune.faults[UPLOAD] += [Fault(status=400)]
    site.intune.orders = list(orders)
    wait_until(lambda: not site.intune.orders, what="the results", seconds=120)
    found = {each["requestContext"]: (each["succeeded"], each["errorCode"]) for each in site.intune.results}
    assert found == {"c1": (True, "0"), "c2": (False, "4004")}
    assert site.state(certificate) == "revoked"
    assert site.state(other) == "good"


@pytest.mark.requirement("R-CEGI-117")
@pytest.mark.requirement("R-CEGI-122")
def test_a_secret_that_has_expired_is_told_and_a_new_one_works_after_a_reload(site: Site) -> None:
    site.intune.secrets, site.intune.secret_error = {"a new secret"}, 7000222
    site.daemon.reload()
    assert site.try_to_enroll()[0] == 503
    health = site.health()
    assert health["state"] == "failed"
    assert "the application's client secret has expired" in health["reason"]
    assert "the application's client secret has expired" in site.daemon.output()
    assert SECRET not in site.daemon.output()
    site.daemon.cspctl("secret", "set", "intune", given="a new secret")
    site.daemon.reload()
    site.enroll()
    assert site.health()["state"] == "ok"


@pytest.mark.requirement("R-CEG-077")
@pytest.mark.requirement("R-CEGI-117")
def test_the_application_s_certificate_works_too_and_its_password_is_checked(site: Site) -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate = make("application", key=key).certificate
    content = serialize_key_and_certificates(b"app", key, certificate, None, BestAvailableEncryption(b"right"))
    (site.daemon.folder / "app.p12").write_bytes(content)
    (site.daemon.folder / "app.p12").chmod(0o600)
    site.intune.certificate, site.intune.secrets = certificate, set()
    site.daemon.cspctl("secret", "set", "intune-p12", given="wrong")
    by_file = {"application_p12": "app.p12", "application_p12_password": {"store": "intune-p12"}}
    site.configure(application_secret=None, **by_file)
    checked = site.daemon.cspctl("config", "check", expect=1)
    assert "app.p12 cannot be opened: the password is wrong" in checked.stdout
    site.daemon.cspctl("secret", "set", "intune-p12", given="right")
    site.daemon.cspctl("config", "check")
    site.daemon.reload()
    wait_until(site.was_told(site.enroll()), what="the success notification")


@pytest.mark.requirement("R-CEGI-121")
@pytest.mark.requirement("R-CEG-020")
def test_everything_goes_through_the_proxy(site: Site) -> None:
    site.intune.secrets = {SECRET}
    site.daemon.cspctl("secret", "set", "intune", given=SECRET)
    site.daemon.cspctl("secret", "set", "proxy", given="proxy password")
    authorization = "Basic " + b64encode(b"cspd:proxy password").decode()
    through = {"proxy_user": "cspd", "proxy_password": {"store": "proxy"}}
    with ConnectProxy(authorization=authorization) as proxy:
        site.configure(outbound={"proxy": proxy.url, **through})
        site.daemon.reload()
        before = len(site.intune.asked)
        wait_until(site.was_told(site.enroll()), what="the success notification")
        # Login (two requests for each of two tokens at most), Graph, validation, notification: none goes beside it.
        assert set(proxy.targets) == {f"localhost:{site.intune.port}"}
        assert len(proxy.targets) >= 5
        assert len(site.intune.asked) - before <= len(proxy.targets)
        assert proxy.strangers == 0
    assert site.try_to_enroll()[0] == 503, "without the proxy there is no way, and none is looked for"
    site.configure()
    site.daemon.reload()
    site.enroll()
