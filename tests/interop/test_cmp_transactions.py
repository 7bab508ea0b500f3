"""Transactions of CMP against the real daemon: over a restart, over two nodes, and over ``kill -9``."""

from __future__ import annotations

import http.client
import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocols.cmp import info_types
from protocols.cmp.messages import BodyType, PKIMessage
from protocols.cmp.status import PKIStatus
from tests.support.cmp_client import (
    ByMAC,
    CMPClient,
    certificate,
    confirmation,
    ir,
    p10cr,
    poll_req,
    signed_request,
    statuses,
)
from tests.support.daemon import Daemon
from tests.support.ocsp_client import ocsp_status
from tests.support.postgresql import PostgreSQLServer
from tests.support.processes import wait_until

pytestmark = pytest.mark.interop

LABEL = {"id": "demo", "ca": "demo~issuing", "profile": "tls-client"}
PATH = "/.well-known/cmp/p/demo"
CRASHES = 6
CLIENTS = 3


class Gone(Exception):
    """The server did not answer."""


def sender(daemon: Daemon) -> Callable[[bytes], bytes]:
    """Sends messages to a daemon, one connection each."""

    def send(message_der: bytes) -> bytes:
        connection = http.client.HTTPConnection(urlsplit(daemon.http_url).netloc, timeout=30)
        try:
            connection.request("POST", PATH, message_der, {"Content-Type": "application/pkixcmp"})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone(repr(error)) from error
        finally:
            connection.close()
        if response.status == 503:
            raise Gone(body.decode())
        assert response.status == 200, body
        return body

    return send


def secret_of(daemon: Daemon) -> ByMAC:
    """A new secret for any number of certificates."""
    made = daemon.cspctl_json("enrollment-secret", "create", "cmp", "device 7", "--reusable")
    return ByMAC(made["reference"], made["secret"].encode())


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_transaction_goes_on_after_a_restart(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        client = CMPClient(sender(daemon), secret_of(daemon))
        ip = client.ask(ir(signed_request(new_key())))
        daemon.stop()
        daemon.start()
        again = client.again()
        assert certificate(again) == certificate(ip)
        daemon.kill()
        daemon.start()
        assert client.ask(confirmation(ip)).body.type is BodyType.PKI_CONF


def test_two_nodes_serve_one_transaction(tmp_path: Path) -> None:
    """Asked at one node, approved at the other, polled at both, confirmed at the second."""
    server = PostgreSQLServer()
    changes = {"protocols.cmp.labels": [{**LABEL, "approval": True, "check_after": "1s"}]}
    try:
        server.start()
        with Daemon(tmp_path, store_url=server.url(), changes=changes) as first, first.another_node() as second:
            second.start()
            protection = secret_of(first)
            client = CMPClient(sender(first), protection)
            assert statuses(client.ask(p10cr(new_key()))) == [PKIStatus.WAITING]
            elsewhere = CMPClient(sender(second), protection, transaction_id=client.transaction_id)
            elsewhere.nonce = client.nonce
            assert elsewhere.ask(poll_req(-1)).body.type is BodyType.POLL_REP
            [waiting] = second.cspctl_json("request", "list")
            second.cspctl("request", "approve", waiting["id"])
            client.nonce = elsewhere.nonce
            cp = client.ask(poll_req(-1))
            assert statuses(cp) == [PKIStatus.ACCEPTED]
            elsewhere.nonce = client.nonce
            assert elsewhere.ask(confirmation(cp)).body.type is BodyType.PKI_CONF
            issuer = x509.load_pem_x509_certificate(first.issuing_pem.read_bytes())
            assert ocsp_status(second.http_url, certificate(cp), issuer) == "good"
    finally:
        server.remove()


class Device(threading.Thread):
    """Enrolls again and again; a message without answer is sent once more, as it was."""

    def __init__(self, daemon: Daemon, protection: ByMAC, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._daemon, self._protection, self._ended = daemon, protection, ended
        self.certificates: list[x509.Certificate] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Until told to stop, and then to the end of the transaction."""
        try:
            while not self._ended.is_set():
                self._enroll()
        except BaseException as failure:
            self.failure = failure

    def _enroll(self) -> None:
        key = new_key()
        client = CMPClient(sender(self._daemon), self._protection)
        explicit = len(self.certificates) % 2 == 0
        header = {} if explicit else {"general_info": (info_types.implicit_confirm(),)}
        answer = self._until_answered(client, client.message(ir(signed_request(key)), **header))
        issued = certificate(answer)
        assert issued.public_key() == key.public_key()
        if explicit:
            conf = self._until_answered(client, client.message(confirmation(answer)))
            assert conf.body.type is BodyType.PKI_CONF, conf.body.content
        self.certificates.append(issued)

    def _until_answered(self, client: CMPClient, message_der: bytes) -> PKIMessage:
        while True:
            try:
                return client.send(message_der)
            except Gone:
                self._ended.wait(0.05)


def test_kill_9_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Each key that was asked for has exactly one certificate, and it is good."""
    instants = random.Random(5)  # repeatable
    with Daemon(tmp_path) as daemon:
        protection, stop = secret_of(daemon), threading.Event()
        devices = [Device(daemon, protection, stop) for _ in range(CLIENTS)]
        for device in devices:
            device.start()
        try:
            for _ in range(CRASHES):
                before = sum(len(device.certificates) for device in devices)
                goal = before + instants.randint(3, 12)
                wait_until(
                    lambda goal=goal: (
                        sum(len(each.certificates) for each in devices) >= goal  # type: ignore[misc]
                        or any(each.failure is not None for each in devices)
                    ),
                    what="the devices",
                    seconds=120,
                )
                daemon.kill()
                daemon.start()
        finally:
            stop.set()
            for device in devices:
                device.join(120)
        assert [device.failure for device in devices] == [None] * CLIENTS
        serials = sorted(f"{each.serial_number:x}" for device in devices for each in device.certificates)
        assert serials == sorted(_stored(daemon))


def _stored(daemon: Daemon) -> list[str]:
    """The serial numbers of all good certificates that CMP got, as the store has them."""
    query = "SELECT certificate_der FROM certificates WHERE protocol = 'cmp' AND state = 'good'"
    with closing(sqlite3.connect(daemon.folder / "state" / "store.sqlite")) as store:
        rows = [x509.load_der_x509_certificate(der) for (der,) in store.execute(query)]
        (total,) = store.execute("SELECT count(*) FROM certificates WHERE protocol = 'cmp'").fetchone()
        assert total == len(rows)
        return [f"{each.serial_number:x}" for each in rows]
