"""A process that writes certificates with many callers and says which are durable, until it is killed.

Run as ``python -m tests.interop.crashing_writer URL FIRST_SERIAL``; prints the serial of each acknowledged certificate.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from cspd.audit.chain import HashChain
from cspd.audit.events import AuditEvent
from cspd.clock import SystemClock
from cspd.store.database import open_database
from tests.support.records import add_certificate
from tests.support.threads import CallQueue

CALLERS = 32


def main(url: str, first_serial: int) -> None:
    calls = CallQueue()
    database = open_database(url, reactor=calls)
    chain = HashChain(database, SystemClock(), "node-1")
    serials = itertools.count(first_serial)

    def record(serial: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            add_certificate(connection, serial)
            event = AuditEvent(event="certificate-issued", actor="acme:a", fields={"serial": format(serial, "x")})
            chain.append(connection, event)

        return work

    async def caller() -> None:
        while True:
            serial = next(serials)
            await database.write(record(serial))
            os.write(1, f"{serial}\n".encode())

    database.start()
    callers = [Deferred.fromCoroutine(caller()) for _ in range(CALLERS)]
    calls.result_of(callers[0], seconds=600)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
