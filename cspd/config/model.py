"""The root of the configuration: the sections of ``cspd.toml``.

``conf/cspd.toml`` shows every key with its meaning; a test keeps it complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from cspd.authentication.config import AuthenticationConfig, AuthenticationName
from cspd.config.values import Duration, Section
from cspd.digital_ids.config import DigitalIDsConfig
from cspd.http.config import ListenerConfig
from cspd.http.outbound.config import OutboundConfig
from cspd.keys.config import KeysConfig
from cspd.store.config import StoreConfig

_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_BASE_URL = re.compile(r"https?://[a-z0-9.\-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?")
_TENANT_ID = re.compile(r"[A-Za-z0-9_~-]+")

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"]

Insecure = Literal[
    "software-keys", "self-signed-tls", "unverified-database-tls", "loose-permissions", "unverified-clock"
]
"""What production refuses unless conf allows it by name (R-PLAT-012)."""

INSECURE: tuple[str, ...] = get_args(Insecure)


def _hostname(text: str) -> str:
    """R-PLAT-014: RFC 1123, lower case."""
    if len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError('a host name of RFC 1123 in lower case, for example "pki.example.com"')
    return text


def _base_url(text: str) -> str:
    if not _BASE_URL.fullmatch(text):
        raise ValueError('a URL without a slash at its end, for example "https://pki.example.com"')
    return text


def _tenant_id(text: str) -> str:
    """R-CEG-002."""
    if not _TENANT_ID.fullmatch(text):
        raise ValueError("one or more of the characters A-Z a-z 0-9 - _ ~")
    return text


def _octal(text: str) -> str:
    if not re.fullmatch(r"0[0-7]{3}", text):
        raise ValueError('four octal digits, for example "0027"')
    return text


class ServerConfig(Section):
    """``[server]``: the daemon as a whole."""

    mode: Literal["demo", "prod"] = "prod"
    """``demo`` allows what is insecure (R-PLAT-011, 012)."""
    hostname: Annotated[str, AfterValidator(_hostname)]
    node: Annotated[str | None, Field(pattern=r"^[a-z0-9.-]{1,48}$")] = None
    """This machine among several on one database; names audit chains and leases. ``hostname`` if absent."""
    public_http: Annotated[str | None, AfterValidator(_base_url)] = None
    """How clients reach the plain listeners (R-PLAT-015). ``http://HOSTNAME`` if absent."""
    public_https: Annotated[str | None, AfterValidator(_base_url)] = None
    trust_anchor: str | None = None
    """The root that clients need to trust ``public_https``, PEM, relative to this file; None if they have it. Only for
    the commands that the start prints (R-CEG-017)."""
    state: str = "state"
    """The folder of everything the daemon keeps (0700), relative to this file."""
    umask: Annotated[str, AfterValidator(_octal)] = "0027"
    start_timeout: Duration = timedelta(seconds=60)
    """How long store, tokens and protocols may take to come up (R-PLAT-053)."""
    uid: str | int | None = None
    """User to become once ports below 1024 are bound (R-PLAT-005)."""
    gid: str | int | None = None
    allow_insecure: tuple[Insecure, ...] = ()

    @model_validator(mode="after")
    def _schemes(self) -> ServerConfig:
        if self.public_http is not None and not self.public_http.startswith("http://"):
            raise ValueError("public_http begins with http://")
        if self.public_https is not None and not self.public_https.startswith("https://"):
            raise ValueError("public_https begins with https://")
        return self

    @property
    def http_url(self) -> str:
        """The base of all plain URLs."""
        return self.public_http or f"http://{self.hostname}"

    @property
    def https_url(self) -> str:
        """The base of all URLs that need TLS."""
        return self.public_https or f"https://{self.hostname}"

    @property
    def node_name(self) -> str:
        """See ``node``."""
        return self.node or self.hostname[:48]


class TenantsConfig(Section):
    """``[tenants]``: who enrollment URLs are made for. Ids are compared with case (R-CEG-003)."""

    ids: Annotated[tuple[Annotated[str, AfterValidator(_tenant_id), Field(max_length=64)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> TenantsConfig:
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("each tenant id once")
        return self


class ProfilesConfig(Section):
    """``[profiles]``: where certificate profiles come from."""

    shipped: bool = True
    """Load the profiles that ship with cspd."""
    directories: tuple[str, ...] = ()
    """More folders of profile files, relative to this file."""


class LogConfig(Section):
    """``[log]``: what is logged, where to and how."""

    format: Literal["json", "text"] = "json"
    file: str | None = None
    """Relative to this file; standard output if absent."""
    level: Level = "INFO"
    levels: Mapping[str, Level] = Field(default_factory=dict)
    """Levels of parts of the server: ``"protocols.acme" = "DEBUG"``."""
    requests: Literal["none", "failed", "all"] = "failed"
    """Which answered requests get a line; ``failed`` are those with a status of 400 and above."""


class AdminConfig(Section):
    """``[admin]``: the administration socket."""

    socket: str | None = None
    """A path relative to this file; ``admin.sock`` in the state folder if absent."""


ListenerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class RootConfig(Section):
    """All of ``cspd.toml``. ``protocols`` holds each table as written until its protocol's own model checks it."""

    server: ServerConfig
    tenants: TenantsConfig
    keys: KeysConfig
    store: StoreConfig = Field(default_factory=StoreConfig)
    outbound: OutboundConfig = Field(default_factory=OutboundConfig)
    profiles: ProfilesConfig = Field(default_factory=ProfilesConfig)
    log: LogConfig = Field(default_factory=LogConfig)
    admin: AdminConfig = Field(default_factory=AdminConfig)
    authentication: Mapping[AuthenticationName, AuthenticationConfig] = Field(default_factory=dict)
    digital_ids: DigitalIDsConfig | None = None
    """What products for mobile device management may order; None: nothing, and their protocols are not served."""
    listeners: Annotated[Mapping[ListenerName, ListenerConfig], Field(min_length=1)]
    protocols: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
