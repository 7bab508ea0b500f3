"""Makes the folder of an installation: whole, or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderRefused(Exception):
    """The folder cannot become an installation; the text says why."""


@contextmanager
def whole_or_nothing(folder: Path) -> Iterator[Path]:
    """Give a new folder beside ``folder`` to fill; take its place at the end, or vanish when the block raises.

    What an interrupted run left is removed by the next. Raises :class:`FolderRefused` if ``folder`` has content, or if
    another run is at work.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderRefused(f"{folder} is there already and not empty")
    beside = folder.parent / f".{folder.name}.unfinished"
    try:
        beside.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FolderRefused(f"{beside} cannot be made: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderRefused(f"another `cspctl init` is at work on {folder}") from None
        for left in beside.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        try:
            yield beside
            _synchronize(beside)
            beside.rename(folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def write_private(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file that nobody but its owner can read (or with another mode)."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.fchmod(descriptor, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _synchronize(folder: Path) -> None:
    """Bring everything in the folder to the disk before its new name is."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_file() or path.is_dir():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
