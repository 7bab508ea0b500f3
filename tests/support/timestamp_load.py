"""Many requests for timestamps at the same time, over connections that are kept."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocols.tsp import codec
from protocols.tsp.hash_algorithms import digest_function
from protocols.tsp.messages import HashAlgorithm, TimeStampReq

_QUERY = codec.encode_request(
    TimeStampReq(codec.message_imprint(HashAlgorithm.SHA256, digest_function(HashAlgorithm.SHA256)(b"data")))
)
_SERIAL_AND_TIME = re.compile(rb"\x02\x08(.{8})\x18.(20[0-9]{12}(?:\.[0-9]{1,6})?)Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stamp:
    """One token, and when its client asked and had it (seconds that only grow)."""

    serial_number: bytes
    gen_time: str
    """Digits of date and time, with six of the fraction: texts sort as the times do."""
    asked: float
    received: float


@dataclass
class Load:
    """Clients that go on until they have ``wanted`` tokens together, or each is cut off."""

    ports: Sequence[int]
    """Each client keeps to one, in turn."""
    issuer: str
    wanted: int
    clients: int = 64
    stamps: list[Stamp] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)
    """Answers that were no token."""
    cut_off: int = 0
    """Clients whose connection ended."""

    def run(self) -> None:
        """Until all clients have ended."""
        self.start()
        self.join()

    def start(self) -> None:
        """Start the clients."""
        self._left = self.wanted
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask_on, args=(self.ports[index % len(self.ports)],))
            for index in range(self.clients)
        ]
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Let the clients ask no more."""
        with self._lock:
            self._left = 0

    def join(self) -> None:
        """Wait until all clients have ended."""
        for each in self._threads:
            each.join()

    def _ask_on(self, port: int) -> None:
        head = f"POST /tsa/{self.issuer} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(_QUERY)}\r\n"
        request = head.encode() + b"Content-Type: application/timestamp-query\r\n\r\n" + _QUERY
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
                while self._take_one():
                    asked = time.monotonic()
                    connection.sendall(request)
                    self._note(_read_body(connection), asked, time.monotonic())
        except OSError:
            with self._lock:
                self.cut_off += 1

    def _take_one(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _note(self, body: bytes, asked: float, received: float) -> None:
        found = _SERIAL_AND_TIME.search(body)
        if found is None:
            self.refused.append(body)
            return
        whole, _, fraction = found[2].decode().partition(".")
        self.stamps.append(Stamp(found[1], whole + fraction.ljust(6, "0"), asked, received))


def _read_body(connection: socket.socket) -> bytes:
    """The body of the next answer; OSError if the connection ends before."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    assert length is not None, head
    while len(body) < int(length[1]):
        body += _receive(connection)
    return body


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionResetError("the server closed the connection")
    return received


def out_of_order(stamps: Sequence[Stamp]) -> list[tuple[Stamp, Stamp]]:
    """Pairs of tokens, the first of which was there before the second was asked for, without an earlier time."""
    by_receipt = sorted(stamps, key=lambda each: each.received)
    wrong: list[tuple[Stamp, Stamp]] = []
    latest: Stamp | None = None
    index = 0
    for stamp in sorted(stamps, key=lambda each: each.asked):
        while index < len(by_receipt) and by_receipt[index].received < stamp.asked:
            if latest is None or by_receipt[index].gen_time > latest.gen_time:
                latest = by_receipt[index]
            index += 1
        if latest is not None and latest.gen_time >= stamp.gen_time:
            wrong.append((latest, stamp))
    return wrong
