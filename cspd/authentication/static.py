"""Users whose passwords conf refers to."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from cspd.authentication.interfaces import NOT_PROVED
from cspd.authentication.values import Identity
from cspd.refusals import Unauthorized


class StaticUsers:
    """Implements :class:`cspd.authentication.interfaces.PasswordCheck`."""

    def __init__(self, name: str, passwords: Mapping[str, bytes]) -> None:
        """``passwords`` by user name; none is empty."""
        self._name = name
        self._digests = {user: sha256(password).digest() for user, password in passwords.items()}

    async def check(self, user: str, password: str) -> Identity:
        """See :class:`cspd.authentication.interfaces.PasswordCheck`."""
        given = sha256(password.encode("utf-8", "surrogatepass")).digest()  # of one length, so that time tells none
        known = self._digests.get(user)
        is_right = compare_digest(given, known or bytes(len(given)))
        if known is None or not is_right:
            raise Unauthorized(NOT_PROVED)
        return Identity(user, self._name)
