"""Windows enrollment at the real daemon: curl posts, lxml reads, openssl verifies. The domain is another test's."""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from tests.support.daemon import Daemon
from tests.support.processes import program, run

pytestmark = pytest.mark.interop

NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "o": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "t": "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
    "w": "http://schemas.microsoft.com/windows/pki/2009/01/enrollment",
}
ISSUE = f"{NAMES['t']}/Issue"
QUERY = f"{NAMES['w']}/QueryTokenStatus"


class Client:
    """A user of the demonstration."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        facts = tomllib.loads((daemon.folder / "demo.toml").read_text())
        self.daemon, self.folder, self.url = daemon, folder, str(facts["wstep"])
        self.user, self.password = facts["wstep_user"], facts["secrets"]["wstep_password"]

    def csr(self) -> bytes:
        """A PKCS #10 of openssl, DER."""
        path = self.folder / "request.der"
        asks = ["-subj", "/CN=administrator", "-addext", "keyUsage=digitalSignature"]
        made = ["-newkey", "rsa:2048", "-nodes", "-keyout", self.folder / "user.key", "-outform", "DER", "-out", path]
        run([program("openssl"), "req", "-new", *made, *asks])
        return path.read_bytes()

    def ask(
        self, inner: str, *, password: str | None = None, url: str | None = None, media: str = "application/soap+xml"
    ) -> tuple[int, etree._Element]:
        """Status and answer."""
        namespaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
        security = (
            f'<o:Security s:mustUnderstand="1"><o:UsernameToken><o:Username>{self.user}</o:Username>'
            f"<o:Password>{password or self.password}</o:Password></o:UsernameToken></o:Security>"
        )
        path, answer = self.folder / "message.xml", self.folder / "answer.xml"
        path.write_text(
            f"<s:Envelope {namespaces}><s:Header><a:Action s:mustUnderstand='1'>{NAMES['w']}/RST/wstep</a:Action>"
            f"<a:MessageID>urn:uuid:7</a:MessageID>{security}</s:Header>"
            f"<s:Body><t:RequestSecurityToken>{inner}</t:RequestSecurityToken></s:Body></s:Envelope>"
        )
        status = run(
            [
                *(program("curl"), "--silent", "--cacert", self.daemon.root_pem, "--output", answer),
                *("--write-out", "%{http_code}", "--header", f"content-type: {media}; charset=utf-8"),
                *("--data-binary", f"@{path}", url or self.url),
            ]
        ).stdout
        return int(status), etree.fromstring(answer.read_bytes())

    def issue(self) -> etree._Element:
        """The answer to a request for a certificate."""
        token = base64.encodebytes(self.csr()).decode()
        status, answer = self.ask(
            f"<t:RequestType>{ISSUE}</t:RequestType><o:BinarySecurityToken>{token}</o:BinarySecurityToken>"
        )
        assert status == 200
        return answer


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Daemon(tmp_path_factory.mktemp("wstep")) as daemon:
        yield Client(daemon, tmp_path_factory.mktemp("client"))


def text(answer: etree._Element, path: str) -> str:
    found = answer.find(f".//{path}", NAMES)
    assert found is not None, etree.tostring(answer)
    return found.text or ""


def certificate_of(answer: etree._Element) -> x509.Certificate:
    token = text(answer, "t:RequestedSecurityToken/o:BinarySecurityToken")
    return x509.load_der_x509_certificate(base64.b64decode(token))


@pytest.mark.requirement("R-CEG-010")
def test_a_certificate_and_the_response_that_the_ca_signs(client: Client) -> None:
    answer = client.issue()
    certificate = certificate_of(answer)
    assert certificate.subject.rfc4514_string() == "CN=demo"
    assert text(answer, "a:RelatesTo") == "urn:uuid:7"
    response, leaf = client.folder / "response.p7", client.folder / "leaf.pem"
    response.write_bytes(base64.b64decode(text(answer, "t:RequestSecurityTokenResponse/o:BinarySecurityToken")))
    leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
    trust = ["-CAfile", client.daemon.root_pem]
    verifies = ["-verify", "-inform", "DER", "-in", response, *trust, "-purpose", "any", "-out", client.folder / "x"]
    run([program("openssl"), "cms", *verifies])
    issuing = client.daemon.folder / "pki" / "issuing.pem"
    run([program("openssl"), "verify", *trust, "-untrusted", issuing, leaf])


def test_a_request_id_lasts_over_a_restart(client: Client) -> None:
    first = client.issue()
    client.daemon.stop()
    client.daemon.start()
    query = f"<t:RequestType>{QUERY}</t:RequestType><w:RequestID>{text(first, 'w:RequestID')}</w:RequestID>"
    status, again = client.ask(query)
    assert status == 200
    assert certificate_of(again) == certificate_of(first)


def test_faults(client: Client) -> None:
    status, fault = client.ask("<t:RequestType/>")
    assert (status, text(fault, "s:Subcode/s:Value")) == (500, "q:InvalidRequest")
    status, fault = client.ask(f"<t:RequestType>{ISSUE}</t:RequestType>", password="wrong")
    assert (status, text(fault, "s:Subcode/s:Value")) == (500, "q:FailedAuthentication")
    status, fault = client.ask(f"<x>{'x' * 3_000_000}</x>")
    assert (status, text(fault, "s:Value")) == (413, "s:Sender")


@pytest.mark.requirement("R-CEG-010")
@pytest.mark.requirement("R-CEG-124")
def test_what_is_not_served(client: Client) -> None:
    get = [program("curl"), "--silent", "--cacert", client.daemon.root_pem, "--output", client.folder / "x"]
    for url in (
        client.url.replace("usertoken", "kerberos"),
        client.url.replace("usertoken", "certificate"),
        client.url.replace("issuing", "root"),
        client.url.replace(client.daemon.https_url, client.daemon.http_url),
    ):
        assert run([*get, "--write-out", "%{http_code}", "--data", "x", url]).stdout == "404"
