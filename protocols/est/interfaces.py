"""What EST needs of somebody who knows users."""

from __future__ import annotations

from typing import Protocol

from protocols.est.messages import BasicCredentials


class PasswordCheck(Protocol):
    """Knows users by name and password."""

    async def check(self, credentials: BasicCredentials) -> str:
        """The identity of the user; raises Unauthorized, and Unavailable when nobody can say."""
        ...
