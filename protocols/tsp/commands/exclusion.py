"""``create-key`` and ``delete-key`` do not run at the same time (R-TSA-086)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from protocols.tsp.commands.recorded import give_to_owner

LOCK = "tsactl.lock"
"""In the state folder; the kernel lets go of it however the process ends."""
FORCE = "FORCE_MUTEX_OPERATION"


class AnotherInstance(Exception):
    """Somebody else makes or deletes a key; the text is that of the guide."""

    def __init__(self) -> None:
        super().__init__("Error: Another instance of tsactl is running create-key or delete-key")


@contextmanager
def alone(state: Path | None, environment: Mapping[str, str]) -> Iterator[None]:
    """Hold the lock of a state folder meanwhile; raises :class:`AnotherInstance`, and OSError.

    ``FORCE_MUTEX_OPERATION=1`` in the environment goes on without it; so does a machine without a state folder, where
    no other process can be told.
    """
    if state is None or environment.get(FORCE) == "1":
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(state / LOCK, flags, 0o600)
    try:
        give_to_owner(descriptor, state)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherInstance from None
        yield
    finally:
        os.close(descriptor)
