"""What is said in chrony's monitoring protocol, version 6 (chrony 3.0 and later), as far as we say it.

A request names a command and a sequence number and is padded to the length of its reply; the reply repeats both, and
has a status and the fields of its kind. The names are those of chrony's own description (``candm.h`` of its sources);
all numbers are big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

PROTOCOL_VERSION = 6
LOCAL_REFERENCE = 0x7F7F0101
"""The reference id 127.127.1.1: chronyd's ``local`` directive, the clock taken for its own reference."""


class PacketType(IntEnum):
    """Which way a packet goes."""

    REQUEST = 1
    REPLY = 2


class Command(IntEnum):
    """What is asked."""

    N_SOURCES = 14
    SOURCE_DATA = 15
    TRACKING = 33


class Status(IntEnum):
    """How a request fared."""

    SUCCESS = 0
    FAILED = 1
    UNAUTHORIZED = 2
    INVALID = 3
    NO_SUCH_SOURCE = 4
    NOT_ENABLED = 6
    BAD_PACKET_VERSION = 18
    BAD_PACKET_LENGTH = 19


class Leap(IntEnum):
    """The leap status of chronyd."""

    NORMAL = 0
    INSERT_SECOND = 1
    DELETE_SECOND = 2
    UNSYNCHRONISED = 3


class SourceState(IntEnum):
    """What chronyd thinks of one of its sources; with the mark that ``chronyc sources`` shows."""

    SELECTED = 0  # *
    NONSELECTABLE = 1  # ?
    FALSETICKER = 2  # x
    JITTERY = 3  # ~
    UNSELECTED = 4  # +, combined with the selected one
    SELECTABLE = 5  # -


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingReply:
    """RPY_TRACKING: how the system clock stands to the reference. Seconds, parts per million."""

    reference_id: int
    address: IPv4Address | IPv6Address | None
    """Of the server; None for a reference clock and for none."""
    stratum: int
    leap: Leap
    reference_time: datetime | None
    """When the last measurement was taken, UTC; None before the first."""
    current_correction: float
    """What has to be added to the system clock to make it right."""
    last_offset: float
    rms_offset: float
    frequency_ppm: float
    residual_frequency_ppm: float
    skew_ppm: float
    root_delay: float
    root_dispersion: float
    last_update_interval: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceData:
    """RPY_SOURCE_DATA, as far as we read it: one source of chronyd."""

    state: SourceState
    reachability: int
    """A bit for each of the last eight polls, the lowest for the newest: set if it was answered (RFC 5905, 9.2)."""

    @property
    def is_followed(self) -> bool:
        """Whether the clock follows it and it still answers."""
        return self.state in (SourceState.SELECTED, SourceState.UNSELECTED) and self.reachability != 0
