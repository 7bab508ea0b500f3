"""Clients that trickle, hang, flood, talk nonsense and vanish at the real daemon while it issues: nobody else waits."""

from __future__ import annotations

import os
import random
import resource
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.acme_client import ACMEClient, ServerGone
from tests.support.challtestsrv import ChallengeTestServer
from tests.support.daemon import Daemon
from tests.support.ocsp_client import ocsp_status
from tests.support.processes import wait_until

pytestmark = pytest.mark.interop

SECONDS = float(os.environ.get("CSPD_HOSTILE_SECONDS", "12"))
LONGEST_WAIT = 2.0
"""Seconds that a decent client may wait for any answer. Generous: attackers and daemon share two processors here."""


@pytest.fixture
def challenges(tmp_path: Path) -> Iterator[ChallengeTestServer]:
    server = ChallengeTestServer(tmp_path)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def daemon(tmp_path: Path, challenges: ChallengeTestServer) -> Iterator[Daemon]:
    http01 = {"port": challenges.http_port, "nameservers": [challenges.nameserver]}
    with Daemon(tmp_path, changes={"protocols.acme.http01": http01}) as daemon:
        yield daemon


def client_of(daemon: Daemon, challenges: ChallengeTestServer) -> ACMEClient:
    def solve(token: str, content: str) -> None:
        challenges.tell("add-http01", token=token, content=content)

    return ACMEClient(daemon.acme_directory(), trust=daemon.root_pem, solve=solve)


class Attack(threading.Thread):
    """Does its worst again and again until told to stop; its connections stay open until then."""

    def __init__(self, turn: Callable[[Attack], None]) -> None:
        super().__init__(name=turn.__name__)
        self.turns = 0
        self.failure: Exception | None = None
        self.stopping = threading.Event()
        self.sockets: list[socket.socket] = []
        self.random = random.Random(turn.__name__)
        self._turn = turn

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                with suppress(OSError):  # the server may well hang up
                    self._turn(self)
                self.turns += 1
        except Exception as error:
            self.failure = error
        finally:
            for each in self.sockets:
                each.close()

    def connect(self, port: int, *, keep: bool = True) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", port), timeout=2)
        if keep:
            self.sockets.append(made)
        return made


