"""Operations without a daemon: ``cspctl`` works on the store itself, alone on the state folder."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from random import SystemRandom
from typing import Any

from twisted.internet.task import Clock as StandingClock

from cspd.admin.operations.values import Caller, Operations
from cspd.clock import SystemClock
from cspd.config.configuration import Configuration
from cspd.daemon.administration import core_operations
from cspd.daemon.core import build_core, store_url
from cspd.daemon.lock import StateLock
from cspd.daemon.offline import ImmediateDatabase, run
from cspd.store import schema


def run_locally(configuration: Configuration, operation: str, arguments: Mapping[str, Any]) -> Any:
    """Run one operation in this process.

    Raises StateInUse while a daemon holds the state folder, and what the operation raises.
    """
    lock = StateLock(configuration.state)
    lock.acquire()
    try:
        url = store_url(configuration.root.store, configuration.state, configuration.secrets)
        schema.upgrade(url)
        database = ImmediateDatabase(url)
        try:
            return run(_run(configuration, database, operation, arguments))
        finally:
            database.close()
    finally:
        lock.release()


async def _run(
    configuration: Configuration, database: ImmediateDatabase, operation: str, arguments: Mapping[str, Any]
) -> Any:
    core = build_core(
        configuration.root,
        secrets=configuration.secrets,
        database=database,
        reactor=StandingClock(),
        clock=SystemClock(),
        random=SystemRandom(),
        call_from_thread=None,
    )
    await core.keys.start()
    try:
        await core.authorities.refresh()
        operations = Operations(core_operations(core, configuration.profiles))
        return await operations.run(operation, arguments, Caller(user=pwd.getpwuid(os.geteuid()).pw_name))
    finally:
        await core.keys.stop()
