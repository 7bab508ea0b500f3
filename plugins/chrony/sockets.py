"""Datagrams to and from chronyd, over UDP or a Unix socket.

Twisted's own datagram ports would do, but they log two lines whenever one is opened, and a new one is opened for each
poll: an answer then has to come to a port that was chosen just now. A socket is connected, so that the kernel passes on
nothing that others send, and says when nobody listens.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from plugins.chrony.addresses import Address, UnixAddress
from plugins.chrony.codec import MAX_PACKET_BYTES


class Receiver(Protocol):
    """Who opened a socket."""

    def packet_received(self, packet: bytes) -> None:
        """A datagram of chronyd."""
        ...

    def socket_failed(self, error: OSError) -> None:
        """The kernel says that it is of no use: nobody listens there, for example."""
        ...


class DatagramSocket(Protocol):
    """A connected socket that is open."""

    def send(self, packet: bytes) -> None:
        """Send a datagram; one that the kernel has no room for is lost, like others on their way. Raises OSError."""
        ...

    def close(self) -> None:
        """Receive nothing more."""
        ...


OpenSocket = Callable[[Receiver], DatagramSocket]
"""Opens a socket to chronyd; raises OSError."""


def opener(address: Address, reactor: Any, random: Random) -> OpenSocket:
    """How a socket to that address is opened; ``reactor`` is an IReactorFDSet."""
    return lambda receiver: _ConnectedSocket(*_connect(address, random), reactor, receiver)


def _connect(address: Address, random: Random) -> tuple[socket.socket, Path | None]:
    """A connected socket, and the path that it is bound to if it has one."""
    if isinstance(address, UnixAddress):
        return _connect_unix(address, random)
    family = socket.AF_INET6 if address.host.version == 6 else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        connection.connect((str(address.host), address.port))
    except OSError:
        connection.close()
        raise
    return connection, None


def _connect_unix(address: UnixAddress, random: Random) -> tuple[socket.socket, Path | None]:
    """chronyd answers to a socket that it can write to, so ours is bound beside its own, as chronyc does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    own = Path(address.path).with_name(f"cspd.{os.getpid()}.{random.getrandbits(32):08x}.sock")
    try:
        connection.connect(str(address.path))
        connection.bind(str(own))
        own.chmod(0o666)  # chronyd has become another user; its folder keeps strangers out
    except OSError:
        connection.close()
        _remove(own)
        raise
    return connection, own


@implementer(IReadDescriptor)
class _ConnectedSocket:
    """Implements :class:`DatagramSocket`."""

    def __init__(self, connection: socket.socket, bound_to: Path | None, reactor: Any, receiver: Receiver) -> None:
        self._socket = connection
        self._bound_to = bound_to
        self._reactor = reactor
        self._receiver = receiver
        self._open = True
        reactor.addReader(self)

    def send(self, packet: bytes) -> None:
        """See :class:`DatagramSocket`."""
        with suppress(BlockingIOError):
            self._socket.send(packet)

    def close(self) -> None:
        """See :class:`DatagramSocket`."""
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
            self._socket.close()
            if self._bound_to is not None:
                _remove(self._bound_to)

    def doRead(self) -> None:
        """See :class:`twisted.internet.interfaces.IReadDescriptor`."""
        try:
            packet = self._socket.recv(MAX_PACKET_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._receiver.socket_failed(error)
        else:
            self._receiver.packet_received(packet)

    def fileno(self) -> int:
        """See :class:`twisted.internet.interfaces.IFileDescriptor`."""
        return self._socket.fileno()

    def connectionLost(self, reason: Any) -> None:
        """See :class:`twisted.internet.interfaces.IFileDescriptor`; so the reactor tells of a refusal by the peer."""
        if self._open:
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET
            self.close()
            self._receiver.socket_failed(OSError(number, os.strerror(number)))

    def logPrefix(self) -> str:
        """See :class:`twisted.internet.interfaces.ILoggingContext`."""
        return "chrony"


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
