"""What many structures of RFC 4211 have in common.

Each function steps a cursor over one element, or checks one, and raises :class:`CRMFError` or what the codec makes
one of (the errors of :mod:`cspd.x509.tlv`, :mod:`cspd.x509.signatures` and :mod:`cspd.x509.general_names`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from typing import TypeVar

from cryptography import x509

from cspd.x509 import tlv
from cspd.x509.crmf.messages import CRMFError
from cspd.x509.cursor import Cursor
from cspd.x509.general_name_encoding import decode_general_names
from cspd.x509.signatures import Algorithm, read_algorithm

MAX_INTEGER_OCTETS = 32
MAX_TEXT_OCTETS = 1024

_UTC_TIME_FORM = re.compile(rb"[0-9]{12}Z")
_GENERALIZED_TIME_FORM = re.compile(rb"[0-9]{14}Z")

V = TypeVar("V")
E = TypeVar("E", bound=IntEnum)


def sequence_of(cursor: Cursor, limit: int, read: Callable[[Cursor], V]) -> tuple[V, ...]:
    """The values of a SEQUENCE SIZE (1..limit) OF."""
    values: list[V] = []
    while not cursor.is_at_end:
        if len(values) == limit:
            raise CRMFError(f"more than {limit} elements of a list")
        values.append(read(cursor))
    if not values:
        raise CRMFError("an empty list")
    return tuple(values)


_UNIVERSAL = {0x80: tlv.INTEGER, 0x81: tlv.INTEGER, 0x87: tlv.BIT_STRING, 0x88: tlv.BIT_STRING}


def optional_field(cursor: Cursor, identifier: int, read: Callable[[Cursor], V]) -> V | None:
    """The field with that tag; a primitive one is read as if it had its universal tag."""
    if cursor.peek() != identifier:
        return None
    universal = _UNIVERSAL.get(identifier)
    if universal is None:
        inner = cursor.enter(identifier)
    else:
        inner = Cursor.over(tlv.element(universal, cursor.contents(identifier)))
    value = read(inner)
    inner.finish()
    return value


def read_integer(cursor: Cursor) -> int:
    """An INTEGER of at most :data:`MAX_INTEGER_OCTETS`."""
    contents = cursor.contents(tlv.INTEGER)
    if len(contents) > MAX_INTEGER_OCTETS:
        raise CRMFError(f"an INTEGER of more than {MAX_INTEGER_OCTETS} octets")
    return tlv.read_integer(contents, 0, len(contents))


def read_enumerated(value: int, values: type[E]) -> E:
    """The member with that value."""
    try:
        return values(value)
    except ValueError as error:
        raise CRMFError(str(error)) from error


def read_bits(cursor: Cursor) -> bytes:
    """The contents of a BIT STRING, whose unused bits must be zero."""
    contents = cursor.contents(tlv.BIT_STRING)
    unused = contents[0] if contents else 8
    if unused > 7 or (len(contents) == 1 and unused) or (unused and contents[-1] & ((1 << unused) - 1)):
        raise CRMFError("a BIT STRING with wrong unused bits")
    return contents


def whole_octets(bit_string_contents: bytes) -> bytes:
    """The octets of a BIT STRING that holds whole ones."""
    if not bit_string_contents or bit_string_contents[0]:
        raise CRMFError("a BIT STRING that is not whole octets")
    return bit_string_contents[1:]


def read_algorithm_contents(cursor: Cursor) -> Algorithm:
    """An AlgorithmIdentifier that has another tag, from its contents."""
    return read_algorithm(tlv.element(tlv.SEQUENCE, cursor.rest()))


def read_public_key_contents(cursor: Cursor) -> bytes:
    """A SubjectPublicKeyInfo that has another tag, from its contents; with its own."""
    return read_public_key(tlv.element(tlv.SEQUENCE, cursor.rest()))


def read_public_key(encoded: bytes) -> bytes:
    """A SubjectPublicKeyInfo by its form; whether the key can be used is asked later."""
    cursor = Cursor.over(encoded).enter(tlv.SEQUENCE)
    read_algorithm(cursor.element())
    read_bits(cursor)
    cursor.finish()
    return encoded


def read_name(cursor: Cursor) -> x509.Name:
    """A Name; one that ``cryptography`` would write otherwise than it stands there is refused."""
    encoded = cursor.element()
    try:
        with warnings.catch_warnings():
            # The library warns of attributes that are longer than RFC 5280 allows; policy refuses them by name.
            warnings.simplefilter("ignore")
            name = x509.Name.from_bytes(encoded)
            same = name.public_bytes() == encoded
    except (ValueError, TypeError, UnicodeError) as error:
        raise CRMFError(f"not a Name: {error}") from error
    if not same:
        raise CRMFError("a Name that cannot be written again as it was read")
    return name


def read_general_name(encoded: bytes) -> x509.GeneralName:
    """A GeneralName by its encoding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in read_name
        try:
            (name,) = decode_general_names(tlv.sequence(encoded))
        except (ValueError, TypeError) as error:
            raise CRMFError(f"not a GeneralName: {error}") from error
    return name


def read_text(cursor: Cursor) -> str:
    """A UTF8String of at most :data:`MAX_TEXT_OCTETS`."""
    octets = cursor.contents(tlv.UTF8_STRING)
    if len(octets) > MAX_TEXT_OCTETS:
        raise CRMFError(f"a text of more than {MAX_TEXT_OCTETS} octets")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CRMFError("a text that is not UTF-8") from error


def read_time(cursor: Cursor) -> datetime:
    """A Time, to the second and in UTC (RFC 5280, 4.1.2.5); GeneralizedTime may be of any year."""
    if cursor.peek() == tlv.UTC_TIME:
        text = cursor.contents(tlv.UTC_TIME)
        if _UTC_TIME_FORM.fullmatch(text) is None:
            raise CRMFError("a UTCTime that is not YYMMDDHHMMSSZ")
        text = (b"19" if text[0] >= ord("5") else b"20") + text  # RFC 5280, 4.1.2.5.1
    else:
        text = cursor.contents(tlv.GENERALIZED_TIME)
        if _GENERALIZED_TIME_FORM.fullmatch(text) is None:
            raise CRMFError("a GeneralizedTime that is not YYYYMMDDHHMMSSZ")
    try:
        return datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise CRMFError(f"a time that is none: {error}") from error
