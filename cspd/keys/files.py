"""Folders and archives that an HSM vendor's set-up comes in, copied with limits and without surprises.

Only plain files and folders are taken: no links, devices or absolute paths, nothing outside the folder.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import uuid4

MAX_FILES = 20_000
MAX_BYTES = 512 * 1024 * 1024
"""Of all files together, unpacked: a Security World has some kilobytes for each key."""


class ImportRefused(Exception):
    """The files cannot be taken; the text names the one and says why."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a new folder beside ``target`` to fill; it takes the place of ``target`` at the end, whole or not at all."""
    beside = target.with_name(f".{target.name}.{uuid4().hex}")
    beside.mkdir(mode=0o700, parents=True)
    former = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        yield beside
        if target.exists():
            target.rename(former)
        beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        if former.exists() and not target.exists():
            former.rename(target)
        raise
    shutil.rmtree(former, ignore_errors=True)


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a folder into another that exists; raises :class:`ImportRefused`, OSError."""
    budget = _Budget()
    for folder, folders, files in os.walk(source):
        for name in (*folders, *files):
            path = Path(folder, name)
            place = target / path.relative_to(source)
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise ImportRefused(f"{path} is neither a file nor a folder")
            if path.is_dir():
                place.mkdir(mode=0o700)
            else:
                with path.open("rb") as stream:
                    budget.copy(stream, place)


def unpack_tar(archive: Path, target: Path) -> None:
    """Unpack a ``tar`` or ``tar.gz`` into a folder that exists; raises :class:`ImportRefused`, OSError."""
    budget = _Budget()
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                place = _place(target, member.name)
                if member.isdir():
                    place.mkdir(mode=0o700, parents=True, exist_ok=True)
                    continue
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise ImportRefused(f"{member.name} is neither a file nor a folder")
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                budget.copy(stream, place)
    except (tarfile.TarError, EOFError) as error:
        raise ImportRefused(f"{archive} is not a tar archive: {error}") from error


def unpack_zip(archive: Path, target: Path) -> None:
    """Unpack a ZIP file into a folder that exists; raises :class:`ImportRefused`, OSError."""
    budget = _Budget()
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                place = _place(target, member.filename)
                kind = (member.external_attr >> 16) & 0o170000
                if kind not in (0, 0o100000, 0o040000) or member.flag_bits & 1:
                    raise ImportRefused(f"{member.filename} is encrypted, or neither a file nor a folder")
                if member.is_dir():
                    place.mkdir(mode=0o700, parents=True, exist_ok=True)
                    continue
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with packed.open(member) as stream:
                    budget.copy(stream, place)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ImportRefused(f"{archive} is not a ZIP file: {error}") from error


def _place(target: Path, name: str) -> Path:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ImportRefused(f"{name!r} would leave the folder")
    return target.joinpath(*path.parts)


class _Budget:
    """Counts files and octets as they are written: what an archive says of its sizes is its author's word."""

    def __init__(self) -> None:
        self._files = MAX_FILES
        self._octets = MAX_BYTES

    def copy(self, stream: IO[bytes], place: Path) -> None:
        self._files -= 1
        if self._files < 0:
            raise ImportRefused(f"there are more than {MAX_FILES} files")
        try:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            raise ImportRefused(f"{place.name} is there twice") from None
        with os.fdopen(descriptor, "wb") as written:
            while piece := stream.read(1 << 20):
                self._octets -= len(piece)
                if self._octets < 0:
                    raise ImportRefused(f"the files have more than {MAX_BYTES} bytes")
                written.write(piece)


__all__ = ["MAX_BYTES", "MAX_FILES", "ImportRefused", "copy_folder", "replacing", "unpack_tar", "unpack_zip"]
