"""Transactions of SCEP against the real daemon: over two nodes, at one moment, and over ``kill -9``."""

from __future__ import annotations

import http.client
import sqlite3
import threading
import tomllib
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509.certificate_fields import fields_of
from protocols.scep.ca_certificates import decode_ca_certificates
from protocols.scep.messages import CertsOnly, IssuerAndSubject, MessageType, PKIStatus
from tests.support.daemon import Daemon
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import wait_until
from tests.support.scep_client import ScepClient, certificate_of, csr_of, name_of

pytestmark = pytest.mark.interop

PATH = "/scep/demo/demo~issuing/scep-digital-signature-key-encipherment/"
SERVICE = {"ca": "demo~issuing", "challenge": {"store": "scep-challenge"}}
DEVICES_AT_ONE_MOMENT = 4
CRASHES = 4
CLIENTS = 3


class Gone(Exception):
    """The server did not answer."""


def ask(daemon: Daemon, method: str, query: str, body: bytes | None = None) -> bytes:
    """The body of an answer."""
    connection = http.client.HTTPConnection(urlsplit(daemon.http_url).netloc, timeout=30)
    try:
        connection.request(method, f"{PATH}?{query}", body)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Gone(repr(error)) from error
    finally:
        connection.close()
    if response.status == 503:
        raise Gone(answer.decode())
    assert response.status == 200, answer
    return answer


def send(daemon: Daemon, message_der: bytes) -> bytes:
    """The CertRep."""
    return ask(daemon, "POST", "operation=PKIOperation", message_der)


class Site:
    """A server, and what devices have to know of it."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._challenge = tomllib.loads((daemon.folder / "demo.toml").read_text())["secrets"]["scep_challenge"]
        found = decode_ca_certificates("application/x-x509-ca-ra-cert", ask(daemon, "GET", "operation=GetCACert"))
        certificates = [x509.load_der_x509_certificate(each) for each in found]
        [self._ra] = [each for each in certificates if "SCEP RA" in each.subject.rfc4514_string()]

    def device(self) -> tuple[ScepClient, bytes]:
        """A device with a new key, and its PKCSReq."""
        key = rsa.generate_private_key(65537, 2048)
        device = ScepClient(key=key, certificate=certificate_of(key, "device"), ra_certificate=self._ra)
        return device, device.enrollment(csr_of(key, "device", self._challenge))

    def poll(self, device: ScepClient) -> bytes:
        """A CertPoll."""
        issuer = fields_of(self._ra.public_bytes(Encoding.DER)).subject
        return device.ask(MessageType.CERT_POLL, IssuerAndSubject(issuer, name_of("device").public_bytes()))


def certificate(device: ScepClient, answer_der: bytes) -> bytes:
    """The certificate in an answer."""
    message, data = device.read(answer_der)
    assert message.pki_status is PKIStatus.SUCCESS, message
    assert isinstance(data, CertsOnly)
    [certificate_der] = data.certificates_der
    return certificate_der


@pytest.mark.requirement("R-CEG-071", "R-CEGI-012")
def test_two_nodes_serve_one_transaction(tmp_path: Path) -> None:
    """The same request to both at one moment; then asked at one, approved at the other, polled at the other."""
    server = PostgreSQLServer()
    try:
        server.start()
        with Daemon(tmp_path, store_url=server.url()) as first, first.another_node() as second:
            second.start()
            site = Site(first)
            for _ in range(DEVICES_AT_ONE_MOMENT):
                device, message_der = site.device()
                assert len(set(at_one_moment([first, second, first, second], device, message_der))) == 1
            for daemon in (first, second):
                daemon.change({"protocols.scep.services": [{**SERVICE, "approval": True}]})
                daemon.reload()
            device, message_der = site.device()
            assert device.read(send(first, message_der))[0].pki_status is PKIStatus.PENDING
            assert device.read(send(second, site.poll(device)))[0].pki_status is PKIStatus.PENDING
            [waiting] = second.cspctl_json("request", "list")
            second.cspctl("request", "approve", waiting["id"])
            issued = {certificate(device, send(daemon, site.poll(device))) for daemon in (first, second)}
            assert issued == {certificate(device, send(first, message_der))}
            assert len(issued) == 1
    finally:
        server.remove()


def at_one_moment(daemons: list[Daemon], device: ScepClient, message_der: bytes) -> list[bytes]:
    """The certificates that come of a message that is sent to all of them at once, and again where one is too busy."""
    ready = threading.Barrier(len(daemons))
    answers: list[bytes] = []
    failures: list[str] = []

    def is_answered(daemon: Daemon) -> bool:
        with suppress(Gone):
            answers.append(send(daemon, message_der))
            return True
        return False

    def work(daemon: Daemon) -> None:
        try:
            ready.wait(30)
            wait_until(lambda: is_answered(daemon), what=f"the answer of {daemon.http_url}")
        except BaseException as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(daemon,), daemon=True) for daemon in daemons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    return [certificate(device, answer_der) for answer_der in answers]


class Devices(threading.Thread):
    """Enroll one after the other; a message without answer is sent again, as it was."""

    def __init__(self, site: Site, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._site, self._ended = site, ended
        self.serials: list[int] = []
        self.lost = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Until told to end."""
        try:
            while not self._ended.is_set():
                device, message_der = self._site.device()
                self.serials.append(x509.load_der_x509_certificate(self._enroll(device, message_der)).serial_number)
        except BaseException as error:
            self.failure = error

    def _enroll(self, device: ScepClient, message_der: bytes) -> bytes:
        while True:
            try:
                return certificate(device, send(self._site.daemon, message_der))
            except Gone:
                self.lost += 1
                wait_until(lambda: self._site.daemon.is_running, what="the daemon is there again", seconds=120)


@pytest.mark.requirement("R-CEG-071")
def test_no_device_gets_a_second_certificate_over_crashes(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        site, ended = Site(daemon), threading.Event()
        crowd = [Devices(site, ended) for _ in range(CLIENTS)]
        for each in crowd:
            each.start()
        for _ in range(CRASHES):
            sent = sum(len(each.serials) for each in crowd)
            wait_until(
                lambda sent=sent: sum(len(each.serials) for each in crowd) > sent + 2,  # type: ignore[misc]
                what="some certificates are there",
                seconds=120,
            )
            daemon.kill()
            daemon.start(seconds=120)
        ended.set()
        for each in crowd:
            each.join(120)
            assert each.failure is None
            assert not each.is_alive()
    with closing(sqlite3.connect(daemon.folder / "state" / "store.sqlite")) as store:
        query = "SELECT serial, public_key_sha256 FROM certificates WHERE protocol = 'scep' AND subject = 'CN=device'"
        rows = store.execute(query).fetchall()
    serials = [serial for each in crowd for serial in each.serials]
    assert sorted(int(serial, 16) for serial, _ in rows) == sorted(serials)
    assert len({key for _, key in rows}) == len(rows)
    assert sum(each.lost for each in crowd) > 0
