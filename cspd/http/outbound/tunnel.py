"""A tunnel through an HTTP proxy (RFC 9110, 9.3.6).

-> CONNECT host:port, with Proxy-Authorization if there is one
<- 2xx, and then the octets of the host; anything else ends it
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from cspd.http.outbound.exchange import Exchange
from cspd.http.outbound.proxies import Proxy
from cspd.http.outbound.values import RequestFailed

MAX_HEADER_OCTETS = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})[ \r]")
_END = b"\r\n\r\n"


class Tunnel(Protocol):
    """Asks the proxy for a connection, and passes it on to the protocol inside."""

    transport: Any

    def __init__(self, asked: bytes, inside: Any, exchange: Exchange) -> None:
        """``inside`` gets the octets of the host; ``exchange``, the innermost of it, hears of a failure."""
        self._asked = asked
        self._inside = inside
        self.exchange = exchange
        self._header = b""
        self._is_open = False

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.write(self._asked)

    def dataReceived(self, data: bytes) -> None:
        """Read the proxy's answer, then pass everything on."""
        if self._is_open:
            self._inside.dataReceived(data)
            return
        self._header += data
        header, end, rest = self._header.partition(_END)
        if not end:
            if len(self._header) > MAX_HEADER_OCTETS:
                self._fail("its answer is too long")
            return
        status = _STATUS.match(header + b"\r\n")
        if status is None:
            self._fail("its answer is not HTTP")
        elif status[1] == b"407":
            self._fail("it wants another proxy_user or proxy_password (407)")
        elif not status[1].startswith(b"2"):
            self._fail(f"it refuses the connection ({status[1].decode('ascii')})")
        else:
            self._is_open = True
            self._header = b""
            self._inside.makeConnection(self.transport)
            if rest:
                self._inside.dataReceived(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell who is inside."""
        if self._is_open:
            self._inside.connectionLost(reason)
        else:
            self._fail("it closed the connection")

    def _fail(self, reason: str) -> None:
        if not self.exchange.answer.called:
            self.exchange.answer.errback(RequestFailed(f"the proxy: {reason}"))
        if self.transport is not None:
            self.transport.abortConnection()


class TunnelFactory(Factory):
    """Makes the one tunnel of a connection."""

    noisy = False

    def __init__(self, proxy: Proxy, host: str, inside: Any) -> None:
        """``host`` is host and port; ``inside`` a factory whose protocols are of TLS around an exchange."""
        lines = [f"CONNECT {host} HTTP/1.1", f"Host: {host}"]
        if proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        self._asked = ("\r\n".join(lines)).encode("ascii") + _END
        self._inside = inside

    def buildProtocol(self, addr: Any) -> IProtocol:
        """See :class:`twisted.internet.interfaces.IProtocolFactory`."""
        secured = self._inside.buildProtocol(addr)
        tunnel: Any = Tunnel(self._asked, secured, secured.wrappedProtocol)
        return tunnel  # type: ignore[no-any-return]  # Protocol implements IProtocol, which mypy cannot see
