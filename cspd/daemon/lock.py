"""One daemon for each state folder (R-PLAT-008)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class StateInUse(Exception):
    """Another daemon works on the same state folder; the text names it."""


class StateLock:
    """Held from start to exit. The kernel lets go of it however the process ends, so that nothing stale is left."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self, owner: tuple[int | None, int | None] = (None, None)) -> None:
        """Take the lock, whose file belongs to the user and group ``owner`` that root will become.

        Raises :class:`StateInUse`; OSError if the folder is not writable.
        """
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StateInUse(f"another cspd, process {process}, works on {self._file.parent}") from None
        uid, gid = owner
        if os.geteuid() == 0 and owner != (None, None):
            os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; does nothing if not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
