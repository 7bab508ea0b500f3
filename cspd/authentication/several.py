"""Several that know passwords, asked one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from cspd.authentication.interfaces import NOT_PROVED, PasswordCheck
from cspd.authentication.values import Identity
from cspd.refusals import Unauthorized, Unavailable


class FirstOf:
    """Implements :class:`cspd.authentication.interfaces.PasswordCheck` by the first that knows the user."""

    def __init__(self, checks: Sequence[PasswordCheck]) -> None:
        self._checks = tuple(checks)

    async def check(self, user: str, password: str) -> Identity:
        """See :class:`cspd.authentication.interfaces.PasswordCheck`.

        Unavailable only if nobody else knows the user: one directory that is away does not keep out who is in another.
        """
        unavailable: Unavailable | None = None
        for check in self._checks:
            try:
                return await check.check(user, password)
            except Unauthorized:
                continue
            except Unavailable as error:
                unavailable = error
        raise unavailable or Unauthorized(NOT_PROVED)
