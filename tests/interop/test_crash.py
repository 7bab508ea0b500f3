"""``kill -9`` at any instant of a load of writes loses nothing that was answered, and leaves a store that opens."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text

from cspd.audit.verification import verify
from cspd.store import schema
from cspd.store.database import choose_backend
from cspd.store.tables import audit_events, certificates
from tests.support.postgresql import PostgreSQLServer
from tests.support.records import add_authority

pytestmark = pytest.mark.interop

KILLS = 15
SERIALS_PER_RUN = 1_000_000


def write_and_kill(url: str, first_serial: int, after_seconds: float) -> set[int]:
    """Let a process write until it is killed; the serials that it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.interop.crashing_writer", url, str(first_serial)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    first = child.stdout.readline()  # it is under way
    time.sleep(after_seconds)
    child.kill()
    lines = (first + child.stdout.read()).decode().split("\n")
    child.stdout.close()
    child.wait(30)
    return {int(line) for line in lines[:-1]}  # the last line may have been cut


def check(url: str, acknowledged: set[int]) -> None:
    """What was acknowledged is there, each certificate with its audit event and the other way round."""
    schema.upgrade(url)
    with choose_backend(url).reader_engine().connect() as connection:
        stored = set(connection.execute(select(certificates.c.serial)).scalars())
        assert acknowledged <= stored
        audited = connection.execute(select(audit_events.c.fields)).scalars()
        assert sorted(audited) == sorted(f'{{"serial":"{serial:x}"}}' for serial in stored)
        report = verify(connection)
        assert report.breaks == ()
        if connection.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []


def prepare(url: str) -> None:
    schema.upgrade(url)
    with choose_backend(url).writer_engine().begin() as connection:
        add_authority(connection)


def test_killing_the_process_loses_nothing_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite"
    prepare(url)
    instants = random.Random(6)
    acknowledged: set[int] = set()
    for number in range(1, KILLS + 1):
        written = write_and_kill(url, number * SERIALS_PER_RUN, instants.uniform(0, 0.25))
        assert written
        acknowledged |= written
        check(url, acknowledged)
    assert len(acknowledged) > 10 * KILLS


def test_killing_the_process_or_the_server_loses_nothing_on_postgresql() -> None:
    server = PostgreSQLServer()
    try:
        server.start()
        prepare(server.url())
        instants = random.Random(6)
        acknowledged: set[int] = set()
        for number in range(1, 5):
            acknowledged |= write_and_kill(server.url(), number * SERIALS_PER_RUN, instants.uniform(0, 0.5))
            server.kill()
            server.start()
            check(server.url(), acknowledged)
        assert len(acknowledged) > 100
    finally:
        server.remove()
