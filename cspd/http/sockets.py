"""Options of listening sockets."""

from __future__ import annotations

import socket
from typing import Any

from cspd.http.config import Limits


def set_socket_options(port: Any, limits: Limits) -> None:
    """Set on a listening TCP port what accepted sockets inherit, rather than on each of them anew.

    ``port`` is an IListeningPort; one without a socket (of tests, or a Unix socket) is left alone.
    """
    listening = getattr(port, "socket", None)
    if not isinstance(listening, socket.socket) or listening.family not in (socket.AF_INET, socket.AF_INET6):
        return
    seconds = max(int(limits.tcp_keep_alive.total_seconds()), 6)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Silent for half of the time, then three probes in the other half: pruned when the span is over.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds // 2)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(seconds // 6, 1))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    # An answer is one write; waiting to fill a segment only delays the last one.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
