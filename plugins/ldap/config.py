"""The settings of ``[authentication.NAME]`` with ``kind = "ldap"``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from cryptography import x509
from pydantic import AfterValidator, Field, model_validator

from cspd.config.inspection import Inspection
from cspd.config.problems import Problem
from cspd.config.values import Duration, SecretReference, Section

_URL = re.compile(r"ldaps?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError('a server, for example "ldaps://ldap.example.com" or "ldap://192.0.2.1:389"')
    return text


class LDAPConfig(Section):
    """Who is asked, and how a user's entry is found: by ``user_dn``, or by a search."""

    servers: Annotated[tuple[Annotated[str, AfterValidator(_url)], ...], Field(min_length=1)]
    """Tried in turn."""
    start_tls: bool = True
    """Of ``ldap://``; without it passwords go over the wire as they are."""
    ca_file: str | None = None
    """Issuers of the servers' certificates, PEM; those of the operating system if absent."""
    user_dn: str | None = None
    """The entry of a user: ``uid={user},ou=people,dc=example,dc=com``."""
    bind_dn: str | None = None
    """Who searches."""
    bind_password: SecretReference | None = None
    base: str | None = None
    """Where the search for the user begins."""
    filter: str = "(uid={user})"
    group_base: str | None = None
    """If present, a user has to be in a group below it."""
    group_filter: str = "(member={dn})"
    connect_timeout: Duration = timedelta(seconds=5)
    read_timeout: Duration = timedelta(seconds=5)
    """Rounded up to whole seconds."""
    threads: Annotated[int, Field(ge=1, le=64)] = 4

    @model_validator(mode="after")
    def _finds_users(self) -> LDAPConfig:
        if (self.user_dn is None) == (self.base is None):
            raise ValueError("either user_dn, or base for a search")
        if self.user_dn is not None and "{user}" not in self.user_dn:
            raise ValueError("user_dn has {user} where the name of the user goes")
        if self.base is not None and "{user}" not in self.filter:
            raise ValueError("filter has {user} where the name of the user goes")
        if (self.bind_dn is None) != (self.bind_password is None):
            raise ValueError("bind_dn and bind_password together")
        return self

    def inspect(self, folder: Path, now: datetime) -> Inspection:
        """See :class:`cspd.config.inspection.Inspected`."""
        if self.ca_file is None:
            return Inspection()
        file = folder / self.ca_file
        try:
            x509.load_pem_x509_certificates(file.read_bytes())
        except OSError as error:
            what = f"{file} cannot be read: {error.strerror}"
        except ValueError:
            what = f"{file} is not PEM of certificates"
        else:
            return Inspection()
        return Inspection(
            problems=[Problem(what=what, remedy="Name the issuers of the servers' certificates", key=("ca_file",))]
        )