def attacks_on(daemon: Daemon) -> list[Attack]:
    tls = ssl.create_default_context(cafile=str(daemon.root_pem))
    crl = b"GET /crl/demo/issuing/crl.crl HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def trickle(attack: Attack) -> None:
        """200 requests at a time, one byte a second each."""
        if len(attack.sockets) < 200:
            attack.connect(daemon.http_port).sendall(b"POST /ocsp/demo/issuing HTTP/1.1\r\nX: ")
            return
        for each in attack.sockets:
            with suppress(OSError):
                each.send(b"a")
        attack.stopping.wait(1)

    def no_handshake(attack: Attack) -> None:
        """TLS connections that say nothing, or half a ClientHello."""
        if len(attack.sockets) < 150:
            attack.connect(daemon.https_port).sendall(b"\x16\x03\x01\x02\x00\x01"[: attack.random.randrange(7)])
            return
        attack.stopping.wait(0.5)

    def trickle_in_tls(attack: Attack) -> None:
        """Handshakes, and then a slow request."""
        if len(attack.sockets) >= 40:
            attack.stopping.wait(0.5)
            return
        with attack.connect(daemon.https_port, keep=False) as plain:
            wrapped = tls.wrap_socket(plain, server_hostname="localhost")
        attack.sockets.append(wrapped)
        wrapped.sendall(b"POST /acme/demo/demo~issuing/tls-server/new-order HTTP/1.1\r\nContent-Length: 9999\r\n")

    def garbage(attack: Attack) -> None:
        """Noise, and plain HTTP, on the TLS port; noise on the plain one."""
        noise = attack.random.choice(
            (attack.random.randbytes(500), crl, b"\x16\x03\x01" + attack.random.randbytes(300))
        )
        for port in (daemon.https_port, daemon.http_port):
            with attack.connect(port, keep=False) as connection:
                connection.sendall(noise)
                connection.settimeout(0.2)  # it may look like the beginning of something
                connection.recv(100)
        attack.stopping.wait(0.02)

    def half_close(attack: Attack) -> None:
        """A request, a part of one, or none, and our half is closed."""
        with attack.connect(daemon.http_port, keep=False) as connection:
            connection.sendall(attack.random.choice((crl, crl[:30], b"")))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        attack.stopping.wait(0.02)

    def oversize(attack: Attack) -> None:
        """Headers and bodies without end."""
        head = b"POST /ocsp/demo/issuing HTTP/1.1\r\nHost: localhost\r\n"
        with attack.connect(daemon.http_port, keep=False) as connection:
            kind = attack.random.randrange(3)
            if kind == 0:
                connection.sendall(head + b"X: " + bytes(64 * 1024))
            elif kind == 1:
                connection.sendall(head + b"Content-Length: 99999999999\r\n\r\n" + bytes(64 * 1024))
            else:
                connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + bytes(64 * 1024))
            connection.recv(100)
        attack.stopping.wait(0.02)

    def never_read(attack: Attack) -> None:
        """Thousands of requests in one go, and no answer is taken."""
        if len(attack.sockets) < 20:
            connection = attack.connect(daemon.http_port)
            connection.setblocking(False)
            connection.send(crl * 5000)
            return
        attack.stopping.wait(0.5)

    def vanish(attack: Attack) -> None:
        """A reset amid the handshake or the request."""
        port, said = attack.random.choice(((daemon.https_port, b"\x16\x03\x01\x02\x00\x01"), (daemon.http_port, crl)))
        connection = attack.connect(port, keep=False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(said)
        connection.close()
        attack.stopping.wait(0.02)

    turns = (trickle, no_handshake, trickle_in_tls, garbage, half_close, oversize, never_read, vanish)
    return [Attack(turn) for turn in turns]


def memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def test_hostile_clients_make_nobody_wait(daemon: Daemon, challenges: ChallengeTestServer) -> None:
    client = client_of(daemon, challenges)
    client.register()
    first = client.enroll("first.test")
    before = memory_kib(daemon.pid)
    attacks = attacks_on(daemon)
    for attack in attacks:
        attack.start()
    slowest_status, issued, deadline = 0.0, 0, time.monotonic() + SECONDS
    client.slowest = 0.0
    try:
        while time.monotonic() < deadline:
            client.enroll(f"n{issued}.test")
            issued += 1
            begun = time.monotonic()
            assert ocsp_status(daemon.http_url, first.certificate, first.issuer) == "good"
            slowest_status = max(slowest_status, time.monotonic() - begun)
        client.close()  # and a new connection, with its handshake, is served as well
        client.enroll("last.test")
    finally:
        for attack in attacks:
            attack.stopping.set()
        for attack in attacks:
            attack.join(20)
        client.close()
    assert {attack.name: attack.failure for attack in attacks if attack.failure} == {}
    assert all(attack.turns > 10 for attack in attacks), {attack.name: attack.turns for attack in attacks}
    grown = memory_kib(daemon.pid) - before
    print(f"{issued} certificates, slowest answers: ACME {client.slowest:.2f} s, OCSP {slowest_status:.2f} s, ", end="")
    print(f"memory {grown / 1024:.0f} MiB more, { ({attack.name: attack.turns for attack in attacks}) }")
    assert client.slowest < LONGEST_WAIT
    assert slowest_status < LONGEST_WAIT
    assert issued >= SECONDS / 2
    assert grown < 200 * 1024
    assert "Traceback" not in daemon.output()
    begun = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - begun < 20


def test_more_connections_than_files_leave_the_server_alive(daemon: Daemon, challenges: ChallengeTestServer) -> None:
    """Whoever is connected goes on, and when the crowd has gone all is as before."""
    client = client_of(daemon, challenges)
    client.register()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (100, 100))
    crowd: list[socket.socket] = []
    try:
        for _ in range(200):
            with suppress(OSError):
                crowd.append(socket.create_connection(("127.0.0.1", daemon.http_port), timeout=2))
        begun = time.monotonic()
        assert client.get(str(client.account)).status == 200
        assert time.monotonic() - begun < LONGEST_WAIT
        used = cpu_seconds(daemon.pid)
        time.sleep(1)
        assert cpu_seconds(daemon.pid) - used < 0.7, "it spins on connections that it cannot accept"
    finally:
        for each in crowd:
            each.close()

    def works() -> bool:
        try:
            return client.get(str(client.account)).status == 200
        except ServerGone:
            return False

    client.close()
    wait_until(works, what="the server after the crowd", seconds=20)
    assert client.enroll("after.test").serial
    client.close()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
