"""The MDM web service of the real daemon: curl and zeep order, strongSwan's devices enroll, openssl opens."""

from __future__ import annotations

import json
import tomllib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
from zeep.exceptions import Fault
from zeep.transports import Transport

from cspd.x509.names import format_name
from tests.support.daemon import Daemon
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

CA = "demo~issuing"
PROFILE = "mdmws-p12-digital-signature-key-encipherment"
SPACED = "My Digital ID"
VARIABLES = {"user": "ann", "device": "phone"}
SUBJECT = "CN=ann phone,OU=Devices,O=cspd demo"


class Product:
    """What manages devices, with curl."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        facts = tomllib.loads((daemon.folder / "demo.toml").read_text())
        self.url: str = facts["mdm"]
        self.user, self.password = facts["mdm_user"], facts["secrets"]["mdm_password"]
        self._config = folder / "curl"  # not on the command line, which other users of the machine see
        self._config.write_text(f'user = "{self.user}:{self.password}"\n')

    def ask(self, operation: str, message: Any, *, version: str = "v11") -> Any:
        """The value of a JSON answer."""
        headers = ["--header", "content-type: application/json", "--data-binary", json.dumps(message)]
        return json.loads(self.curl("--config", self._config, *headers, f"{self.url}/{version}/{operation}"))

    def curl(self, *arguments: str | Path) -> str:
        """What curl prints."""
        return run([program("curl"), "--silent", "--cacert", self.daemon.root_pem, *arguments]).stdout

    def challenge(self, name: str = "demo-device", **variables: str) -> Any:
        """A new challenge."""
        return self.ask("CreateChallenge", {"digitalId": name, "variables": {**VARIABLES, **variables}})


class Device:
    """strongSwan's pki, at the URL that its management gave it."""

    def __init__(self, product: Product, url: str, name: str) -> None:
        self._product, self._url = product, url
        self._folder = product.folder / name
        self._folder.mkdir()
        self.certificate = self._folder / "device.pem"
        self._key = self._folder / "device.key"
        run([program("openssl"), "genrsa", "-out", self._key, "2048"])
        files = ["--caout", self._folder / "ca.pem", "--raout", self._folder / "ra.pem"]
        run([program("pki"), "--scepca", "--url", url, *files, "--outform", "pem", "--force"])

    def enroll(self, challenge: str, *, url: str = "", expect: int = 0) -> x509.Certificate | None:
        """Its certificate, by a challenge, for a name that nobody ordered."""
        ra = self._folder / "ra.pem"
        cas = [option for path in sorted(self._folder.glob("ca*.pem")) for option in ("--cacert", path)]
        asks = ["--url", url or self._url, "--in", self._key, "--dn", "CN=administrator", "--outform", "pem"]
        by = ["--password", challenge, "--cacert-enc", ra, "--cacert-sig", ra, *cas]
        found = run([program("pki"), "--scep", *asks, *by], expect=expect)
        if expect:
            return None
        self.certificate.write_text(found.stdout)
        return x509.load_pem_x509_certificate(found.stdout.encode())


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    configuration = {
        "ca": CA,
        "profile": PROFILE,
        "parent_dn": "ou=Devices, o=cspd demo",
        "rdn_format": "cn=<user> <device>",
    }
    changes = {
        "digital_ids.configurations": [
            {"name": "demo-device", **configuration},
            {"name": SPACED, **configuration, "parent_dn": ""},
        ],
        "protocols.mdm.legacy_pkcs12": True,
    }
    with Daemon(tmp_path_factory.mktemp("mdm"), changes=changes) as daemon:
        yield Product(daemon, tmp_path_factory.mktemp("client"))


