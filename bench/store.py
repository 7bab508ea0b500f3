"""Durable writes a second with 64 concurrent callers: group commit against a commit for each, in the same run.

    python -m bench.store [postgresql://user@host/database]

Each write is what an enrollment writes: a certificate row and its audit event. Without a URL it uses a SQLite file in
the current folder, so run it where the store would be. The peer is the same code with batches of one.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, delete, func, select
from twisted.internet import reactor  # noqa: TID251  # a script of its own
from twisted.internet.defer import Deferred, gatherResults

from cspd.audit.chain import HashChain
from cspd.audit.events import AuditEvent
from cspd.audit.verification import verify
from cspd.clock import SystemClock
from cspd.store import schema
from cspd.store.database import open_database
from cspd.store.tables import audit_events, certificates
from tests.support.records import add_authority, add_certificate

CALLERS = 64
SECONDS = 4.0


@dataclass(frozen=True)
class Measured:
    """One run."""

    writes_per_second: float
    writes_per_commit: float
    processor_microseconds: float
    """Of all threads, for each write."""
    slowest_milliseconds: float


async def measure(url: str, *, batch_limit: int, callers: int) -> Measured:
    """Write for some seconds."""
    with patch("cspd.store.database.BATCH_LIMIT", batch_limit):
        database = open_database(url, reactor=reactor)  # type: ignore[arg-type]  # the module is the reactor
        chain = HashChain(database, SystemClock(), "bench")

        def record(serial: int) -> Callable[[Connection], None]:
            def work(connection: Connection) -> None:
                add_certificate(connection, serial)
                fields = {"serial": format(serial, "x"), "ca": "demo~issuing", "profile": "basic"}
                chain.append(connection, AuditEvent(event="certificate-issued", actor="acme:somebody", fields=fields))

            return work

        latencies: list[float] = []

        async def caller(until: float) -> None:
            while (began := time.perf_counter()) < until:
                await database.write(record(int.from_bytes(os.urandom(19), "big")))
                latencies.append(time.perf_counter() - began)

        database.start()
        processor, began = time.process_time(), time.perf_counter()
        await gatherResults([Deferred.fromCoroutine(caller(began + SECONDS)) for _ in range(callers)])
        seconds, processor = time.perf_counter() - began, time.process_time() - processor
        await database.stop()
    return Measured(
        writes_per_second=database.writes / seconds,
        writes_per_commit=database.writes / database.batches,
        processor_microseconds=processor / database.writes * 1e6,
        slowest_milliseconds=max(latencies) * 1e3,
    )


async def compare(url: str) -> None:
    """Measure all, print all."""
    schema.upgrade(url)
    database = open_database(url, reactor=reactor)  # type: ignore[arg-type]  # as above
    database.start()

    def prepare(connection: Connection) -> None:
        connection.execute(delete(certificates))
        connection.execute(delete(audit_events))
        if not connection.execute(
            select(func.count()).select_from(certificates.metadata.tables["organizations"])
        ).scalar():
            add_authority(connection)

    await database.write(prepare)
    print(f"{'':28}{'writes/s':>10}{'per commit':>12}{'cpu us':>9}{'slowest ms':>12}")
    results = {}
    for name, batch_limit, callers in (
        ("one caller", 256, 1),
        (f"{CALLERS} callers, a commit each", 1, CALLERS),
        (f"{CALLERS} callers, group commit", 256, CALLERS),
    ):
        results[name] = found = await measure(url, batch_limit=batch_limit, callers=callers)
        print(
            f"{name:28}{found.writes_per_second:10.0f}{found.writes_per_commit:12.1f}"
            f"{found.processor_microseconds:9.0f}{found.slowest_milliseconds:12.1f}"
        )
    alone, apart, together = results.values()
    print(f"group commit : a commit each = {together.writes_per_second / apart.writes_per_second:.1f} : 1")
    print(f"{CALLERS} callers : one caller    = {together.writes_per_second / alone.writes_per_second:.1f} : 1")
    began = time.perf_counter()
    report = await database.read(verify)
    print(
        f"audit chain of {report.events} events: {'sound' if report.is_sound else 'BROKEN'},"
        f" checked at {report.events / (time.perf_counter() - began):.0f} a second"
    )
    await database.stop()


def main() -> None:
    """Run on the real reactor; it wakes the threads' results."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/store.sqlite"

        def begin() -> None:
            ended: Deferred[Any] = Deferred.fromCoroutine(compare(url))
            ended.addErrback(lambda failure: print(failure.getTraceback()))
            ended.addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]  # as above

        reactor.callWhenRunning(begin)  # type: ignore[attr-defined]  # as above
        reactor.run()  # type: ignore[attr-defined]  # as above


if __name__ == "__main__":
    main()
