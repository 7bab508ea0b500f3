"""The largest messages that are accepted, made to cost as much as they can: work and memory grow with their length.

Work is counted in calls of functions, so that a busy machine changes nothing.
"""

from __future__ import annotations

import base64
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from cspd.x509 import tlv
from tests.fuzz.any_bytes import TARGETS

CALLS_PER_OCTET = 20
MEMORY_PER_OCTET = 130
"""A Python object for an element of two octets has some 60."""
ALWAYS = 1 << 20
"""Octets of memory that even an empty message may take."""


def deep(depth: int) -> bytes:
    """Elements in each other, definite."""
    encoded = b""
    for _ in range(depth):
        encoded = tlv.sequence(encoded)
    return encoded


def filled(octets: int, piece: bytes) -> bytes:
    """A SEQUENCE full of the same."""
    return tlv.sequence(piece * (octets // len(piece)))


SHAPES: dict[str, Callable[[int], bytes]] = {
    "empty elements": lambda octets: filled(octets, tlv.NULL),
    "empty sequences": lambda octets: filled(octets, tlv.sequence()),
    "sequences in sequences": lambda octets: filled(octets, deep(20)),
    "too deep": lambda octets: deep(octets // 4),
    "too deep and endless": lambda octets: b"\x30\x80" * (octets // 2),
    "endless sequences": lambda octets: b"\x30\x80" + b"\x30\x80\x00\x00" * (octets // 4) + b"\x00\x00",
    "a string in many pieces": lambda octets: b"\x24\x80" + b"\x04\x00" * (octets // 2) + b"\x00\x00",
    "pieces of pieces": lambda octets: b"\x24\x80" * 20 + b"\x04\x00" * (octets // 2) + b"\x00\x00" * 20,
    "object identifiers": lambda octets: filled(octets, tlv.object_identifier("1.2")),
    "one long integer": lambda octets: tlv.integer(1 << 8 * octets),
    "one long object identifier": lambda octets: tlv.element(tlv.OBJECT_IDENTIFIER, b"\x81" * octets + b"\x01"),
    "white space": lambda octets: b"TUlJ" + b"\r\n" * (octets // 2),
    "base64": lambda octets: base64.b64encode(deep(20) * (octets // 60)),
    "PEM without an end": lambda octets: b"-----BEGIN CERTIFICATE REQUEST-----" + b"A" * octets,
    "many beginnings of PEM": lambda octets: b"-----BEGIN CERTIFICATE REQUEST-----\n" * (octets // 36),
}


def _calls(work: Callable[[bytes], None], data: bytes) -> int:
    count = 0

    def called(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        work(data)
    finally:
        sys.setprofile(None)
    return count


def _peak(work: Callable[[bytes], None], data: bytes) -> int:
    tracemalloc.start()
    try:
        work(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_work_and_memory_grow_with_the_length_at_most(name: str, shape: str) -> None:
    data = SHAPES[shape](60_000)
    assert _calls(TARGETS[name], data) < 10_000 + CALLS_PER_OCTET * len(data)
    assert _peak(TARGETS[name], data) < ALWAYS + MEMORY_PER_OCTET * len(data)