@pytest.mark.requirement("R-CEG-008")
@pytest.mark.requirement("R-CEG-013")
@pytest.mark.requirement("R-CEG-093")
@pytest.mark.requirement("R-CEGI-077")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_device_enrolls_with_the_challenge_of_an_order(product: Product, scheme: str) -> None:
    ordered = product.challenge(SPACED, device=scheme)
    url = ordered["scepUrl"] if scheme == "http" else ordered["scepHttpsUrl"]
    assert url.endswith("/scep/demo/My%20Digital%20ID/mdm")
    if scheme == "https":  # strongSwan's pki takes no other trust anchor than the system's
        caps = product.curl(f"{url}?operation=GetCACaps")
        assert "POSTPKIOperation" in caps
        return
    device = Device(product, url, "spaced")
    certificate = device.enroll(ordered["challenge"])
    assert certificate is not None
    assert format_name(certificate.subject) == "CN=ann http"
    run([program("openssl"), "verify", "-CAfile", product.daemon.root_pem, "-untrusted", product.daemon.issuing_pem,
         device.certificate])  # fmt: skip
    found = product.ask("FindCertificates", {"userId": ordered["userId"]})["certificates"]
    assert [each["serialNumber"] for each in found] == [f"{certificate.serial_number:x}"]
    assert (found[0]["delivery"], found[0]["state"], found[0]["digitalId"]) == ("scep", "good", SPACED)


@pytest.mark.requirement("R-CEG-095")
@pytest.mark.requirement("R-CEGI-077")
def test_a_challenge_is_good_once_and_for_its_digital_id(product: Product) -> None:
    ordered = product.challenge(device="once")
    other = ordered["scepUrl"].replace("demo-device", "My%20Digital%20ID")
    device = Device(product, ordered["scepUrl"], "once")
    device.enroll(ordered["challenge"], url=other, expect=1)
    device.enroll(ordered["challenge"])
    Device(product, ordered["scepUrl"], "twice").enroll(ordered["challenge"], expect=1)


@pytest.mark.requirement("R-CEG-091")
@pytest.mark.requirement("R-CEGI-075")
@pytest.mark.parametrize(
    ("legacy", "cipher", "mac"),
    [(False, "AES-256-CBC", "MAC: sha256"), (True, "pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1")],
)
def test_openssl_opens_a_pkcs12(product: Product, legacy: bool, cipher: str, mac: str) -> None:
    message = {"digitalId": "demo-device", "variables": VARIABLES, "legacyEncryption": legacy}
    issued = product.ask("IssuePKCS12", message)
    file, secret = product.folder / f"device-{legacy}.p12", product.folder / f"password-{legacy}"
    file.write_bytes(b64decode(issued["pkcs12"]))
    secret.write_text(issued["password"])
    opened = run([program("openssl"), "pkcs12", "-in", file, "-passin", f"file:{secret}", "-nodes", "-info"])
    assert cipher in opened.stdout
    assert mac in opened.stdout
    [certificate, *chain] = x509.load_pem_x509_certificates(opened.stdout.encode())
    assert format_name(certificate.subject) == SUBJECT
    assert len(chain) == 2
    assert opened.stdout.count("PRIVATE KEY-----") == 2
    wrong = [program("openssl"), "pkcs12", "-in", file, "-passin", "pass:wrong", "-noout"]
    run(wrong, expect=1)


