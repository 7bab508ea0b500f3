"""Tag, length, value: Distinguished Encoding Rules (X.690, 8 and 10), strict, and fast enough to run per request.

Status and timestamp requests come by tens of thousands, and a general ASN.1 library (:mod:`cspd.x509.der`) spends ten
times the work of the rest of the request on each. What is here reads one element at a time and never looks behind the
given end.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
UTF8_STRING = 0x0C
SEQUENCE = 0x30
SET = 0x31
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
BOOLEAN = 0x01

UTC_TIME_YEARS = range(1950, 2050)
"""RFC 5280, 4.1.2.5.1."""

TRUE = b"\x01\x01\xff"
NULL = b"\x05\x00"

MAX_DEPTH = 24
"""How deeply elements may nest in what is only checked to be well formed (a requestor's certificate needs about 12)."""

_MAX_OBJECT_IDENTIFIER_OCTETS = 64
_CONSTRUCTED = 0x20


class DERError(ValueError):
    """The bytes are not the DER that was expected."""


def read_any(data: bytes, position: int, end: int) -> tuple[int, int, int]:
    """Read the head of the element at ``position``: its identifier octet, and where its contents start and stop.

    Raises :class:`DERError` for a length that is indefinite, not minimal, or reaches behind ``end``, and for tag
    numbers above 30, which our protocols do not have.
    """
    start = position + 2
    if start > end:
        raise DERError("an element is cut short")
    identifier = data[position]
    length = data[position + 1]
    if length > 0x7F:
        octets = length & 0x7F
        if not 0 < octets < 4:
            raise DERError("a length is indefinite or absurd")
        start += octets
        if start > end:
            raise DERError("a length is cut short")
        length = int.from_bytes(data[position + 2 : start], "big")
        if length < 0x80 or length >> (8 * (octets - 1)) == 0:
            raise DERError("a length is not in its shortest form")
    stop = start + length
    if stop > end:
        raise DERError("an element reaches behind its container")
    if identifier & 0x1F == 0x1F:
        raise DERError("a tag number is above 30")
    return identifier, start, stop


def read(data: bytes, position: int, end: int, identifier: int) -> tuple[int, int]:
    """Read the head of an element that must have this identifier octet: where its contents start and stop."""
    start = position + 2
    if start <= end and data[position] == identifier:  # in nearly all cases the length has one octet, too
        stop = start + data[position + 1]
        if stop <= end and stop - start < 0x80:
            return start, stop
    found, start, stop = read_any(data, position, end)
    if found != identifier:
        raise DERError(f"identifier {found:#04x} where {identifier:#04x} must stand")
    return start, stop


def read_only(data: bytes, position: int, end: int, identifier: int) -> tuple[int, int]:
    """As :func:`read`, for an element that must fill its container to the end."""
    start = position + 2
    if start <= end and data[position] == identifier and end - start < 0x80 and data[position + 1] == end - start:
        return start, end
    start, stop = read(data, position, end, identifier)
    if stop != end:
        raise DERError("something follows where nothing may")
    return start, stop


def read_integer(data: bytes, start: int, stop: int) -> int:
    """The value of an INTEGER by its contents; they must be in the shortest form (X.690, 8.3.2)."""
    if start == stop:
        raise DERError("an INTEGER is empty")
    if stop - start > 1 and data[start] in (0x00, 0xFF) and (data[start] ^ data[start + 1]) < 0x80:
        raise DERError("an INTEGER is not in its shortest form")
    return int.from_bytes(data[start:stop], "big", signed=True)


def read_object_identifier(data: bytes, start: int, stop: int) -> str:
    """The dotted form of an OBJECT IDENTIFIER by its contents (X.690, 8.19)."""
    if stop - start > _MAX_OBJECT_IDENTIFIER_OCTETS:
        raise DERError("an OBJECT IDENTIFIER is too long")
    return _dotted(data[start:stop])


@lru_cache(maxsize=1024)  # few occur, and each of them in every message
def _dotted(contents: bytes) -> str:
    if not contents or contents[-1] & 0x80:
        raise DERError("an OBJECT IDENTIFIER is cut short")
    arcs: list[int] = []
    arc = 0
    is_first_octet = True
    for octet in contents:
        if is_first_octet and octet == 0x80:
            raise DERError("an arc of an OBJECT IDENTIFIER is not in its shortest form")
        arc = arc << 7 | octet & 0x7F
        is_first_octet = not octet & 0x80
        if is_first_octet:
            arcs.append(arc)
            arc = 0
    root = min(arcs[0] // 40, 2)
    return ".".join(str(number) for number in (root, arcs[0] - 40 * root, *arcs[1:]))


def check_well_formed(data: bytes, start: int, stop: int, depth: int = MAX_DEPTH) -> None:
    """Walk all elements between ``start`` and ``stop``, whatever they mean; raises :class:`DERError`."""
    if depth == 0:
        raise DERError("elements are nested too deeply")
    position = start
    while position < stop:
        identifier, inner, position = read_any(data, position, stop)
        if identifier & _CONSTRUCTED:
            check_well_formed(data, inner, position, depth - 1)


def length_of(length: int) -> bytes:
    """The length octets (X.690, 10.1: definite, shortest)."""
    if length < 0x80:
        return bytes((length,))
    if length < 0x100:
        return bytes((0x81, length))
    if length < 0x10000:
        return bytes((0x82, length >> 8, length & 0xFF))
    octets = (length.bit_length() + 7) // 8
    return bytes((0x80 | octets,)) + length.to_bytes(octets, "big")


def element(identifier: int, contents: bytes) -> bytes:
    """One element from its identifier octet and contents."""
    length = len(contents)
    if length < 0x80:
        return bytes((identifier, length)) + contents
    if length < 0x100:
        return bytes((identifier, 0x81, length)) + contents
    if length < 0x10000:
        return bytes((identifier, 0x82, length >> 8, length & 0xFF)) + contents
    return bytes((identifier,)) + length_of(length) + contents


def sequence(*elements: bytes) -> bytes:
    """A SEQUENCE of encoded elements."""
    return element(SEQUENCE, b"".join(elements))


def integer(value: int) -> bytes:
    """An INTEGER."""
    return element(INTEGER, value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True))


@lru_cache(maxsize=1024)  # as above
def object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form, which must have two arcs or more."""
    first, second, *arcs = (int(arc) for arc in dotted.split("."))
    contents = bytearray()
    for arc in (40 * first + second, *arcs):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        contents.extend(reversed(septets))
    return element(OBJECT_IDENTIFIER, bytes(contents))


@lru_cache(maxsize=256)  # one answer says the same time twice, and a second has many answers
def generalized_time(moment: datetime) -> bytes:
    """A GeneralizedTime of an aware UTC time, as PKIX writes it: whole seconds, Zulu (RFC 5280, 4.1.2.5.2)."""
    return b"\x18\x0f%04d%02d%02d%02d%02d%02dZ" % (
        moment.year,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
    )


def time(moment: datetime) -> bytes:
    """A Time of an aware UTC time: UTCTime for 1950 to 2049, GeneralizedTime for other years (RFC 5280, 4.1.2.5)."""
    generalized = generalized_time(moment)
    if moment.year not in UTC_TIME_YEARS:
        return generalized
    return element(UTC_TIME, generalized[4:])  # without its head and the century


def generalized_time_with_fraction(moment: datetime) -> bytes:
    """A GeneralizedTime of an aware UTC time down to the microsecond, without trailing zeros (RFC 3161, 2.4.2)."""
    contents = b"%04d%02d%02d%02d%02d%02d.%06d" % (
        moment.year,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
        moment.microsecond,
    )
    contents = contents.rstrip(b"0").rstrip(b".") + b"Z"
    return bytes((GENERALIZED_TIME, len(contents))) + contents


def bit_string(number: int) -> bytes:
    """A BIT STRING of named bits in which only bit ``number`` is set (X.690, 11.2.2)."""
    return element(BIT_STRING, bytes((7 - number % 8,)) + bytes(number // 8) + bytes((0x80 >> number % 8,)))
