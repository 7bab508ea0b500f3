"""Builds what ``[authentication.NAME]`` sections describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cspd.authentication.config import STATIC, AuthenticationConfig
from cspd.authentication.interfaces import PasswordCheck, PasswordCheckFactory
from cspd.authentication.static import StaticUsers
from cspd.config.values import SecretReference
from cspd.refusals import Unavailable

CONNECTOR_KIND = "password-check"


def build_password_check(
    name: str,
    section: AuthenticationConfig,
    *,
    connector: Callable[[str, str], PasswordCheckFactory],
    reactor: Any,
    secret: Callable[[SecretReference], bytes],
    folder: Path,
) -> PasswordCheck:
    """The check of one section; raises NotFound for an unknown connector, Unavailable for a secret that is missing."""
    if section.kind != STATIC:
        factory = connector(CONNECTOR_KIND, section.kind)
        return factory(name, section.settings, reactor=reactor, secret=secret, folder=folder)
    try:
        return StaticUsers(name, {user.name: secret(user.password) for user in section.users})
    except ValueError as error:
        raise Unavailable(str(error)) from error
