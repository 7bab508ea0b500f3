"""Operations without a daemon: ``cspctl`` works on the store itself, alone on the state folder."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.internet.task import Clock as StandingClock

from cspd.admin.client import NotAllowed, owner_of
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

    Raises StateInUse while a daemon holds the state folder, NotAllowed if this user may not write to it, and what the
    operation raises.
    """
    caller = Caller(user=pwd.getpwuid(os.geteuid()).pw_name)
    become_owner(configuration.state)
    lock = StateLock(configuration.state)
    try:
        lock.acquire()
    except PermissionError as error:
        raise NotAllowed(configuration.state, owner_of(configuration.state)) from error
    try:
        url = store_url(configuration.root.store, configuration.state, configuration.secrets)
        schema.upgrade(url)
        database = ImmediateDatabase(url)
        try:
            return run(_run(configuration, database, operation, arguments, caller))
        finally:
            database.close()
    finally:
        lock.release()


def become_owner(folder: Path) -> None:
    """Let root become the user to whom the folder belongs, for good.

    The daemon runs as that user; what root would make there (the store's journal, a key) it could not open.
    """
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


async def _run(
    configuration: Configuration,
    database: ImmediateDatabase,
    operation: str,
    arguments: Mapping[str, Any],
    caller: Caller,
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
        operations = Operations(core_operations(core, configuration.profiles), core.audit)
        return await operations.run(operation, arguments, caller)
    finally:
        await core.keys.stop()
