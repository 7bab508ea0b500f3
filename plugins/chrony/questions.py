"""Asking chronyd: one question after the other over one socket, within one span of time.

A datagram may be lost, so each question is sent again, each time with a new random sequence number; an answer counts if
its number is of one of those.
"""

from __future__ import annotations

import errno
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from cspd.refusals import Unavailable
from plugins.chrony.addresses import Address, UDPAddress
from plugins.chrony.codec import BadReply, NotTheAnswer, Question, decode_reply, encode_request
from plugins.chrony.sockets import OpenSocket

SENDINGS = 4
"""How often a question is sent, at most, within the time that all of them have."""

T = TypeVar("T")


class Questions:
    """A conversation with chronyd; :meth:`close` ends it."""

    def __init__(
        self, address: Address, open_socket: OpenSocket, *, timeout: timedelta, reactor: Any, random: Random
    ) -> None:
        """All questions together are answered within ``timeout``, or fail; ``reactor`` is an IReactorTime.

        Raises Unavailable.
        """
        self._address = address
        self._reactor = reactor
        self._random = random
        self._timeout = timeout
        self._pause = timeout.total_seconds() / SENDINGS
        self._question: Question[Any] | None = None
        self._sequences: set[int] = set()
        self._answer: Deferred[Any] | None = None
        self._resend: Any | None = None
        self._late: Any | None = None
        try:
            self._socket = open_socket(self)
        except OSError as error:
            raise Unavailable(self._sense_of(error)) from error
        self._late = reactor.callLater(timeout.total_seconds(), self._time_out)

    async def ask(self, question: Question[T]) -> T:
        """The answer; raises Unavailable, which says what an administrator should look at."""
        if self._late is None:
            raise Unavailable(self._silence())
        self._question, self._sequences = question, set()
        self._answer = Deferred()
        try:
            self._send()
            answer: T = await self._answer
        finally:
            self._answer = None
            if self._resend is not None:
                self._resend.cancel()
                self._resend = None
        return answer

    def close(self) -> None:
        """End the conversation."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._socket.close()

    def packet_received(self, packet: bytes) -> None:
        """See :class:`plugins.chrony.sockets.Receiver`."""
        if self._question is None or self._answer is None or self._answer.called:
            return
        for sequence in self._sequences:
            try:
                answer = decode_reply(self._question, sequence, packet)
            except NotTheAnswer:
                continue
            except BadReply as error:
                self._fail(f"chronyd at {self._address} gives no answer of use: {error}")
            else:
                self._answer.callback(answer)
            return

    def socket_failed(self, error: OSError) -> None:
        """See :class:`plugins.chrony.sockets.Receiver`."""
        self._fail(self._sense_of(error))

    def _send(self) -> None:
        assert self._question is not None
        sequence = self._random.getrandbits(32)
        self._sequences.add(sequence)
        self._resend = self._reactor.callLater(self._pause, self._send)
        try:
            self._socket.send(encode_request(self._question, sequence))
        except OSError as error:
            self._fail(self._sense_of(error))

    def _time_out(self) -> None:
        self._late = None
        self._fail(self._silence())

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.called:
            self._answer.errback(Unavailable(reason))

    def _silence(self) -> str:
        seconds = self._timeout.total_seconds()
        return (
            f"chronyd at {self._address} gave no answer within {seconds:g} s; it answers only whom cmdallow of its "
            "configuration lists"
        )

    def _sense_of(self, error: OSError) -> str:
        """What an error of the socket means, for an administrator."""
        if isinstance(self._address, UDPAddress):
            if error.errno == errno.ECONNREFUSED:
                return (
                    f"nobody listens at {self._address}: chronyd is not running, or bindcmdaddress or cmdport of its "
                    "configuration name another address"
                )
        elif error.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return (
                f"nobody listens at {self._address}: chronyd is not running, or bindcmdaddress of its configuration "
                "names another path"
            )
        elif error.errno in (errno.EACCES, errno.EPERM):
            return (
                f"{self._address} may not be used: the daemon's user must be allowed to write to the socket and to its "
                "folder, as the group of chronyd is; or ask over UDP"
            )
        return f"{self._address} cannot be asked: {error.strerror or error}"
