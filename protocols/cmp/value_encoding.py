"""DER of the values that headers and bodies share: texts, algorithms, status, items of information (RFC 9810, 5).

Each ``read_...`` steps a :class:`cspd.x509.cursor.Cursor` over one element and raises
:class:`cspd.x509.tlv.DERError`; each ``encode_...`` is its inverse. CMP tags explicitly: a field ``[n]`` is an element
``0xA0 + n`` around the field's own element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.signatures import Algorithm, SignatureError, read_algorithm
from protocols.cmp.limits import Limits
from protocols.cmp.messages import InfoTypeAndValue
from protocols.cmp.status import PKIFailureInfo, PKIStatus, PKIStatusInfo

T = TypeVar("T")

MAX_INTEGER_OCTETS = 20
"""Of certReqId, errorCode and serial numbers (RFC 5280, 4.1.2.2)."""

_GENERAL_NAMES = frozenset((0xA0, 0x81, 0x82, 0xA3, 0xA4, 0xA5, 0x86, 0x87, 0x88))
_TIME_OCTETS = len("YYYYMMDDHHMMSSZ")
_FRACTION_DIGITS = 6


def tagged(cursor: Cursor, number: int, read: Callable[[Cursor], T]) -> T | None:
    """The optional field ``[number]``, read by ``read``; None if it is absent."""
    inner = cursor.enter_optional(0xA0 + number)
    if inner is None:
        return None
    value = read(inner)
    inner.finish()
    return value


def encode_tagged(number: int, encoded: bytes | None) -> bytes:
    """The field ``[number]`` around ``encoded``; nothing for None and for nothing."""
    return tlv.element(0xA0 + number, encoded) if encoded else b""


def read_sequence_of(cursor: Cursor, read: Callable[[Cursor], T], *, limit: int, at_least: int = 1) -> tuple[T, ...]:
    """A SEQUENCE OF with ``at_least`` to ``limit`` elements."""
    inner = cursor.enter(tlv.SEQUENCE)
    values: list[T] = []
    while not inner.is_at_end:
        if len(values) == limit:
            raise tlv.DERError(f"more than {limit} elements in a list")
        values.append(read(inner))
    if len(values) < at_least:
        raise tlv.DERError("a list is empty")
    return tuple(values)


def encode_sequence_of(values: Iterable[T], encode: Callable[[T], bytes]) -> bytes:
    """A SEQUENCE OF."""
    return tlv.sequence(*(encode(value) for value in values))


def read_structure(cursor: Cursor) -> bytes:
    """Any SEQUENCE, whole."""
    if cursor.peek() != tlv.SEQUENCE:
        raise tlv.DERError("no SEQUENCE where one must stand")
    return cursor.element()


def unwalked_structure(cursor: Cursor) -> bytes:
    """A SEQUENCE, whole, for a reader that checks what is in it."""
    return tlv.sequence(cursor.contents(tlv.SEQUENCE))


def read_small_integer(cursor: Cursor) -> int:
    """An INTEGER of at most :data:`MAX_INTEGER_OCTETS` octets."""
    contents = cursor.contents(tlv.INTEGER)
    if len(contents) > MAX_INTEGER_OCTETS:
        raise tlv.DERError("an INTEGER is too large")
    return tlv.read_integer(contents, 0, len(contents))


def read_octets(cursor: Cursor, limit: int) -> bytes:
    """An OCTET STRING of at most ``limit`` octets."""
    octets = cursor.contents(tlv.OCTET_STRING)
    if len(octets) > limit:
        raise tlv.DERError(f"an OCTET STRING has more than {limit} octets")
    return octets


def encode_octets(octets: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv.element(tlv.OCTET_STRING, octets)


def read_whole_octets_bit_string(cursor: Cursor) -> bytes:
    """The octets of a BIT STRING without unused bits."""
    contents = cursor.contents(tlv.BIT_STRING)
    if contents[:1] != b"\x00":
        raise tlv.DERError("a BIT STRING is not of whole octets")
    return contents[1:]


def read_general_name(cursor: Cursor) -> bytes:
    """A GeneralName, whole; what is in it is well-formed and not looked into."""
    if cursor.peek() not in _GENERAL_NAMES:
        raise tlv.DERError("no GeneralName where one must stand")
    return cursor.element()


def read_certificate(cursor: Cursor) -> bytes:
    """A CMPCertificate, which must be an X.509 one; it is well-formed and not looked into."""
    return read_structure(cursor)


def read_algorithm_identifier(cursor: Cursor) -> Algorithm:
    """An AlgorithmIdentifier."""
    try:
        return read_algorithm(unwalked_structure(cursor))
    except SignatureError as error:
        raise tlv.DERError(str(error)) from error


def read_free_text(cursor: Cursor, limits: Limits) -> tuple[str, ...]:
    """A PKIFreeText."""
    return read_sequence_of(cursor, lambda inner: _read_utf8(inner, limits), limit=limits.free_text)


def encode_free_text(texts: Sequence[str]) -> bytes:
    """A PKIFreeText; nothing for no text, because an empty one is not allowed."""
    return encode_sequence_of(texts, lambda text: tlv.element(tlv.UTF8_STRING, text.encode())) if texts else b""


def read_optional_free_text(cursor: Cursor, limits: Limits) -> tuple[str, ...]:
    """A PKIFreeText if one stands here."""
    return read_free_text(cursor, limits) if cursor.peek() == tlv.SEQUENCE else ()


def read_time(cursor: Cursor) -> datetime:
    """A GeneralizedTime as DER has it (X.690, 11.7), down to the microsecond."""
    contents = cursor.contents(tlv.GENERALIZED_TIME)
    digits, dot, fraction = contents[:-1].partition(b".")
    if contents[-1:] != b"Z" or len(digits) != _TIME_OCTETS - 1 or not digits.isdigit():
        raise tlv.DERError("not a GeneralizedTime of DER")
    if dot and not (fraction.isdigit() and len(fraction) <= _FRACTION_DIGITS and not fraction.endswith(b"0")):
        raise tlv.DERError("the fraction of a GeneralizedTime is not one of DER")
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, _TIME_OCTETS - 1, 2))
    microsecond = int(fraction.ljust(_FRACTION_DIGITS, b"0"))
    try:
        return datetime(int(digits[:4]), month, day, hour, minute, second, microsecond, UTC)
    except ValueError as error:
        raise tlv.DERError("a GeneralizedTime is no time") from error


def read_info(cursor: Cursor) -> InfoTypeAndValue:
    """An InfoTypeAndValue."""
    inner = cursor.enter(tlv.SEQUENCE)
    info_type = inner.object_identifier()
    value_der = b"" if inner.is_at_end else inner.element()
    inner.finish()
    return InfoTypeAndValue(info_type, value_der)


def encode_info(info: InfoTypeAndValue) -> bytes:
    """An InfoTypeAndValue."""
    return tlv.sequence(tlv.object_identifier(info.info_type), info.info_value_der)


def read_status_info(cursor: Cursor, limits: Limits) -> PKIStatusInfo:
    """A PKIStatusInfo; a status or bit that RFC 9810 does not have is an error."""
    inner = cursor.enter(tlv.SEQUENCE)
    try:
        status = PKIStatus(read_small_integer(inner))
    except ValueError as error:
        raise tlv.DERError("not a PKIStatus") from error
    status_string = read_optional_free_text(inner, limits)
    fail_info = _read_fail_info(inner) if inner.peek() == tlv.BIT_STRING else None
    inner.finish()
    return PKIStatusInfo(status, status_string, fail_info or frozenset())


def encode_status_info(info: PKIStatusInfo) -> bytes:
    """A PKIStatusInfo."""
    return tlv.sequence(
        tlv.integer(info.status.value),
        encode_free_text(info.status_string),
        _encode_fail_info(info.fail_info) if info.fail_info else b"",
    )


def _read_utf8(cursor: Cursor, limits: Limits) -> str:
    octets = cursor.contents(tlv.UTF8_STRING)
    if len(octets) > limits.free_text_octets:
        raise tlv.DERError("a text is too long")
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        raise tlv.DERError("a text is not UTF-8") from error


def _read_fail_info(cursor: Cursor) -> frozenset[PKIFailureInfo]:
    contents = cursor.contents(tlv.BIT_STRING)
    bits = range(8 * (len(contents) - 1)) if len(contents) <= 1 + 4 else range(0)
    try:
        fail_info = frozenset(PKIFailureInfo(bit) for bit in bits if contents[1 + bit // 8] & (0x80 >> bit % 8))
    except ValueError as error:
        raise tlv.DERError("not a bit of PKIFailureInfo") from error
    if not fail_info or _encode_fail_info(fail_info)[2:] != contents:
        raise tlv.DERError("a PKIFailureInfo is empty or not in DER")
    return fail_info


def _encode_fail_info(fail_info: frozenset[PKIFailureInfo]) -> bytes:
    """A BIT STRING that ends with the last bit set (X.690, 11.2.2)."""
    last = max(bit.value for bit in fail_info)
    number = sum(1 << (last - bit.value) for bit in fail_info)
    unused = 7 - last % 8
    return tlv.element(tlv.BIT_STRING, bytes((unused,)) + (number << unused).to_bytes(last // 8 + 1, "big"))
