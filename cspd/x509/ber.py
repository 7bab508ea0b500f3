"""Basic Encoding Rules (X.690, 8): what CMS writers in the field send, turned into the DER that we read.

Indefinite and long lengths become definite and short ones, strings in pieces become whole. What only a schema knows
stays as it is: the order of a SET OF, defaults that are written out, strings in pieces behind an implicit tag
(:func:`join`).
"""

from __future__ import annotations

from cspd.x509 import tlv
from cspd.x509.tlv import DERError

MAX_DEPTH = 32

_CONSTRUCTED = 0x20
_INDEFINITE = 0x80
_END_OF_CONTENTS = b"\x00\x00"
_STRINGS = frozenset({0x03, 0x04, 0x0C, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1A, 0x1B, 0x1C, 0x1E})
_BIT_STRING = 0x03


def to_der(data: bytes, *, limit: int) -> bytes:
    """One BER element, of at most ``limit`` octets and alone in ``data``, with the lengths and strings of DER.

    Raises :class:`cspd.x509.tlv.DERError`.
    """
    if len(data) > limit:
        raise DERError(f"more than {limit} octets")
    if data and _is_der(data):
        return data
    element, stop = _element(data, 0, len(data), MAX_DEPTH)
    if stop != len(data):
        raise DERError("something follows where nothing may")
    return element


def join(contents: bytes) -> bytes:
    """The octets of an OCTET STRING in pieces, by the contents of its constructed form (X.690, 8.7.3)."""
    pieces = []
    position = 0
    while position < len(contents):
        start, stop = tlv.read(contents, position, len(contents), tlv.OCTET_STRING)
        pieces.append(contents[start:stop])
        position = stop
    return b"".join(pieces)


def _is_der(data: bytes) -> bool:
    """Whether nothing would be changed: one element, all of whose lengths are short and strings whole.

    Most messages are such, and to look takes half of the time of making them anew.
    """
    ends = [len(data)]
    position = 0
    while ends:
        end = ends[-1]
        if position == end:
            ends.pop()
            continue
        if position + 2 > end:
            return False
        identifier, length = data[position], data[position + 1]
        position += 2
        if length >= _INDEFINITE:
            octets = length & 0x7F
            length = int.from_bytes(data[position : position + octets], "big")
            position += octets
            if not 0 < octets < 4 or length < _INDEFINITE or not length >> 8 * (octets - 1):
                return False
        stop = position + length
        if stop > end or identifier & 0x1F == 0x1F or (len(ends) == 1 and stop != end):
            return False
        if not identifier & _CONSTRUCTED:
            position = stop
        elif identifier & ~_CONSTRUCTED in _STRINGS or len(ends) == MAX_DEPTH:
            return False
        else:
            ends.append(stop)
    return True


def _element(data: bytes, position: int, end: int, depth: int) -> tuple[bytes, int]:
    """The element at ``position`` in DER, and where the next one begins."""
    if depth == 0:
        raise DERError("elements are nested too deeply")
    identifier, start, stop = _head(data, position, end)
    if not identifier & _CONSTRUCTED:
        if stop is None:
            raise DERError("an indefinite length without elements")
        return tlv.element(identifier, data[start:stop]), stop
    pieces = []
    inner = start
    while True:
        if stop is None:
            if data[inner : inner + 2] == _END_OF_CONTENTS and inner + 2 <= end:
                after = inner + 2
                break
        elif inner == stop:
            after = stop
            break
        piece, inner = _element(data, inner, end if stop is None else stop, depth - 1)
        pieces.append(piece)
    primitive = identifier & ~_CONSTRUCTED
    if primitive in _STRINGS:
        if primitive == _BIT_STRING:
            raise DERError("a BIT STRING in pieces")
        return tlv.element(primitive, b"".join(_contents(piece) for piece in pieces)), after
    return tlv.element(identifier, b"".join(pieces)), after


def _head(data: bytes, position: int, end: int) -> tuple[int, int, int | None]:
    """Identifier, start and stop of the contents; None as stop for an indefinite length."""
    start = position + 2
    if start > end:
        raise DERError("an element is cut short")
    identifier, length = data[position], data[position + 1]
    if identifier & 0x1F == 0x1F:
        raise DERError("a tag number is above 30")
    if length == _INDEFINITE:
        return identifier, start, None
    if length > _INDEFINITE:
        octets = length & 0x7F
        start += octets
        if octets > 8 or start > end:
            raise DERError("a length is cut short or absurd")
        length = int.from_bytes(data[position + 2 : start], "big")
    stop = start + length
    if stop > end:
        raise DERError("an element reaches behind its container")
    return identifier, start, stop


def _contents(element: bytes) -> bytes:
    _, start, stop = tlv.read_any(element, 0, len(element))
    return element[start:stop]
