"""What protocols ask of authentication, and what a connector of the kind ``password-check`` has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from cspd.authentication.values import Identity
from cspd.config.values import SecretReference

NOT_PROVED = "unknown user, or wrong password"
"""The reason of every Unauthorized for a password: it does not tell which of the two (RFC 9110, 15.5.2)."""


class PasswordCheck(Protocol):
    """Knows users and their passwords."""

    async def check(self, user: str, password: str) -> Identity:
        """Who this is.

        Raises Unauthorized, with :data:`NOT_PROVED` for an unknown user, a wrong and an empty password alike, and
        Unavailable when whoever knows the passwords cannot be asked.
        """
        ...


@runtime_checkable
class Stoppable(Protocol):
    """An ability that a :class:`PasswordCheck` may have: something of it goes on until it is stopped."""

    def stop(self) -> None:
        """Called when a reload replaced it, or at shutdown."""
        ...


class PasswordCheckFactory(Protocol):
    """Builds the connector of ``[authentication.NAME]`` whose ``kind`` is the connector's name."""

    def __call__(
        self,
        name: str,
        settings: Mapping[str, Any],
        *,
        reactor: Any,
        secret: Callable[[SecretReference], bytes],
        folder: Path,
    ) -> PasswordCheck:
        """Build it from ``[authentication.NAME.settings]``, without I/O but reading the files and secrets it names.

        ``secret`` raises ValueError, saying why; relative paths start at ``folder``. Raises a Refused.
        """
        ...
