"""Octets of chrony's monitoring protocol: requests out, replies in.

Total: any octets are a reply to the request or one of two errors. :class:`NotTheAnswer` is for what answers another
question, or none, and is passed over; :class:`BadReply` for an answer that says no, or nothing sensible.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, TypeVar

from plugins.chrony.candm import (
    PROTOCOL_VERSION,
    Command,
    Leap,
    PacketType,
    SourceData,
    SourceState,
    Status,
    TrackingReply,
)

MAX_PACKET_BYTES = 1024
_REQUEST = struct.Struct("!BBBBHHIII")  # version, type, reserved (2), command, attempt, sequence, reserved (2)
_REPLY = struct.Struct("!BBBBHHHHHHIII")  # the same with reply and status after the command; sequence before the last 2
_N_SOURCES = struct.Struct("!I")
_ADDRESS = struct.Struct("!16sHH")  # octets, family, reserved
_SOURCE = struct.Struct("!hHHHHHIiii")  # poll, stratum, state, mode, flags, reachability, seconds since, 3 floats
_TRACKING = struct.Struct("!IIIiiiiiiiii")  # time: seconds high, low, nanoseconds; nine floats
_TRACKING_HEAD = struct.Struct("!I16sHHHH")  # reference id, address (3), stratum, leap
_NO_HIGH_SECONDS = 0x7FFFFFFF  # from a chronyd with 32-bit time

T = TypeVar("T")
IPAddress = IPv4Address | IPv6Address


class NotTheAnswer(Exception):
    """The packet is not the reply to this request; another may follow."""


class BadReply(Exception):
    """chronyd does not answer the question; the text says what it did."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A command, and how to read its answer."""

    command: Command
    reply: int
    """The number of the reply's format."""
    length: int
    """Of the reply's own fields, in octets."""
    decode: Callable[[bytes], T]
    """Raises BadReply; gets exactly ``length`` octets."""
    arguments: bytes = b""


def encode_request(question: Question[T], sequence: int) -> bytes:
    """A request, padded to the length of its reply so that nobody can use chronyd to multiply traffic."""
    head = _REQUEST.pack(PROTOCOL_VERSION, PacketType.REQUEST, 0, 0, question.command, 0, sequence, 0, 0)
    return (head + question.arguments).ljust(_REPLY.size + question.length, b"\0")


def decode_reply(question: Question[T], sequence: int, packet: bytes) -> T:
    """The answer to the question that was asked under that sequence number; raises NotTheAnswer and BadReply."""
    if len(packet) < _REPLY.size:
        raise NotTheAnswer("too short for a reply")
    version, kind, _, _, command, reply, status, _, _, _, answered, _, _ = _REPLY.unpack_from(packet)
    if kind != PacketType.REPLY or command != question.command or answered != sequence:
        raise NotTheAnswer("a reply to another request")
    if version != PROTOCOL_VERSION:
        raise BadReply(f"it speaks version {version} of its protocol, and not {PROTOCOL_VERSION}")
    if status != Status.SUCCESS:
        raise BadReply(f"it refuses {question.command.name}: {_name_of(status)}")
    fields = packet[_REPLY.size :]
    if reply != question.reply or len(fields) != question.length:
        raise BadReply(f"it answers {question.command.name} with {len(fields)} octets of format {reply}")
    return question.decode(fields)


def _name_of(status: int) -> str:
    try:
        return Status(status).name.lower().replace("_", " ")
    except ValueError:
        return f"status {status}"


def _decode_tracking(fields: bytes) -> TrackingReply:
    reference_id, octets, family, _, stratum, leap = _TRACKING_HEAD.unpack_from(fields)
    high, low, nanoseconds, *floats = _TRACKING.unpack_from(fields, _TRACKING_HEAD.size)
    try:
        leap = Leap(leap)
    except ValueError as error:
        raise BadReply(f"it gives the leap status {leap}") from error
    (correction, last, rms, frequency, residual, skew, delay, dispersion, interval) = map(decode_float, floats)
    return TrackingReply(
        reference_id=reference_id,
        address=_decode_address(octets, family),
        stratum=stratum,
        leap=leap,
        reference_time=_decode_time(high, low, nanoseconds),
        current_correction=correction,
        last_offset=last,
        rms_offset=rms,
        frequency_ppm=frequency,
        residual_frequency_ppm=residual,
        skew_ppm=skew,
        root_delay=delay,
        root_dispersion=dispersion,
        last_update_interval=interval,
    )


def _decode_source(fields: bytes) -> SourceData:
    _, _, state, _, _, reachability, *_ = _SOURCE.unpack_from(fields, _ADDRESS.size)
    try:
        return SourceData(state=SourceState(state), reachability=reachability)
    except ValueError as error:
        raise BadReply(f"it gives the source state {state}") from error


def _decode_count(fields: bytes) -> int:
    return int.from_bytes(fields)


def _decode_address(octets: bytes, family: int) -> IPAddress | None:
    match family:
        case 1:
            return IPv4Address(octets[:4])
        case 2:
            return IPv6Address(octets)
        case 0 | 3:  # unspecified; the number of a source whose name is not resolved
            return None
        case _:
            raise BadReply(f"it gives an address of family {family}")


def _decode_time(high: int, low: int, nanoseconds: int) -> datetime | None:
    seconds = low if high == _NO_HIGH_SECONDS else high << 32 | low
    if nanoseconds >= 1_000_000_000:
        raise BadReply(f"it gives a time with {nanoseconds} nanoseconds")
    if seconds == nanoseconds == 0:
        return None
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except OverflowError as error:
        raise BadReply(f"it gives a time {seconds} seconds after 1970") from error


def decode_float(number: int) -> float:
    """A number of chrony's own format: 7 bits of exponent, 25 of coefficient, both signed; always finite."""
    exponent, coefficient = number >> 25, number & 0x1FFFFFF
    if coefficient >= 1 << 24:
        coefficient -= 1 << 25
    return coefficient * 2.0 ** (exponent - 25)


TRACKING = Question(Command.TRACKING, 5, _TRACKING_HEAD.size + _TRACKING.size, _decode_tracking)
N_SOURCES = Question(Command.N_SOURCES, 2, _N_SOURCES.size, _decode_count)


def source_data(index: int) -> Question[SourceData]:
    """The question for the source of that index, from 0."""
    return Question(Command.SOURCE_DATA, 3, _ADDRESS.size + _SOURCE.size, _decode_source, index.to_bytes(4))
