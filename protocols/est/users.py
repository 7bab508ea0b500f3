"""Users with passwords, from a file (RFC 7617).

The file holds lines ``NAME:PASSWORD``; empty lines and those that begin with ``#`` do not count. Only its owner may
read it. Passwords are compared in constant time by their digests, and an unknown name costs what a wrong password does.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from cspd.refusals import Unauthorized
from protocols.est.messages import BasicCredentials

MAX_FILE = 1 << 20
_READABLE_BY_OTHERS = 0o077
_NOBODY = sha256(b"").digest()


class BadUsersFile(ValueError):
    """The file cannot be used; the text names it and says why."""


def read_users(file: Path) -> Mapping[str, bytes]:
    """The digests of the passwords by user name; raises :class:`BadUsersFile`."""
    try:
        if file.stat().st_mode & _READABLE_BY_OTHERS:
            raise BadUsersFile(f"{file} may be read by others than its owner")
        with file.open("rb") as source:
            octets = source.read(MAX_FILE + 1)
        text = octets.decode("utf-8")
    except OSError as error:
        raise BadUsersFile(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadUsersFile(f"{file} is not UTF-8") from error
    if len(octets) > MAX_FILE:
        raise BadUsersFile(f"{file} has more than {MAX_FILE} bytes")
    users: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, separator, password = line.partition(":")
        if not separator or not name or not password or name in users:
            raise BadUsersFile(f"{file}, line {number}: not NAME:PASSWORD, or a name for the second time")
        users[name] = sha256(password.encode()).digest()
    return users


class FileUsers:
    """Checks user names and passwords."""

    def __init__(self, users: Mapping[str, bytes]) -> None:
        self._users = users

    async def check(self, credentials: BasicCredentials) -> str:
        """The identity of the user; raises Unauthorized."""
        given = sha256(credentials.password.encode()).digest()
        known = self._users.get(credentials.user)
        if not hmac.compare_digest(given, known or _NOBODY) or known is None:
            raise Unauthorized("user name or password is wrong", code="wrong-password")
        return credentials.user
