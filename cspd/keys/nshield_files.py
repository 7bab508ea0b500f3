"""The ``kmdata`` folder of an nShield Security World: in and out of an installation (R-TSA-082, R-TSA-083)."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

from cspd.keys.files import ImportRefused, copy_folder, replacing, unpack_tar

ARCHIVES = ("kmdata.tar.gz", "kmdata.tar")
"""What an exported folder may hold in place of ``kmdata``."""
_SETTING = re.compile(r"^\s*(impath_addr|impath_port)\s*=\s*(\S*)\s*$", re.MULTILINE)
_ALLOWED = {"impath_addr": "0.0.0.0", "impath_port": "9004"}  # noqa: S104  # a value of the vendor's file


def import_kmdata(source: Path, target: Path) -> None:
    """Make ``target`` the Security World of ``source``.

    ``source`` is a ``kmdata`` folder, a folder that :func:`export_kmdata` made, or the archive of one. Raises
    :class:`ImportRefused` for what is none or has a ``config/config`` that binds elsewhere; the former world stays.
    """
    with replacing(target) as beside:
        if source.is_file():
            _unpack(source, beside)
        elif not source.is_dir():
            raise ImportRefused(f"{source} does not exist")
        elif (source / "kmdata").is_dir():
            copy_folder(source / "kmdata", beside)
        elif archives := [source / name for name in ARCHIVES if (source / name).is_file()]:
            _unpack(archives[0], beside)
        else:
            copy_folder(source, beside)
        _check(beside, source)


def export_kmdata(world: Path, folder: Path, *, packed: bool) -> Path:
    """Copy a Security World to ``folder/kmdata``, or to ``folder/kmdata.tar.gz``; gives the path.

    Raises :class:`ImportRefused` if there is no world, or something where the copy should be.
    """
    if not world.is_dir():
        raise ImportRefused("no Security World has been imported")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = folder / (ARCHIVES[0] if packed else "kmdata")
    if made.exists():
        raise ImportRefused(f"{made} is there already")
    if packed:
        with made.open("xb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as tar:
            made.chmod(0o600)
            tar.add(world, arcname="kmdata")
    else:
        made.mkdir(mode=0o700)
        copy_folder(world, made)
    return made


def _unpack(archive: Path, beside: Path) -> None:
    """The world in an archive, with or without ``kmdata/`` before its names."""
    with replacing(beside / ".unpacked") as unpacked:
        unpack_tar(archive, unpacked)
    unpacked = beside / ".unpacked"
    inner = unpacked / "kmdata" if (unpacked / "kmdata").is_dir() else unpacked
    for each in sorted(inner.iterdir()):
        each.rename(beside / each.name)
    if inner != unpacked:
        inner.rmdir()
    unpacked.rmdir()


def _check(world: Path, source: Path) -> None:
    if not (world / "local").is_dir():
        raise ImportRefused(f"{source} is no Security World: it has no folder local")
    settings = world / "config" / "config"
    if settings.is_file():
        for name, value in _SETTING.findall(settings.read_text("utf-8", "replace")):
            if value and value != _ALLOWED[name]:
                raise ImportRefused(f"config/config: {name} may only be {_ALLOWED[name]}, not {value}")


__all__ = ["export_kmdata", "import_kmdata"]
