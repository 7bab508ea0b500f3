"""chronyd without a socket: its replies are those of the corpus, and the test says what goes wrong on the way.

chronyd = FakeChronyd("tracking-ahead", "source-selected")
source = ChronySource(address, chronyd.open, timeout=..., reactor=..., random=...)
"""

from __future__ import annotations

from pathlib import Path

from plugins.chrony.sockets import Receiver

CORPUS = Path(__file__).resolve().parents[1] / "fuzz" / "corpus" / "chrony"
TRACKING, N_SOURCES, SOURCE_DATA = 33, 14, 15


class FakeChronyd:
    """Implements :class:`plugins.chrony.sockets.DatagramSocket`, and opens itself."""

    def __init__(self, tracking: str, *sources: str) -> None:
        """The names of replies in the corpus."""
        self.tracking = tracking
        self.sources = sources
        self.lose = 0
        """How many of the next requests get lost."""
        self.errors: list[OSError] = []
        """What the next sendings raise."""
        self.refusal: OSError | None = None
        """What opening a socket raises."""
        self.before: list[bytes] = []
        """Packets of others that arrive before each reply."""
        self.requests: list[bytes] = []
        self.replies: list[bytes] = []
        self.open_sockets = 0
        self._receiver: Receiver | None = None

    def open(self, receiver: Receiver) -> FakeChronyd:
        """See :data:`plugins.chrony.sockets.OpenSocket`."""
        if self.refusal is not None:
            raise self.refusal
        self.open_sockets += 1
        self._receiver = receiver
        return self

    def close(self) -> None:
        """See :class:`plugins.chrony.sockets.DatagramSocket`."""
        self.open_sockets -= 1

    def send(self, packet: bytes) -> None:
        """Reply at once, unless that is to be lost."""
        self.requests.append(packet)
        if self.errors:
            raise self.errors.pop(0)
        if self.lose:
            self.lose -= 1
            return
        reply = self.reply_to(packet)
        self.replies.append(reply)
        for each in (*self.before, reply):
            self.deliver(each)

    def deliver(self, packet: bytes) -> None:
        """Let a packet arrive."""
        assert self._receiver is not None
        self._receiver.packet_received(packet)

    def fail(self, error: OSError) -> None:
        """Let the kernel say that the socket is of no use."""
        assert self._receiver is not None
        self._receiver.socket_failed(error)

    def reply_to(self, request: bytes) -> bytes:
        """The reply, with the request's sequence number."""
        command, index = int.from_bytes(request[4:6]), int.from_bytes(request[20:24])
        if command == N_SOURCES:
            reply = _reply("n-sources")[:28] + len(self.sources).to_bytes(4)
        else:
            reply = _reply(self.tracking if command == TRACKING else self.sources[index])
        return reply[:16] + request[8:12] + reply[20:]


def _reply(name: str) -> bytes:
    return (CORPUS / f"{name}.reply").read_bytes()
