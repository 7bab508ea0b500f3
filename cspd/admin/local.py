"""Operations without a daemon: ``cspctl`` works on the store itself, alone on the state folder."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cspd.admin.client import NotAllowed, owner_of
from cspd.admin.operations.values import Caller, Operation, Operations
from cspd.config.configuration import Configuration
from cspd.daemon.administration import core_operations
from cspd.daemon.core import Core
from cspd.daemon.deployment import build_operations
from cspd.daemon.lock import StateLock
from cspd.daemon.offline import offline_core, run


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
        with offline_core(configuration.root, state=configuration.state, secrets=configuration.secrets) as core:
            return run(_run(core, configuration, operation, arguments, caller))
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
    core: Core, configuration: Configuration, operation: str, arguments: Mapping[str, Any], caller: Caller
) -> Any:
    await core.keys.start()
    try:
        await core.authorities.refresh()
        operations = Operations(_operations(core, configuration, operation), core.audit)
        return await operations.run(operation, arguments, caller)
    finally:
        await core.keys.stop()


def _operations(core: Core, configuration: Configuration, operation: str) -> Sequence[Operation]:
    ours = tuple(core_operations(core, configuration.profiles))
    if any(each.name == operation for each in ours):
        return ours
    return build_operations(configuration, core, operation)
