"""DNS messages (RFC 1035, 4): queries out, responses in.

Total and bounded: any octets give a response or :class:`DNSMessageError`. Names are tuples of labels in lower case, so
that they compare as DNS compares them and no octet in a label needs quoting.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

A, CNAME, TXT, AAAA, SRV = 1, 5, 16, 28, 33
IN = 1
NOERROR, NXDOMAIN = 0, 3

MAX_RECORDS = 256
"""Records read from one answer; more are a reason to refuse it."""
_MAX_NAME_OCTETS = 255
_HEADER = struct.Struct("!6H")
_QUESTION = struct.Struct("!2H")
_RECORD = struct.Struct("!2HIH")
_SERVICE = struct.Struct("!3H")
_RESPONSE, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0100

Name = tuple[bytes, ...]


class DNSMessageError(ValueError):
    """The octets are not a response to the query."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question."""

    id: int
    name: Name
    type: int


@dataclass(frozen=True, slots=True)
class Record:
    """An answer record of class IN; ``target`` is set for a CNAME."""

    name: Name
    type: int
    data: bytes
    """As received; the target of an SRV record is written out, for servers that compress it against RFC 2782."""
    target: Name = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """Where a service is (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str
    """A host, in lower case without a trailing dot; empty if there is decidedly no such service."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its code and the records of the answer section."""

    code: int
    is_truncated: bool
    records: tuple[Record, ...] = ()


def name_of(text: str) -> Name:
    """The labels of an absolute name in ASCII text; raises ValueError for one that DNS cannot hold."""
    labels = tuple(label.encode("ascii") for label in text.lower().split("."))
    if any(not 1 <= len(label) <= 63 for label in labels) or sum(map(len, labels)) + len(labels) + 1 > 255:
        raise ValueError("not a DNS name")
    return labels


def encode_query(query: Query) -> bytes:
    """The query, with recursion desired."""
    question = _encode_name(query.name) + _QUESTION.pack(query.type, IN)
    return _HEADER.pack(query.id, _RECURSION_DESIRED, 1, 0, 0, 0) + question


def decode_answer(octets: bytes, query: Query) -> Answer:
    """The response to ``query``; raises DNSMessageError for anything that is not one."""
    try:
        return _decode(octets, query)
    except (struct.error, IndexError) as error:
        raise DNSMessageError("the message ends early") from error


def service_record(data: bytes) -> ServiceRecord:
    """The data of an SRV record; raises DNSMessageError."""
    try:
        priority, weight, port = _SERVICE.unpack_from(data)
        name, end = _decode_name(data, _SERVICE.size)
        target = b".".join(name).decode("ascii")
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise DNSMessageError("not a service record") from error
    if end != len(data):
        raise DNSMessageError("octets behind a service record")
    return ServiceRecord(priority=priority, weight=weight, port=port, target=target)


def text_strings(data: bytes) -> bytes:
    """The strings of a TXT record, joined (RFC 1035, 3.3.14); raises DNSMessageError."""
    return b"".join(_strings(data))


def _strings(data: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        end = position + 1 + data[position]
        if end > len(data):
            raise DNSMessageError("a string ends early")
        yield data[position + 1 : end]
        position = end


def _decode(octets: bytes, query: Query) -> Answer:
    id, flags, questions, answers, _, _ = _HEADER.unpack_from(octets)
    if id != query.id or not flags & _RESPONSE or questions != 1:
        raise DNSMessageError("not a response to the query")
    name, position = _decode_name(octets, _HEADER.size)
    if (name, *_QUESTION.unpack_from(octets, position)) != (query.name, query.type, IN):
        raise DNSMessageError("a response to another question")
    position += _QUESTION.size
    code, is_truncated = flags & 0x000F, bool(flags & _TRUNCATED)
    if is_truncated:
        return Answer(code, is_truncated)
    if answers > MAX_RECORDS:
        raise DNSMessageError(f"more than {MAX_RECORDS} records")
    records = []
    for _ in range(answers):
        owner, position = _decode_name(octets, position)
        type_, class_, _, length = _RECORD.unpack_from(octets, position)
        position += _RECORD.size
        data = octets[position : position + length]
        if len(data) != length:
            raise DNSMessageError("a record ends early")
        if class_ == IN:
            target = _decode_name(octets, position)[0] if type_ == CNAME else ()
            if type_ == SRV:
                data = data[: _SERVICE.size] + _encode_name(_decode_name(octets, position + _SERVICE.size)[0])
            records.append(Record(owner, type_, data, target))
        position += length
    return Answer(code, is_truncated, tuple(records))


def _encode_name(name: Name) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in name) + b"\0"


def _decode_name(octets: bytes, position: int) -> tuple[Name, int]:
    """The name at ``position`` and where the next field is. A pointer leads backwards only, so no loop is possible."""
    labels: list[bytes] = []
    size, after, limit = 1, -1, position
    while length := octets[position]:
        if length & 0xC0 == 0xC0:
            if after < 0:
                after = position + 2
            position = (length & 0x3F) << 8 | octets[position + 1]
            if position >= limit:
                raise DNSMessageError("a pointer that does not lead backwards")
            limit = position
            continue
        if length & 0xC0:
            raise DNSMessageError("an unknown kind of label")
        label = octets[position + 1 : position + 1 + length]
        size += 1 + length
        if len(label) != length or size > _MAX_NAME_OCTETS:
            raise DNSMessageError("a name that is too long or ends early")
        labels.append(label.lower())
        position += 1 + length
    return tuple(labels), (position + 1 if after < 0 else after)
