"""``[outbound]``: how requests to other people's servers leave the house (R-CEG-020).

::

    [outbound]
    proxy = "http://proxy.example.com:3128"
    no_proxy = ["localhost", ".example.com", "192.0.2.0/24"]
    proxy_user = "cspd"
    proxy_password = { store = "proxy" }
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cspd.config.values import PositiveDuration, SecretReference, Section

_PROXY = re.compile(r"http://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}/?")
_NAME = re.compile(r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def _proxy(text: str) -> str:
    if not _PROXY.fullmatch(text) or int(text.rstrip("/").rpartition(":")[2]) > 65535:
        raise ValueError('a proxy with its port, for example "http://proxy.example.com:3128"')
    return text.rstrip("/")


def _exception(text: str) -> str:
    if text == "*" or _NAME.fullmatch(text):
        return text
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            'a host "www.example.com", a domain ".example.com", an address or network "192.0.2.0/24", or "*"'
        ) from None
    return text


class OutboundConfig(Section):
    """How requests to other people's servers leave the house."""

    proxy: Annotated[str, AfterValidator(_proxy)] | None = None
    """An HTTP proxy: what is encrypted goes through it with CONNECT, what is not is sent to it."""
    proxy_user: Annotated[str, Field(min_length=1, pattern=r"^[^:\x00-\x1f]+$")] | None = None
    """For Basic authentication to the proxy."""
    proxy_password: SecretReference | None = None
    no_proxy: tuple[Annotated[str, AfterValidator(_exception)], ...] = ()
    """Whom to reach without the proxy: hosts, domains with what is below them, addresses, networks, ``*``."""
    ca_file: str | None = None
    """Issuers of the servers' certificates, PEM; those of the operating system if absent."""
    connect_timeout: PositiveDuration = timedelta(seconds=10)
    timeout: PositiveDuration = timedelta(seconds=30)
    """For a whole request, from the name's resolution to the last octet of the answer."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.proxy_user is None) != (self.proxy_password is None):
            raise ValueError("proxy_user and proxy_password: both or neither")
        if self.proxy is None and (self.proxy_user is not None or self.no_proxy):
            raise ValueError("proxy_user, proxy_password and no_proxy need a proxy")
        return self
