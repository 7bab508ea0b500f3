"""Secrets: where conf refers to them, and the store that ``cspctl secret`` fills (R-PLAT-047 to 050)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from cspd.config.values import SecretReference

MAX_SECRET_BYTES = 128 * 1024  # R-PLAT-047
SECRET_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{2,127}")


class SecretUnavailable(ValueError):
    """A secret cannot be had; the text says why and never holds any part of a secret."""


class SecretStore:
    """A folder (0700) with one file (0600) for each secret, readable by the owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def set(self, secret_id: str, value: bytes) -> None:
        """Keep ``value``, any bytes, under that id, replacing what was there; durable when it returns.

        Raises ValueError for an id or a size that is not allowed, OSError when the disk refuses.
        """
        file = self._file(secret_id)
        if not value:
            raise ValueError("a secret has at least one byte")
        if len(value) > MAX_SECRET_BYTES:
            raise ValueError(f"a secret has at most {MAX_SECRET_BYTES} bytes")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._folder / f".{uuid4().hex}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(value)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(file)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def read(self, secret_id: str) -> bytes:
        """The secret; raises :class:`SecretUnavailable`."""
        return read_secret_file(self._file(secret_id), f'no secret "{secret_id}" in the secret store')

    def list(self) -> list[str]:
        """The ids, sorted; never a value."""
        if not self._folder.is_dir():
            return []
        return sorted(file.name for file in self._folder.iterdir() if SECRET_ID.fullmatch(file.name))

    def delete(self, secret_id: str) -> None:
        """Forget the secret; raises KeyError when there is none."""
        try:
            self._file(secret_id).unlink()
        except FileNotFoundError:
            raise KeyError(secret_id) from None

    def _file(self, secret_id: str) -> Path:
        if not SECRET_ID.fullmatch(secret_id):
            raise ValueError("a secret's id has 3 to 128 characters, a letter first, then letters, digits, '_' and '-'")
        return self._folder / secret_id


class Secrets:
    """Gives the bytes that a :class:`SecretReference` refers to.

    Each is read once: the configuration is a snapshot, and files may be readable only by root, who reads them at start.
    """

    def __init__(self, *, folder: Path, store: SecretStore, environment: Mapping[str, str]) -> None:
        """``folder`` is where relative ``file`` references start."""
        self._folder = folder
        self._store = store
        self._environment = environment
        self._read: dict[SecretReference, bytes] = {}

    def resolve(self, reference: SecretReference) -> bytes:
        """The secret; raises :class:`SecretUnavailable`, which says why."""
        if reference not in self._read:
            self._read[reference] = self._resolve(reference)
        return self._read[reference]

    def _resolve(self, reference: SecretReference) -> bytes:
        if reference.store is not None:
            return self._store.read(reference.store)
        if reference.env is not None:
            value = self._environment.get(reference.env)
            if not value:
                raise SecretUnavailable(f"the environment variable {reference.env} is not set")
            return os.fsencode(value)
        file = self.path(reference)
        if file is None:
            raise SecretUnavailable("the reference names nothing")
        return read_secret_file(file, f"{file} does not exist").removesuffix(b"\n").removesuffix(b"\r")

    def path(self, reference: SecretReference) -> Path | None:
        """The file of a ``file`` reference."""
        return None if reference.file is None else self._folder / reference.file


def read_secret_file(file: Path, absent: str) -> bytes:
    """The content of a file that holds a secret.

    Raises :class:`SecretUnavailable`, with the text ``absent`` if there is no such file.
    """
    try:
        with file.open("rb") as stream:
            value = stream.read(MAX_SECRET_BYTES + 1)
    except FileNotFoundError:
        raise SecretUnavailable(absent) from None
    except OSError as error:
        raise SecretUnavailable(f"{file} cannot be read: {error.strerror}") from None
    except ValueError:  # NUL in the path
        raise SecretUnavailable(f"{str(file)!r} is no path") from None
    if not value:
        raise SecretUnavailable(f"{file} is empty")
    if len(value) > MAX_SECRET_BYTES:
        raise SecretUnavailable(f"{file} is larger than {MAX_SECRET_BYTES} bytes")
    return value


def looser_than(file: Path, mode: int) -> int | None:
    """The permission bits of ``file`` if they go beyond ``mode``; None if not, or if there is no such file."""
    try:
        found = stat.S_IMODE(file.stat().st_mode)
    except (OSError, ValueError):  # ValueError: NUL in the path
        return None
    return found if found & ~mode & 0o777 else None
