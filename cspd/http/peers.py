"""Who is at the other end of a connection, by the operating system's word."""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet.address import UNIXAddress

UNIX_PREFIX = "uid:"
_CREDENTIALS = struct.Struct("3i")  # struct ucred of SO_PEERCRED: pid, uid, gid


def peer_of(transport: Any) -> str:
    """The IP address of a TCP peer; ``uid:N`` with the numeric user id of a Unix socket's; empty if unknown."""
    peer = transport.getPeer()
    if isinstance(peer, UNIXAddress):
        try:
            packed = transport.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except (AttributeError, OSError):  # not a Linux socket
            return ""
        return f"{UNIX_PREFIX}{_CREDENTIALS.unpack(packed)[1]}"
    host: str = getattr(peer, "host", "")
    return host