@pytest.mark.requirement("R-CEG-021")
@pytest.mark.requirement("R-CEGI-075")
def test_nothing_of_the_key_is_written_anywhere(product: Product) -> None:
    """Neither key nor file nor password stand in the store, the log, or any other file of the installation."""
    issued = product.ask("IssuePKCS12", {"digitalId": "demo-device", "variables": VARIABLES})
    file = b64decode(issued["pkcs12"])
    opened = load_pkcs12(file, issued["password"].encode())
    assert opened.cert is not None
    assert isinstance(opened.key, rsa.RSAPrivateKey)
    numbers = opened.key.private_numbers()
    secrets = [each.to_bytes((each.bit_length() + 7) // 8, "big") for each in (numbers.p, numbers.q, numbers.d)]
    secrets += [file[-60:], *map(b64encode, secrets), issued["pkcs12"][-60:].encode(), issued["password"].encode()]
    written = b"".join(path.read_bytes() for path in product.daemon.folder.rglob("*") if path.is_file())
    written += product.daemon.log.read_bytes()
    assert opened.cert.certificate.public_bytes(Encoding.DER) in written, "or nothing would be found that is there"
    assert [secret for secret in secrets if secret in written] == []


def test_certificates_are_held_released_and_revoked(product: Product) -> None:
    issued = product.ask("IssuePKCS12", {"digitalId": "demo-device", "variables": {**VARIABLES, "device": "lost"}})
    which = {"ca": CA, "serialNumber": issued["certificate"]["serialNumber"]}

    def state() -> str:
        return str(product.daemon.cspctl_json("cert", "show", CA, which["serialNumber"])["state"])

    assert product.ask("HoldCertificate", which)["state"] == state() == "held"
    assert product.ask("ReleaseCertificate", which)["state"] == state() == "good"
    assert product.ask("RevokeCertificate", {**which, "reason": "keyCompromise"})["state"] == state() == "revoked"
    assert product.ask("GetCertificate", which)["revocationReason"] == "keyCompromise"


@pytest.mark.requirement("R-CEG-084")
@pytest.mark.requirement("R-CEG-098")
def test_an_independent_soap_client_does_the_same(product: Product) -> None:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(product.daemon.root_pem)
    for suffix in ("", "/AdminServiceV8", "/AdminServiceV9", "/AdminServiceV11"):
        session.auth = (product.user, product.password)
        client = zeep.Client(f"{product.url}{suffix}?wsdl", transport=Transport(session=session))
        assert [each.name for each in client.service.ListDigitalIDs()] == ["demo-device", SPACED]
    variables = {"variable": [{"name": name, "value": value} for name, value in VARIABLES.items()]}
    created = client.service.CreateChallenge("demo-device", variables)
    assert created.subject == SUBJECT
    certificate = Device(product, created.scepUrl, "soap").enroll(created.challenge)
    assert certificate is not None
    issued = client.service.IssuePKCS12("demo-device", variables, password="correct horse")
    assert issued.pkcs12[:1] == b"\x30"
    found = client.service.FindCertificates(digitalId="demo-device", variables=variables)
    assert found.userId == created.userId
    with pytest.raises(Fault, match="missing variable: device"):
        client.service.CreateChallenge("demo-device", {"variable": [{"name": "user", "value": "ann"}]})
    session.auth = (product.user, "wrong")
    with pytest.raises(Fault, match="unknown user, or wrong password"):
        client.service.ListDigitalIDs()
    session.close()


@pytest.mark.requirement("R-CEG-009")
@pytest.mark.requirement("R-CEG-084")
@pytest.mark.requirement("R-CEGI-070")
def test_wrong_credentials_and_plain_http_get_nothing(product: Product) -> None:
    status = ["--output", product.folder / "body", "--write-out", "%{http_code}", "--data-binary", "{}"]
    status += ["--header", "content-type: application/json"]
    operation = f"{product.url}/v11/ListDigitalIDs"
    assert product.curl(*status, operation) == "401"
    assert product.curl(*status, "--user", f"{product.user}:pass-w0rd", operation) == "401"
    plain = f"{product.daemon.http_url}/mdm/services/demo/v11/ListDigitalIDs"
    assert product.curl(*status, "--config", product.folder / "curl", plain) == "404"
    events = product.daemon.cspctl_json("audit", "tail", "--count", "10000")
    assert f"mdm:{product.user}" in {each["actor"] for each in events if each["event"] == "mdm-user-refused"}
    assert "pass-w0rd" not in json.dumps(events) + product.daemon.output()


@pytest.mark.requirement("R-CEG-024")
@pytest.mark.requirement("R-CEG-097")
@pytest.mark.requirement("R-CEGI-079")
def test_one_switch_closes_both_doors(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        product = Product(daemon, tmp_path)
        status = ["--output", tmp_path / "body", "--write-out", "%{http_code}"]
        doors = (
            f"{product.url}?wsdl",
            f"{daemon.http_url}/scep/demo/demo-device/mdm?operation=GetCACaps",
            f"{daemon.https_url}/scep/demo/demo-device/mdm?operation=GetCACaps",
        )
        assert [product.curl(*status, door) for door in doors] == ["200", "200", "200"]
        daemon.change({"digital_ids.enabled": False})
        daemon.reload()
        assert [product.curl(*status, door) for door in doors] == ["404", "404", "404"]
        daemon.change({"digital_ids.enabled": True})
        daemon.reload()
        assert [product.curl(*status, door) for door in doors] == ["200", "200", "200"]
