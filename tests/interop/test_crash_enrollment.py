"""``kill -9`` at random instants while clients enroll and revoke: what a client was told stays true.

Several ACME clients work at once against the real daemon, each on one order after the other. The daemon is killed again
and again, sometimes while it starts. The clients notice nothing but broken connections: they go on with the order that
they were on. CSPD_CRASH_SECONDS makes the test longer.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cspd.audit.verification import verify
from cspd.store.database import choose_backend
from tests.support.acme_client import ACMEClient, Issued, Order, Problem, ServerGone
from tests.support.challtestsrv import ChallengeTestServer
from tests.support.daemon import Daemon
from tests.support.ocsp_client import ocsp_status

pytestmark = pytest.mark.interop

SECONDS = float(os.environ.get("CSPD_CRASH_SECONDS", "40"))
CLIENTS = 4
SEED = int(os.environ.get("CSPD_CRASH_SEED", "5"))


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


class ObservedClient(ACMEClient):
    """Tells when it asks for a certificate: the moment at which a crash has most to lose."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.finalizing = threading.Event()

    def finalize(self, order: Order) -> dict[str, Any]:
        self.finalizing.set()
        return super().finalize(order)


class Load(threading.Thread):
    """One client: enrolls, revokes a third of what it got, and never gives an order up."""

    def __init__(self, number: int, client: ACMEClient, stop: threading.Event) -> None:
        super().__init__(name=f"client {number}")
        self.issued: list[Issued] = []
        self.revoked: list[Issued] = []
        self.broken_connections = 0
        self.failure: Exception | None = None
        self._number = number
        self._client = client
        self._stop_asked = stop
        self._random = random.Random(f"{SEED}/{number}")

    def run(self) -> None:
        try:
            self._insist(self._client.register)
            while not self._stop_asked.is_set():
                name = f"n{len(self.issued)}.client{self._number}.test"
                order: Order = self._insist(lambda name=name: self._client.begin(name))
                issued: Issued = self._insist(lambda order=order: self._client.pursue(order, seconds=30))
                self.issued.append(issued)
                if self._random.random() < 1 / 3:
                    self._insist(lambda issued=issued: self._revoke(issued))
                    self.revoked.append(issued)
        except Exception as error:
            self.failure = error
        finally:
            self._client.close()

    def _insist(self, step):
        """Do it again for as long as the server is away."""
        while True:
            try:
                return step()
            except ServerGone:
                self.broken_connections += 1
                time.sleep(0.1)

    def _revoke(self, issued: Issued) -> None:
        try:
            self._client.revoke(issued)
        except Problem as problem:
            if problem.type != "alreadyRevoked":  # so was it when the answer got lost
                raise


def check_store(daemon: Daemon, folder: Path) -> set[int]:
    """The store as the killed process left it, on a copy: sound, every certificate audited. Gives their serials."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in (daemon.folder / "state").glob("store.sqlite*"):
        shutil.copy(file, folder)
    store = folder / "store.sqlite"
    with sqlite3.connect(store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        serials = [serial for (serial,) in connection.execute("SELECT serial FROM certificates")]
        audited = [
            serial
            for (serial,) in connection.execute(
                "SELECT json_extract(fields, '$.serial') FROM audit_events WHERE event = 'certificate-issued'"
            )
        ]
    connection.close()
    assert len(set(audited)) == len(audited)
    with choose_backend(f"sqlite:///{store}").reader_engine().connect() as reader:
        assert verify(reader).breaks == ()
    numbers = {int.from_bytes(serial) if isinstance(serial, bytes) else int(serial, 16) for serial in serials}
    assert {int(serial, 16) for serial in audited} <= numbers
    assert len(numbers) == len(serials)
    return numbers


def listed(daemon: Daemon, ca: str) -> dict[int, str]:
    """The state of every certificate, by `cspctl cert list`."""
    found: dict[int, str] = {}
    after: list[str] = []
    while True:
        page = daemon.cspctl_json("cert", "list", ca, "--profile", "tls-server", "--limit", "1000", *after)
        for each in page["certificates"]:
            assert int(each["serial"], 16) not in found, "a serial number twice"
            found[int(each["serial"], 16)] = each["state"]
        if not page["next"]:
            return found
        after = ["--after", page["next"]]


def check_status(daemon: Daemon, issued: list[Issued], revoked: set[int]) -> None:
    for each in issued:
        expected = "revoked" if each.serial in revoked else "good"
        assert ocsp_status(daemon.http_url, each.certificate, each.issuer) == expected


@pytest.mark.timeout(SECONDS + 200)
def test_kill_at_any_instant_loses_nothing_a_client_was_told(
    daemon: Daemon, challenges: ChallengeTestServer, tmp_path: Path
) -> None:
    instants = random.Random(SEED)
    stop = threading.Event()

    def solve(token: str, content: str) -> None:
        challenges.tell("add-http01", token=token, content=content)

    own = set(listed(daemon, "demo~issuing"))  # the certificate of the daemon itself
    clients = [ObservedClient(daemon.acme_directory(), trust=daemon.root_pem, solve=solve) for _ in range(CLIENTS)]
    loads = [Load(number, client, stop) for number, client in enumerate(clients)]
    for load in loads:
        load.start()
    kills, deadline = 0, time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline:
            time.sleep(instants.uniform(0, 1.0))
            if instants.random() < 0.7:
                victim = instants.choice(clients)
                victim.finalizing.clear()
                if victim.finalizing.wait(2):
                    time.sleep(instants.uniform(0, 0.03))
            # What is in these lists was told to a client before the kill; the daemon may do more until it dies.
            told = [(len(load.issued), len(load.revoked)) for load in loads]
            daemon.kill()
            kills += 1
            issued = [each for load, (count, _) in zip(loads, told, strict=True) for each in load.issued[:count]]
            revoked = {
                each.serial for load, (_, count) in zip(loads, told, strict=True) for each in load.revoked[:count]
            }
            assert {each.serial for each in issued} <= check_store(daemon, tmp_path / "copy")
            if instants.random() < 0.25:
                starting = daemon.spawn()
                time.sleep(instants.uniform(0.3, 1.2))
                starting.kill()
                kills += 1
            daemon.start()
            for each in instants.sample(issued, min(len(issued), 20)):
                if each.serial in revoked:
                    check_status(daemon, [each], revoked)
            assert [load.failure for load in loads] == [None] * CLIENTS
    finally:
        stop.set()
        for load in loads:
            load.join(60)
    assert [load.failure for load in loads] == [None] * CLIENTS
    assert not any(load.is_alive() for load in loads)
    issued = [each for load in loads for each in load.issued]
    revoked = {each.serial for load in loads for each in load.revoked}
    print(f"{kills} kills, {len(issued)} certificates, {len(revoked)} revoked, ", end="")
    print(f"{sum(load.broken_connections for load in loads)} broken connections")
    assert kills >= SECONDS / 10
    assert len(issued) > kills
    assert sum(load.broken_connections for load in loads) >= kills

    states = listed(daemon, "demo~issuing")
    # Nothing is lost, and no order got a second certificate when its issuance was taken up again.
    assert set(states) - own == {each.serial for each in issued}
    assert len({each.serial for each in issued}) == len(issued)
    assert {serial for serial, state in states.items() if state == "revoked"} == revoked
    check_status(daemon, issued, revoked)
    shown = daemon.cspctl_json("cert", "show", "demo~issuing", f"{issued[-1].serial:X}")
    assert int(shown["serial"], 16) == issued[-1].serial
    report = daemon.cspctl_json("audit", "verify")
    assert report["sound"]
    assert "Traceback" not in daemon.output()
