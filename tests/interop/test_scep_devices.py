"""What devices in the field send (:mod:`tests.support.scep_devices`) against the real daemon, over sockets.

Plain HTTP and HTTPS, HTTP/1.0 as old routers speak it, and what is too long to be a message.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from protocols.scep.ca_certificates import decode_ca_certificates
from protocols.scep.messages import CertsOnly, PKIStatus
from tests.support.daemon import Daemon
from tests.support.scep_client import ScepClient
from tests.support.scep_devices import Device, Sent, apple, apple_by_get, cisco, windows

pytestmark = pytest.mark.interop

PATH = "/scep/demo/demo~issuing/scep-digital-signature-key-encipherment/"
MEDIA_TYPE = "application/x-pki-message"


class Site:
    """The demonstration's daemon, and who asks it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.challenge = (daemon.folder / "scep-challenge").read_text().strip()
        self._tls = ssl.create_default_context(cafile=str(daemon.root_pem))

    def ask(self, sent: Sent, *, scheme: str = "http", version: int = 11) -> tuple[HTTPResponse, bytes]:
        """The answer to a request of HTTP/1.1, or 1.0."""
        if scheme == "https":
            connection: HTTPConnection = HTTPSConnection("localhost", self.daemon.https_port, context=self._tls)
        else:
            connection = HTTPConnection("localhost", self.daemon.http_port)
        connection._http_vsn = version  # type: ignore[attr-defined]  # there is no other way to say it
        connection._http_vsn_str = f"HTTP/{version / 10}"  # type: ignore[attr-defined]
        headers = {"Content-Type": MEDIA_TYPE} if sent.body is not None else {}
        method = "GET" if sent.body is None else "POST"
        connection.request(method, f"{PATH}{sent.path}?{sent.query}", sent.body, headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def ra_certificate(self) -> x509.Certificate:
        """The first certificate of GetCACert."""
        response, body = self.ask(Sent(query="operation=GetCACert"))
        first, *_ = decode_ca_certificates(response.getheader("Content-Type", ""), body)
        return x509.load_der_x509_certificate(first)

    def enroll(self, device: Device, **how: Any) -> x509.Certificate:
        """The certificate that a device gets."""
        response, body = self.ask(device.enroll(self.challenge), **how)
        assert (response.status, response.getheader("Content-Type")) == (200, MEDIA_TYPE), body
        reader = ScepClient(key=device.key, certificate=device.own_certificate, ra_certificate=device.ra_certificate)
        message, data = reader.read(body)
        assert message.pki_status is PKIStatus.SUCCESS, message
        assert isinstance(data, CertsOnly)
        return x509.load_der_x509_certificate(data.certificates_der[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Daemon(tmp_path_factory.mktemp("devices")) as daemon:
        yield Site(daemon)


def router(key: rsa.RSAPrivateKey, ra_certificate: x509.Certificate) -> Device:
    return cisco(key, ra_certificate, ra_certificate.issuer.public_bytes())


@pytest.mark.requirement("R-CEG-006")
@pytest.mark.requirement("R-CEG-011")
@pytest.mark.requirement("R-CEG-073")
@pytest.mark.requirement("R-CEGI-091")
@pytest.mark.parametrize("make", [apple, apple_by_get, router, windows])
def test_a_device_enrolls_over_http_and_https(site: Site, make: Callable[..., Device]) -> None:
    """GetCACert and GetCACaps first, as each of them does, and behind the URL what each of them puts there."""
    ra_certificate = site.ra_certificate()
    for scheme in ("http", "https"):
        key = rsa.generate_private_key(65537, 2048)
        device = make(key, ra_certificate)
        for operation in ("GetCACert", "GetCACaps"):
            response, _ = site.ask(device.operation(operation), scheme=scheme)
            assert response.status == 200
        assert site.enroll(device, scheme=scheme).public_key() == key.public_key()


def test_a_router_enrolls_by_http_1_0(site: Site) -> None:
    key = rsa.generate_private_key(65537, 2048)
    assert site.enroll(router(key, site.ra_certificate()), version=10).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(Sent(query="operation=PKIOperation", body=bytes(65537)), 413, id="body"),
        pytest.param(Sent(query=f"operation=PKIOperation&message={'A' * 60_000}"), 414, id="query"),
    ],
)
def test_what_is_too_long_is_refused_before_it_is_read(site: Site, sent: Sent, status: int) -> None:
    response, _ = site.ask(sent)
    assert response.status == status
    assert site.ask(Sent(query="operation=GetCACaps"))[0].status == 200
