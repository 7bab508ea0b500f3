"""cspctl's side of the admin socket."""

from __future__ import annotations

import http.client
import json
import pwd
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SECONDS = 600.0  # making an RSA 4096 key on a slow token takes minutes


class OperationFailed(Exception):
    """The daemon refused, or its answer did not come; ``code`` is that of the refusal."""

    def __init__(self, reason: str, *, code: str = "failed") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class DaemonDown(OperationFailed):
    """Nobody listens on the socket."""


class NotAllowed(OperationFailed):
    """The operating system does not let this user administer the installation."""

    def __init__(self, path: Path, owner: str) -> None:
        whom = "root" if owner == "root" else f"root or as {owner}"
        super().__init__(f"{path} is closed to you; run cspctl as {whom}", code="forbidden")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(path: Path, operation: str, arguments: Mapping[str, Any]) -> Any:
    """Run one operation of the daemon that listens on the Unix socket ``path``; gives its JSON result.

    Raises :class:`DaemonDown` when nobody listens, :class:`NotAllowed` when this user may not connect, and
    :class:`OperationFailed` with the daemon's reason.
    """
    connection = _UnixConnection(path)
    headers = {"Content-Type": "application/json"}
    try:
        connection.request("POST", f"/v1/{operation}", json.dumps(dict(arguments)), headers)
        response = connection.getresponse()
        body = response.read()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DaemonDown(f"no daemon runs: nobody listens on {path}", code="daemon-down") from error
    except PermissionError as error:
        raise NotAllowed(path, owner_of(path)) from error
    except (OSError, http.client.HTTPException) as error:
        raise OperationFailed(f"the daemon did not finish the answer on {path}: {error}") from error
    finally:
        connection.close()
    return read_answer(response.status, body)


def owner_of(path: Path) -> str:
    """The login name of the user to whom ``path``, or the nearest folder above it that we may see, belongs."""
    for each in (path, *path.parents):
        try:
            number = each.stat().st_uid
        except OSError:
            continue
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            return str(number)
    return "its owner"


def read_answer(status: int, body: bytes) -> Any:
    """The result in an answer; raises :class:`OperationFailed` for a refusal, and for what is no answer of ours."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    match answer:
        case {"result": result}:
            return result
        case {"error": {"code": str(code), "reason": str(reason)}}:
            raise OperationFailed(reason, code=code)
    raise OperationFailed(body.decode("utf-8", "replace").strip() or f"status {status}")
