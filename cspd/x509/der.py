"""The one reader of DER: whatever the bytes are, they give a value or a :class:`DERError`.

asn1crypto declares structures well and reads leniently: it accepts BER, ignores trailing bytes, parses a field only
when somebody touches it, and lets many kinds of exceptions out. So :func:`read` looks at the encoding first
(:func:`check_encoding`), walks the whole value, and compares what it would write with what it read.
"""

from __future__ import annotations

from typing import TypeVar

from asn1crypto.core import Asn1Value

DEFAULT_LIMIT = 64 * 1024
"""Octets; a certificate, request or status message is far smaller."""
MAX_DEPTH = 32
"""Nested elements; certificates use 8 or so."""

_CONSTRUCTED = 0x20
_NOT_UNIVERSAL = 0xC0
_LONG_FORM = 0x80
_HIGH_TAG_NUMBER = 0x1F
_BOOLEAN, _INTEGER, _BIT_STRING, _NULL, _ENUMERATED, _SEQUENCE, _SET = 1, 2, 3, 5, 10, 16, 17
_MAX_LENGTH_OCTETS = 4

V = TypeVar("V", bound=Asn1Value)


class DERError(ValueError):
    """The bytes are not the DER of the expected structure."""


def read(structure: type[V], data: bytes, *, limit: int = DEFAULT_LIMIT, canonical: bool = True) -> V:
    """Read one structure from exactly these bytes.

    ``structure`` is a class of asn1crypto, or one declared in its manner. ``limit`` is in octets. With ``canonical``
    the value must encode to the same bytes again, which DER promises; a standard that allows BER, such as CMS, reads
    without it, and then only size, depth and structure are checked.

    Returns the value, parsed to its leaves. Raises :class:`DERError`, and nothing else.
    """
    if len(data) > limit:
        raise DERError(f"more than {limit} octets")
    if canonical:
        check_encoding(data)
    try:
        value: V = structure.load(data, strict=True)
        value.native  # noqa: B018  # touching it parses every field
        same = not canonical or value.dump(force=True) == data
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise DERError(f"not a {structure.__name__}: {error}") from error
    if not same:
        raise DERError(f"not the DER encoding of a {structure.__name__}")
    return value


def check_encoding(data: bytes) -> None:
    """Check that the bytes are one element in DER, to the leaves (X.690, 8.1 and 10, 11 as far as tags tell).

    Without knowing the structure it cannot see defaults written out or a SET OF out of order; :func:`read` can. Raises
    :class:`DERError`.
    """
    if not data:
        raise DERError("nothing")
    end = _check_element(data, 0, len(data))
    open_ends = [end]
    offset = _content_start(data, 0) if data[0] & _CONSTRUCTED else end
    while open_ends:
        if offset == open_ends[-1]:
            open_ends.pop()
            continue
        element_end = _check_element(data, offset, open_ends[-1])
        if data[offset] & _CONSTRUCTED:
            if len(open_ends) >= MAX_DEPTH:
                raise DERError(f"nested deeper than {MAX_DEPTH}")
            open_ends.append(element_end)
            offset = _content_start(data, offset)
        else:
            offset = element_end
    if end != len(data):
        raise DERError("bytes after the end")


def _check_element(data: bytes, offset: int, limit: int) -> int:
    """Check one element's header, and a primitive's content; give the offset of its end."""
    start, length = _header(data, offset, limit)
    end = start + length
    if end > limit:
        raise DERError("an element ends after its container")
    identifier = data[offset]
    if not identifier & _NOT_UNIVERSAL:
        number = identifier & _HIGH_TAG_NUMBER
        if bool(identifier & _CONSTRUCTED) != (number in (_SEQUENCE, _SET)):
            # 8 and 11 (EXTERNAL, EMBEDDED PDV) are constructed too; no standard of ours uses them.
            raise DERError("a string in pieces, or a primitive SEQUENCE")
        _check_primitive(number, data[start:end] if length <= 2 else data[start : start + 2], length)
    return end


def _check_primitive(number: int, head: bytes, length: int) -> None:
    if number in (_INTEGER, _ENUMERATED):
        if not length:
            raise DERError("an empty INTEGER")
        if length > 1 and ((head[0] == 0 and head[1] < 0x80) or (head[0] == 0xFF and head[1] >= 0x80)):
            raise DERError("an INTEGER with superfluous octets")
    elif number == _BOOLEAN:
        if head not in (b"\x00", b"\xff") or length != 1:
            raise DERError("a BOOLEAN other than 00 and FF")
    elif number == _NULL:
        if length:
            raise DERError("a NULL with content")
    elif number == _BIT_STRING and (not length or head[0] > 7 or (length == 1 and head[0])):
        raise DERError("a BIT STRING with wrong unused bits")


def _header(data: bytes, offset: int, limit: int) -> tuple[int, int]:
    """Where the content of the element at ``offset`` begins, and its length."""
    at = offset + 1
    if at >= limit:
        raise DERError("cut off")
    if data[offset] & _HIGH_TAG_NUMBER == _HIGH_TAG_NUMBER:
        if data[at] == _LONG_FORM:
            raise DERError("a tag number with leading zeros")
        number = 0
        while True:
            number = number << 7 | data[at] & 0x7F
            at += 1
            if at >= limit or at - offset > 1 + _MAX_LENGTH_OCTETS:
                raise DERError("a tag number without end")
            if not data[at - 1] & _LONG_FORM:
                break
        if number < _HIGH_TAG_NUMBER:
            raise DERError("a small tag number in long form")
    length = data[at]
    at += 1
    if length & _LONG_FORM:
        octets = length & 0x7F
        if not 1 <= octets <= _MAX_LENGTH_OCTETS:
            raise DERError("an indefinite or enormous length")
        if at + octets > limit:
            raise DERError("cut off")
        length = int.from_bytes(data[at : at + octets], "big")
        at += octets
        if length < _LONG_FORM or length >> 8 * (octets - 1) == 0:
            raise DERError("a length that is longer than needed")
    return at, length


def _content_start(data: bytes, offset: int) -> int:
    return _header(data, offset, len(data))[0]
