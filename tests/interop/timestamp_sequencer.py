"""A process that takes serial numbers and ordered times and logs tokens, with many callers, until it is killed.

Run as ``python -m tests.interop.timestamp_sequencer URL NAME``; prints ``asked answered serial genTime`` for each token
whose log entry is durable: nanoseconds of the machine's monotonic clock, an int, microseconds since 1970.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from datetime import timedelta

from twisted.internet.defer import Deferred

from cspd.clock import SystemClock
from cspd.refusals import Unavailable
from cspd.store.database import open_database
from protocols.tsp import microseconds
from protocols.tsp.gen_times import StoredGenTimes
from protocols.tsp.interfaces import LoggedToken
from protocols.tsp.serials import StoredSerialNumbers
from protocols.tsp.timestamp_log import StoredTimestampLog
from tests.support.clocks import FrozenClock
from tests.support.threads import CallQueue

CALLERS = 32
BLOCK_SIZE = 64
"""Small, so that many blocks are reserved."""


def main(url: str, name: str) -> None:
    calls, clock = CallQueue(), SystemClock()
    database = open_database(url, reactor=calls)
    # Worst luck: neither the clock nor the random part keeps numbers apart, so the store has to.
    serials = StoredSerialNumbers(database, FrozenClock(), bytes, block_size=BLOCK_SIZE)
    gen_times = StoredGenTimes(database, clock, tolerance=timedelta(seconds=1))
    log = StoredTimestampLog(database, name)

    async def token() -> str:
        asked = time.monotonic_ns()
        gen_time = await gen_times.next("qualified", clock.now())
        answered = time.monotonic_ns()
        serial = await serials.next(8)
        token_sha256 = hashlib.sha256(str(serial).encode()).digest()
        await log.append(
            LoggedToken(issuer="qualified", serial_number=serial, gen_time=gen_time, token_sha256=token_sha256)
        )
        return f"{asked} {answered} {serial} {microseconds.from_datetime(gen_time)}\n"

    async def caller() -> None:
        while True:
            try:
                line = await token()
            except Unavailable:  # SQLite gives no turns: on a slow machine one may wait too long for the others
                continue
            os.write(1, line.encode())

    database.start()
    callers = [Deferred.fromCoroutine(caller()) for _ in range(CALLERS)]
    calls.result_of(callers[0], seconds=600)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
