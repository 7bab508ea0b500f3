"""Asks directory servers, one after the other, in threads of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from cspd.authentication.interfaces import NOT_PROVED
from cspd.authentication.values import Identity
from cspd.config.values import SecretReference
from cspd.refusals import Malformed, Unauthorized, Unavailable
from plugins.ldap.config import LDAPConfig
from plugins.ldap.directory import CannotAsk, Directory

MAX_WAITING = 200
"""Questions at one time: a directory that does not answer must not gather all clients."""
MAX_OCTETS = 1024
"""Of a user name, and of a password."""


def build(
    name: str,
    settings: Mapping[str, Any],
    *,
    reactor: Any,
    secret: Callable[[SecretReference], bytes],
    folder: Path,
) -> LDAPCheck:
    """See :class:`cspd.authentication.interfaces.PasswordCheckFactory`."""
    try:
        config = LDAPConfig.model_validate(dict(settings))
    except ValidationError as error:
        found = error.errors()[0]
        raise Malformed(f"settings.{'.'.join(map(str, found['loc']))}: {found['msg']}") from None
    try:
        password = None if config.bind_password is None else secret(config.bind_password).decode()
    except ValueError as error:
        raise Unavailable(str(error)) from error
    servers = [Directory(url, config, bind_password=password, folder=folder) for url in config.servers]
    return LDAPCheck(name, servers, reactor=reactor, threads=config.threads)


class LDAPCheck:
    """Implements :class:`cspd.authentication.interfaces.PasswordCheck`."""

    _log = Logger()

    def __init__(self, name: str, servers: Sequence[Directory], *, reactor: Any, threads: int) -> None:
        """``reactor`` is an IReactorFromThreads; no thread starts before the first question."""
        self._name = name
        self._servers = servers
        self._reactor = reactor
        self._waiting = 0
        self._pool = ThreadPool(0, threads, name=f"ldap-{name}")

    async def check(self, user: str, password: str) -> Identity:
        """See :class:`cspd.authentication.interfaces.PasswordCheck`."""
        # An empty password would be an unauthenticated bind, which succeeds (RFC 4513, 5.1.2).
        if not _is_text(user) or not _is_text(password):
            raise Unauthorized(NOT_PROVED)
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many questions wait for the directory")
        if not self._pool.started:
            self._pool.start()
        self._waiting += 1
        try:
            is_right = await deferToThreadPool(self._reactor, self._pool, self._ask, user, password)
        finally:
            self._waiting -= 1
        if not is_right:
            raise Unauthorized(NOT_PROVED)
        return Identity(user, self._name)

    def stop(self) -> None:
        """See :class:`cspd.authentication.interfaces.Stoppable`; waits for the questions that are asked now."""
        if self._pool.started:
            self._pool.stop()

    def _ask(self, user: str, password: str) -> bool:
        """In a thread."""
        reasons: list[str] = []
        for server in self._servers:
            try:
                return server.is_right(user, password)
            except CannotAsk as error:
                reasons.append(str(error))
        raise Unavailable("the directory does not answer", detail="; ".join(reasons))


def _is_text(value: str) -> bool:
    """Something that can be sent: not empty, without NUL, not too long, and UTF-8."""
    try:
        return 0 < len(value.encode()) <= MAX_OCTETS and "\0" not in value
    except UnicodeEncodeError:
        return False
