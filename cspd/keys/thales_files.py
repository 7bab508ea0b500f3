"""The client set-up of a Thales Luna HSM: certificates, key and ``Chrystoki.conf`` (R-TSA-084)."""

from __future__ import annotations

import re
from pathlib import Path

from cspd.keys.files import ImportRefused, copy_folder, replacing, unpack_zip

CLIENT = "/usr/safenet/lunaclient"
"""Where Luna's own software looks for its client."""
_MAX_CONF = 1 << 20
_ENTRIES = ("ClientPrivKeyFile", "ClientCertFile", "ServerCAFile")


def import_client(cert: Path, chrystoki: Path, target: Path) -> None:
    """Make ``target`` (``cert/`` and ``Chrystoki.conf``) from a ``cert`` directory and a ``Chrystoki.conf``.

    The three paths of the file become those of the imported certificates below ``/usr/safenet/lunaclient``; nothing
    else in it changes. Raises :class:`ImportRefused` for another layout, and the former set-up stays.
    """
    if not cert.is_dir():
        raise ImportRefused(f"{cert} is no folder")
    if not chrystoki.is_file():
        raise ImportRefused(f"{chrystoki} is no file")
    with replacing(target) as beside:
        (beside / "cert").mkdir(mode=0o700)
        copy_folder(cert, beside / "cert")
        text = rewritten(_text(chrystoki), _paths(beside / "cert", _text(chrystoki)))
        _write(beside / "Chrystoki.conf", text)


def import_package(package: Path, target: Path) -> None:
    """Make ``target`` from the ZIP package of a Data Protection on Demand service, with its own ``Chrystoki.conf``.

    Raises :class:`ImportRefused`.
    """
    if not package.is_file():
        raise ImportRefused(f"{package} is no file")
    with replacing(target) as beside:
        unpack_zip(package, beside)
        if not any(beside.rglob("Chrystoki.conf")):
            raise ImportRefused(f"{package} has no Chrystoki.conf")


def rewritten(text: str, paths: dict[str, str]) -> str:
    """A ``Chrystoki.conf`` with other values for these entries; raises :class:`ImportRefused` for one it lacks."""
    for entry, path in paths.items():
        pattern = re.compile(rf"^(\s*{entry}\s*=\s*)[^;\n]*;", re.MULTILINE)
        text, found = pattern.subn(lambda match, path=path: f"{match[1]}{path};", text)  # type: ignore[misc]  # bound now
        if found != 1:
            raise ImportRefused(f"Chrystoki.conf has {found} entries {entry}")
    return text


def _paths(cert: Path, conf: str) -> dict[str, str]:
    client = sorted(each.name for each in (cert / "client").glob("*.pem"))
    server = sorted(each.name for each in (cert / "server").glob("*.pem"))
    keys = [name for name in client if _is_key(cert / "client" / name)]
    certificates = [name for name in client if name not in keys]
    found = {"ClientPrivKeyFile": keys, "ClientCertFile": certificates, "ServerCAFile": server}
    paths = {}
    for entry in _ENTRIES:
        folder = "server" if entry == "ServerCAFile" else "client"
        paths[entry] = f"{CLIENT}/cert/{folder}/{_one(found[entry], conf, entry, folder)}"
    return paths


def _one(names: list[str], conf: str, entry: str, folder: str) -> str:
    """The only file, or among several the one that the file names already."""
    named = re.search(rf"^\s*{entry}\s*=\s*([^;\n]*);", conf, re.MULTILINE)
    wanted = named[1].strip().rpartition("/")[2] if named else ""
    if wanted in names:
        return wanted
    if len(names) != 1:
        raise ImportRefused(f"cert/{folder} has {len(names)} files that could be the {entry}")
    return names[0]


def _is_key(file: Path) -> bool:
    return b"PRIVATE KEY-----" in file.read_bytes()[:_MAX_CONF]


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(_MAX_CONF + 1)
    if len(content) > _MAX_CONF:
        raise ImportRefused(f"{file} is larger than {_MAX_CONF} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ImportRefused(f"{file} is no text") from None


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


__all__ = ["import_client", "import_package", "rewritten"]
