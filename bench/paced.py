"""Requests at a given rate, whether or not the server keeps up, and how long each answer took.

Clients that know nothing of each other: the time to the next request is random with an exponential distribution. A
request whose time has come while no connection is free waits, and its waiting counts.
"""

from __future__ import annotations

import select
import socket
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of the answers of one run, in milliseconds."""

    rate: float
    """Answers a second; less than what was asked for if the server did not keep up."""
    p50: float
    p99: float


def paced(port: int, requests: Sequence[bytes], *, rate: float, seconds: float, connections: int = 64) -> Latencies:
    """Send ``rate`` requests a second over kept connections; every answer must be a 200 with a Content-Length."""
    random = Random(3161)
    poll = select.epoll()
    idle: deque[socket.socket] = deque()
    by_number: dict[int, socket.socket] = {}
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(connection, select.EPOLLIN)
        by_number[connection.fileno()] = connection
        idle.append(connection)
    due: deque[float] = deque()
    waiting: dict[int, float] = {}
    partial: dict[int, bytes] = {}
    taken: list[float] = []
    sent = 0
    begun = now = time.perf_counter()
    following = begun
    while now < begun + seconds:
        now = time.perf_counter()
        while following <= now:
            due.append(following)
            following += random.expovariate(rate)
        while due and idle:
            connection = idle.popleft()
            waiting[connection.fileno()] = due.popleft()
            connection.sendall(requests[sent % len(requests)])
            sent += 1
        for number, _ in poll.poll(0):
            data = partial.pop(number, b"") + by_number[number].recv(65536)
            if not _is_whole(data):
                partial[number] = data
                continue
            taken.append(time.perf_counter() - waiting.pop(number))
            idle.append(by_number[number])
    for connection in by_number.values():
        connection.close()
    poll.close()
    points = statistics.quantiles(taken, n=100)
    return Latencies(len(taken) / seconds, points[49] * 1000, points[98] * 1000)


def _is_whole(data: bytes) -> bool:
    assert data.startswith(b"HTTP/1.1 200"), data[:200]
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
    return len(body) >= int(length)
