"""Which requests go through the proxy, and how it is told who we are."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

_DEFAULT_PORT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    """The value of Proxy-Authorization."""

    @classmethod
    def of(cls, url: str, user: str | None = None, password: bytes | None = None) -> Proxy:
        """The proxy at ``http://host:port``; with a user, Basic authentication in UTF-8 (RFC 7617, 2.1)."""
        parts = urlsplit(url)
        authorization = None
        if user is not None:
            authorization = "Basic " + b64encode(user.encode() + b":" + (password or b"")).decode("ascii")
        return cls(host=parts.hostname or "", port=parts.port or _DEFAULT_PORT, authorization=authorization)


class Exceptions:
    """Hosts that are reached without the proxy."""

    def __init__(self, entries: Sequence[str]) -> None:
        """See ``no_proxy`` of :class:`cspd.http.outbound.config.OutboundConfig`."""
        self._everything = "*" in entries
        self._domains: list[str] = []
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._domains.append(entry.lower().removeprefix(".").removesuffix("."))

    def __contains__(self, host: str) -> bool:
        """Whether a host, a name or an address, is one; names are not resolved for it."""
        if self._everything:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            name = host.lower().removesuffix(".")
            return any(name == domain or name.endswith(f".{domain}") for domain in self._domains)
        return any(address in network for network in self._networks)
