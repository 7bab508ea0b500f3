"""chrony as a time source.

-> TRACKING      how far the clock is off                         (:data:`plugins.chrony.codec.TRACKING`)
-> N_SOURCES     how many servers and reference clocks there are  (:data:`plugins.chrony.codec.N_SOURCES`)
-> SOURCE_DATA   for each: whether the clock follows it, and whether it answers

The last two because chronyd does not say in TRACKING that all its servers are gone. It goes on with its last
estimate, "normal", and only lets the root dispersion grow, by seconds in weeks. The clock is taken to follow a server
while one that chronyd selected, or combines with the selected one, has answered any of its last eight polls. The
``local`` directive is no server: by it chronyd takes the very clock for right that we want to be vouched for.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from cspd.timekeeping.values import LeapStatus, Tracking
from plugins.chrony.addresses import Address, parse_address
from plugins.chrony.candm import LOCAL_REFERENCE, Leap, TrackingReply
from plugins.chrony.codec import N_SOURCES, TRACKING, source_data
from plugins.chrony.questions import Questions
from plugins.chrony.sockets import OpenSocket, opener

MAX_SOURCES = 64
"""How many of chronyd's sources are looked at."""

_LEAP = {
    Leap.NORMAL: LeapStatus.NORMAL,
    Leap.INSERT_SECOND: LeapStatus.INSERT_SECOND,
    Leap.DELETE_SECOND: LeapStatus.DELETE_SECOND,
    Leap.UNSYNCHRONISED: LeapStatus.NOT_SYNCHRONISED,
}


def build(address: str, *, timeout: timedelta, reactor: Any, random: Random) -> ChronySource:
    """See :class:`cspd.timekeeping.interfaces.TimeSourceFactory`."""
    where = parse_address(address)
    return ChronySource(where, opener(where, reactor, random), timeout=timeout, reactor=reactor, random=random)


class ChronySource:
    """Implements :class:`cspd.timekeeping.interfaces.TimeSource`."""

    def __init__(
        self, address: Address, open_socket: OpenSocket, *, timeout: timedelta, reactor: Any, random: Random
    ) -> None:
        self._address = address
        self._open_socket = open_socket
        self._timeout = timeout
        self._reactor = reactor
        self._random = random

    async def tracking(self) -> Tracking:
        """See :class:`cspd.timekeeping.interfaces.TimeSource`."""
        questions = Questions(
            self._address, self._open_socket, timeout=self._timeout, reactor=self._reactor, random=self._random
        )
        try:
            reply = await questions.ask(TRACKING)
            follows = reply.reference_id != LOCAL_REFERENCE and await _follows_a_source(questions)
        finally:
            questions.close()
        return Tracking(
            offset=-reply.current_correction,
            root_delay=reply.root_delay,
            root_dispersion=reply.root_dispersion,
            leap=_LEAP[reply.leap],
            stratum=reply.stratum,
            reference_id=_name_of_reference(reply) if follows else "",
            reference_time=reply.reference_time,
        )


async def _follows_a_source(questions: Questions) -> bool:
    count = await questions.ask(N_SOURCES)
    for index in range(min(count, MAX_SOURCES)):
        if (await questions.ask(source_data(index))).is_followed:
            return True
    return False


def _name_of_reference(reply: TrackingReply) -> str:
    """The server's address, or the four characters of a reference clock such as ``PPS``."""
    if reply.address is not None:
        return str(reply.address)
    octets = reply.reference_id.to_bytes(4).rstrip(b"\0")
    readable = octets.isascii() and octets.decode("ascii").isprintable()
    return octets.decode("ascii") if octets and readable else f"{reply.reference_id:08X}"
