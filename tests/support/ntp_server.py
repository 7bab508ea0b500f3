"""An NTP server that lies as told (RFC 5905, 7.3): it is never more than a datagram ahead of the test."""

from __future__ import annotations

import socket
import struct
import threading

from cspd.clock import SystemClock

NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
CLIENT, SERVER = 3, 4
PACKET = struct.Struct("!BBbbIIIQQQQ")
"""LI, version and mode; stratum, poll, precision; root delay, root dispersion, reference id; four timestamps."""


class NTPServer:
    """Answers on a port of loopback, in a thread of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.offset = 0.0
        """Seconds by which its time is ahead of the system clock."""
        self.leap = 0
        """The leap indicator: 1 for an inserted second, 2 for a deleted one, 3 for not synchronised."""
        self.silent = False
        self.asked = 0
        self._clock = SystemClock()
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve, name="ntp-server")
        self._stopping = False
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        with socket.socket(type=socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopping:
            request, address = self._socket.recvfrom(1024)
            if not self.silent and len(request) >= PACKET.size and request[0] & 7 == CLIENT:
                self.asked += 1
                self._socket.sendto(self._answer(request), address)

    def _answer(self, request: bytes) -> bytes:
        version, poll, transmitted = request[0] >> 3 & 7, request[2], PACKET.unpack(request[: PACKET.size])[-1]
        now = self._timestamp(self._clock.now().timestamp())
        return PACKET.pack(
            self.leap << 6 | version << 3 | SERVER,
            1,
            poll if poll < 128 else poll - 256,
            -20,
            0,
            1,
            int.from_bytes(b"TEST"),
            now - (1 << 32),
            transmitted,
            now,
            self._timestamp(self._clock.now().timestamp()),
        )

    def _timestamp(self, seconds: float) -> int:
        """Seconds since 1900 with 32 bits behind the point."""
        return int((seconds + self.offset + NTP_EPOCH) * (1 << 32)) & (1 << 64) - 1
