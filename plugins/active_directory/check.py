"""The directory as somebody who knows passwords, for protocols that ask no more than that."""

from __future__ import annotations

from cspd.authentication.values import Identity
from cspd.directory.interfaces import Directory


class DirectoryPasswords:
    """Implements :class:`cspd.authentication.interfaces.PasswordCheck`, with the ability
    :class:`cspd.directory.interfaces.HasDirectory`."""

    def __init__(self, name: str, directory: Directory) -> None:
        self._name = name
        self._directory = directory

    @property
    def directory(self) -> Directory:
        """See :class:`cspd.directory.interfaces.HasDirectory`."""
        return self._directory

    async def check(self, user: str, password: str) -> Identity:
        """See :class:`cspd.authentication.interfaces.PasswordCheck`; the identity is ``DOMAIN\\account``.

        However users write their names, they are one identity.
        """
        return Identity(str(await self._directory.authenticate(user, password)), self._name)

    def stop(self) -> None:
        """See :class:`cspd.authentication.interfaces.Stoppable`."""
        self._directory.stop()
