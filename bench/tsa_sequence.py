"""What numbers and ordered times of tokens cost: shared questions against a question for each, in the same run.

    python -m bench.tsa_sequence [postgresql://user@host/database]

The peer asks the store once for each time, through the same group commit. Without a URL it uses a SQLite file in the
current folder, so run it where the store would be.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  # a script of its own
from twisted.internet.defer import Deferred, gatherResults

from cspd.clock import SystemClock
from cspd.store import schema
from cspd.store.database import ThreadedDatabase, open_database
from protocols.tsp.gen_times import StoredGenTimes
from protocols.tsp.interfaces import LoggedToken
from protocols.tsp.serials import StoredSerialNumbers
from protocols.tsp.timestamp_log import StoredTimestampLog

CALLERS = 64
SECONDS = 3.0
NUMBERS = 200_000


async def rate(call: Callable[[int], Awaitable[object]]) -> float:
    """Calls a second, of all callers."""
    done = 0

    async def caller(number: int, until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call(number)
            done += 1

    began = time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(caller(number, began + SECONDS)) for number in range(CALLERS)])
    return done / (time.perf_counter() - began)


async def measure(database: ThreadedDatabase) -> None:
    clock = SystemClock()
    serials = StoredSerialNumbers(database, clock, os.urandom, block_size=1 << 20)
    await serials.start()
    began = time.perf_counter()
    for _ in range(NUMBERS):
        await serials.next(8)
    print(f"serial number             {(time.perf_counter() - began) / NUMBERS * 1e6:8.2f} us")

    times = StoredGenTimes(database, clock, tolerance=timedelta(seconds=1))
    shared = await rate(lambda _: times.next("bench", clock.now()))
    alone = [StoredGenTimes(database, clock, tolerance=timedelta(seconds=1)) for _ in range(CALLERS)]
    peer = await rate(lambda number: alone[number].next("bench", clock.now()))
    print(f"ordered times, shared     {shared:8.0f} /s with {CALLERS} callers")
    print(f"ordered times, each alone {peer:8.0f} /s; shared is {shared / peer:.1f} times as fast")

    log = StoredTimestampLog(database, "bench")
    digest = hashlib.sha256(b"").digest()

    async def append(_: int) -> None:
        number = await serials.next(8)
        await log.append(LoggedToken(issuer="bench", serial_number=number, gen_time=clock.now(), token_sha256=digest))

    print(f"logged tokens             {await rate(append):8.0f} /s with {CALLERS} callers")


async def main(url: str) -> None:
    database = open_database(url, reactor=reactor)  # type: ignore[arg-type]  # the module is the reactor
    database.start()
    await measure(database)
    await database.stop()


def run(url: str) -> None:
    schema.upgrade(url)
    ended = Deferred.fromCoroutine(main(url))
    ended.addErrback(lambda failure: failure.printTraceback())
    ended.addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]  # as above
    reactor.run()  # type: ignore[attr-defined]  # as above


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            run(f"sqlite:///{folder}/store.sqlite")
