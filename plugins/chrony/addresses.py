"""Where chronyd is asked: ``udp:127.0.0.1:323``, ``udp:[::1]:323``, ``unix:/run/chrony/chronyd.sock``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import PurePosixPath

from cspd.refusals import Malformed

_UDP = re.compile(r"udp:(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
_MAX_UNIX_PATH = 107  # of sockaddr_un, with the zero at its end


@dataclass(frozen=True, slots=True)
class UDPAddress:
    """An address and a port of ``bindcmdaddress`` and ``cmdport``."""

    host: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.host.version == 6 else str(self.host)
        return f"udp:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The socket of ``bindcmdaddress /...``."""

    path: PurePosixPath

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = UDPAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Read an address; raises Malformed, which says what would be right.

    Names are not taken: who is asked for the time must not depend on an answer of the DNS.
    """
    address = _parse_unix(text) if text.startswith("unix:") else _parse_udp(text)
    if address is None:
        raise Malformed(
            f'address "{text}": "udp:ADDRESS:PORT" with an IP address, such as "udp:127.0.0.1:323" or "udp:[::1]:323",'
            ' or "unix:/PATH", such as "unix:/run/chrony/chronyd.sock"'
        )
    return address


def _parse_udp(text: str) -> UDPAddress | None:
    found = _UDP.fullmatch(text)
    if found is None:
        return None
    port = int(found["port"])
    try:
        host = IPv6Address(found["v6"]) if found["v6"] else ip_address(found["v4"])
    except ValueError:
        return None
    return UDPAddress(host, port) if 0 < port < 1 << 16 else None


def _parse_unix(text: str) -> UnixAddress | None:
    path = text.removeprefix("unix:")
    if not path.startswith("/") or path.endswith("/") or "\0" in path or len(path.encode()) > _MAX_UNIX_PATH:
        return None
    return UnixAddress(PurePosixPath(path))
