"""The sections ``[authentication.NAME]``: who knows users and their passwords.

::

    [authentication.devices]
    kind = "static"

    [[authentication.devices.users]]
    name = "router-7"
    password = { store = "router-7" }
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from cspd.config.values import SecretReference, Section

STATIC = "static"
AuthenticationName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class StaticUser(Section):
    """One of ``[[authentication.NAME.users]]``."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    password: SecretReference


class AuthenticationConfig(Section):
    """``[authentication.NAME]``."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")] = STATIC
    """``static``: the users below. Otherwise the name of a connector, which has its ``settings``."""
    users: tuple[StaticUser, ...] = ()
    settings: Mapping[str, Any] = Field(default_factory=dict)
    """What the connector needs to know; checked by it."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> AuthenticationConfig:
        if self.kind == STATIC:
            if self.settings:
                raise ValueError("settings belong to a connector; static has users")
            names = [user.name for user in self.users]
            if not names or len(set(names)) != len(names):
                raise ValueError("static has at least one user, and each name once")
        elif self.users:
            raise ValueError('users belong to kind = "static"')
        return self
