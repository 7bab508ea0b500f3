"""What curl carries to the real daemon: requests that openssl made and enveloped, answers that openssl reads."""

from __future__ import annotations

import tomllib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cspd.x509.cms.signed import read_signed_data
from protocols.scep.ca_certificates import decode_ca_certificates
from protocols.scep.messages import MessageType
from tests.support.daemon import Daemon
from tests.support.processes import program, run
from tests.support.scep_client import ScepClient, certificate_of

pytestmark = pytest.mark.interop

PATH = "/scep/demo/demo~issuing/scep-digital-signature-key-encipherment"
CONFIGURATION = """
[req]
prompt = no
distinguished_name = name
attributes = attributes
req_extensions = extensions
[name]
CN = {name}
[attributes]
challengePassword = {challenge}
[extensions]
subjectAltName = DNS:{name}.example.test
"""


class Site:
    """A server, and a folder for a client's files."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        self.challenge = tomllib.loads((daemon.folder / "demo.toml").read_text())["secrets"]["scep_challenge"]
        found = decode_ca_certificates(
            "application/x-x509-ca-ra-cert", self.curl(f"{daemon.http_url}{PATH}?operation=GetCACert")
        )
        certificates = [x509.load_der_x509_certificate(each) for each in found]
        [self.ra] = [each for each in certificates if "SCEP RA" in each.subject.rfc4514_string()]
        (folder / "ra.pem").write_bytes(self.ra.public_bytes(Encoding.PEM))
        others = [each.public_bytes(Encoding.PEM) for each in certificates if each != self.ra]
        (folder / "chain.pem").write_bytes(b"".join(others))

    def openssl(self, *arguments: str) -> str:
        """Run in the folder."""
        return run([program("openssl"), *arguments], cwd=self.folder).stdout

    def curl(self, url: str, *options: str) -> bytes:
        """The body; fails for another status than 200."""
        to = self.folder / "body"
        quiet = ["--silent", "--show-error", "--fail", "--globoff", "--cacert", str(self.daemon.root_pem)]
        run([program("curl"), *quiet, "--output", str(to), *options, url], cwd=self.folder)
        return to.read_bytes()

    def request(self, name: str, cipher: str = "-aes-128-cbc") -> tuple[ScepClient, bytes]:
        """A device, and the pkiMessage with what openssl made and enveloped."""
        (self.folder / "req.cnf").write_text(CONFIGURATION.format(name=name, challenge=self.challenge))
        self.openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-config", "req.cnf",
                     "-outform", "DER", "-out", "csr")  # fmt: skip
        self.openssl(
            "cms", "-encrypt", "-binary", "-in", "csr", "-outform", "DER", "-out", "envelope", cipher, "ra.pem"
        )
        key = load_pem_private_key((self.folder / f"{name}.key").read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        device = ScepClient(key=key, certificate=certificate_of(key, name), ra_certificate=self.ra)
        (self.folder / f"{name}.pem").write_bytes(device.certificate.public_bytes(Encoding.PEM))
        return device, device.sign(MessageType.PKCS_REQ, (self.folder / "envelope").read_bytes())

    def read(self, name: str, answer_der: bytes) -> x509.Certificate:
        """The certificate that openssl finds in an answer, after it has verified the signature of that."""
        (self.folder / "answer").write_bytes(answer_der)
        self.openssl("cms", "-verify", "-inform", "DER", "-in", "answer", "-CAfile", "chain.pem", "-purpose", "any",
                     "-binary", "-out", "envelope")  # fmt: skip
        self.openssl("cms", "-decrypt", "-inform", "DER", "-in", "envelope", "-inkey", f"{name}.key",
                     "-recip", f"{name}.pem", "-out", "certificates")  # fmt: skip
        [certificate_der] = read_signed_data((self.folder / "certificates").read_bytes()).certificates_der
        (self.folder / "issued.pem").write_bytes(
            x509.load_der_x509_certificate(certificate_der).public_bytes(Encoding.PEM)
        )
        self.openssl("verify", "-CAfile", "chain.pem", "issued.pem")
        return x509.load_der_x509_certificate(certificate_der)

    def post(self, message_der: bytes, *options: str, base: str = "", end: str = "/") -> bytes:
        """POST a message."""
        (self.folder / "message").write_bytes(message_der)
        url = f"{base or self.daemon.http_url}{PATH}{end}?operation=PKIOperation"
        return self.curl(url, "--data-binary", "@message", *options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    changes = {"protocols.scep.allow_des3": True}
    with Daemon(tmp_path_factory.mktemp("scep"), changes=changes) as daemon:
        yield Site(daemon, tmp_path_factory.mktemp("client"))


@pytest.mark.requirement("R-CEG-054", "R-CEG-061")
@pytest.mark.parametrize("cipher", ["-aes-128-cbc", "-aes-256-cbc", "-des-ede3-cbc"])
def test_openssl_reads_the_answer_to_what_it_enveloped(site: Site, cipher: str) -> None:
    device, message_der = site.request("device", cipher)
    certificate = site.read("device", site.post(message_der))
    assert certificate.public_key() == device.key.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["device.example.test"]


@pytest.mark.requirement("R-CEG-006", "R-CEGI-002")
@pytest.mark.parametrize("form", ["clear", "TLS"])
@pytest.mark.parametrize("method", ["POST", "GET", "GET with bare base64"])
def test_every_way_to_send_a_message_works(site: Site, form: str, method: str) -> None:
    base = site.daemon.http_url if form == "clear" else site.daemon.https_url
    _, message_der = site.request("device")
    if method == "POST":
        answer_der = site.post(message_der, base=base)
    else:
        text = b64encode(message_der).decode()
        if method == "GET":
            text = text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        answer_der = site.curl(f"{base}{PATH}/?operation=PKIOperation&message={text}")
    site.read("device", answer_der)


@pytest.mark.parametrize(
    "content_type", ["application/x-pki-message", "application/octet-stream", "application/x-www-form-urlencoded", ""]
)
def test_a_message_may_be_called_anything(site: Site, content_type: str) -> None:
    _, message_der = site.request("device")
    site.read("device", site.post(message_der, "--header", f"Content-Type: {content_type}".rstrip() or "Content-Type:"))


@pytest.mark.requirement("R-CEG-011")
@pytest.mark.parametrize("end", ["", "/pkiclient.exe", "/nop/pkiclient.exe", "/nop/cgi-bin/pkiclient.exe"])
def test_every_form_of_the_url_is_served(site: Site, end: str) -> None:
    _, message_der = site.request("device")
    site.read("device", site.post(message_der, end=end))


@pytest.mark.requirement("R-CEG-071")
def test_a_request_that_comes_again_after_a_restart_gets_the_same_certificate(site: Site) -> None:
    _, message_der = site.request("device")
    first = site.read("device", site.post(message_der))
    site.daemon.stop()
    site.daemon.start()
    assert site.read("device", site.post(message_der)) == first


@pytest.mark.requirement("R-CEG-022")
def test_without_its_section_nothing_is_served(tmp_path: Path) -> None:
    with Daemon(tmp_path, start=False) as daemon:
        listeners = tomllib.loads(daemon.config.read_text())["listeners"]
        others = {
            f"listeners.{name}.protocols": [each for each in listener["protocols"] if each != "scep"]
            for name, listener in listeners.items()
        }
        daemon.change({"protocols.scep": None, **others})
        daemon.start()
        url = f"{daemon.http_url}{PATH}/?operation=GetCACaps"
        quiet = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
        assert run([program("curl"), *quiet, url]).stdout == "404"
