from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.directory.security_descriptors import (
    AUTO_ENROLL,
    ENROLL,
    MAX_SECURITY_DESCRIPTOR,
    SecurityDescriptorError,
    decode_security_descriptor,
    encode_enrollers,
)
from cspd.directory.security_identifiers import AUTHENTICATED_USERS, EVERYONE
from tests.unit.directory.security import (
    ALLOWED,
    ALLOWED_CALLBACK,
    ALLOWED_OBJECT,
    DENIED,
    DENIED_CALLBACK,
    DENIED_OBJECT,
    FULL,
    READ,
    descriptor,
    entry,
)

GROUP, OTHER = "S-1-5-21-1-2-3-1000", "S-1-5-21-1-2-3-1001"
SOMETHING = UUID("11111111-2222-3333-4444-555555555555")


def allows(*entries: bytes, right: UUID = ENROLL) -> bool:
    return decode_security_descriptor(descriptor(*entries)).allows(right, {GROUP, "S-1-1-0"})


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], False),
        ([entry(ALLOWED_OBJECT, GROUP, right=ENROLL)], True),
        ([entry(ALLOWED_OBJECT, GROUP, right=AUTO_ENROLL)], False),
        ([entry(ALLOWED_OBJECT, GROUP, right=ENROLL, inherited=SOMETHING)], True),
        ([entry(ALLOWED_OBJECT, GROUP)], True),
        ([entry(ALLOWED_OBJECT, OTHER, right=ENROLL)], False),
        ([entry(ALLOWED, GROUP, FULL)], True),
        ([entry(ALLOWED, GROUP, 0x1000_0000)], True),
        ([entry(ALLOWED, GROUP, READ)], False),
        ([entry(ALLOWED_OBJECT, GROUP, READ, right=ENROLL)], False),
        ([entry(DENIED_OBJECT, GROUP, right=ENROLL), entry(ALLOWED, GROUP, FULL)], False),
        ([entry(DENIED, "S-1-1-0", FULL), entry(ALLOWED, GROUP, FULL)], False),
        ([entry(ALLOWED, GROUP, FULL), entry(DENIED, GROUP, FULL)], True),
        ([entry(DENIED_OBJECT, GROUP, right=AUTO_ENROLL), entry(ALLOWED, GROUP, FULL)], True),
        ([entry(DENIED, OTHER, FULL), entry(ALLOWED, GROUP, FULL)], True),
        ([entry(ALLOWED, GROUP, FULL, flags=0x08)], False),
        ([entry(ALLOWED, GROUP, FULL, flags=0x12)], True),
        ([entry(ALLOWED_CALLBACK, GROUP, FULL)], False),
        ([entry(DENIED_CALLBACK, GROUP, FULL), entry(ALLOWED, GROUP, FULL)], False),
        ([entry(0x11, GROUP, FULL), entry(ALLOWED, GROUP, FULL)], True),
    ],
    ids=[
        "no entry",
        "enroll",
        "another right",
        "enroll, for children of a class too",
        "all rights",
        "another group",
        "full control",
        "generic all",
        "read",
        "only a property",
        "denied first",
        "denied by another group first",
        "allowed first",
        "another right denied",
        "another group denied",
        "for children alone",
        "inherited, and for containers below",
        "a condition that we cannot judge",
        "a denial whose condition we cannot judge",
        "a type that we do not know",
    ],
)
def test_the_first_entry_that_is_about_both_decides(entries: list[bytes], expected: bool) -> None:
    assert allows(*entries) is expected


def test_automatic_enrollment_is_a_right_of_its_own() -> None:
    entries = entry(ALLOWED_OBJECT, GROUP, right=AUTO_ENROLL)
    assert allows(entries, right=AUTO_ENROLL)
    assert not allows(entries, right=ENROLL)


def test_one_group_enrolls() -> None:
    own = "S-1-5-21-1-2-3-2000"
    access = decode_security_descriptor(encode_enrollers(own))
    for right in (ENROLL, AUTO_ENROLL):
        assert access.allows(right, {own})
        assert not access.allows(right, {AUTHENTICATED_USERS, EVERYONE, "S-1-5-21-1-2-3-2001"})
    assert not access.allows(UUID(int=7), {own})


def test_without_a_list_nobody_may_anything() -> None:
    """Windows says everybody; but a list that may not be read is not there, either."""
    assert not decode_security_descriptor(descriptor(control=0x8000)).allows(ENROLL, {GROUP})
    without = descriptor()[:16] + bytes(4) + descriptor()[20:]
    assert not decode_security_descriptor(without).allows(ENROLL, {GROUP})


def test_every_cut_is_an_error() -> None:
    whole = descriptor(entry(ALLOWED_OBJECT, GROUP, right=ENROLL), entry(ALLOWED, OTHER, FULL))
    for length in range(len(whole)):
        with pytest.raises(SecurityDescriptorError):
            decode_security_descriptor(whole[:length])


def test_what_is_no_descriptor() -> None:
    whole = descriptor(entry(ALLOWED, GROUP, FULL))
    for octets in (b"", b"\x02" + whole[1:], descriptor(control=0x0004), bytes(MAX_SECURITY_DESCRIPTOR + 1)):
        with pytest.raises(SecurityDescriptorError):
            decode_security_descriptor(octets)


def test_an_entry_without_length_does_not_hold_up() -> None:
    damaged = bytearray(descriptor(entry(ALLOWED, GROUP, FULL)))
    at = damaged.index(b"\xff\x01\x0f\x00") - 2
    damaged[at : at + 2] = b"\0\0"
    with pytest.raises(SecurityDescriptorError):
        decode_security_descriptor(bytes(damaged))


@given(st.binary(max_size=200))
def test_any_octets_are_a_descriptor_or_an_error(octets: bytes) -> None:
    with suppress(SecurityDescriptorError):
        decode_security_descriptor(octets)
    with suppress(SecurityDescriptorError):
        decode_security_descriptor(b"\x01\x00\x04\x80" + bytes(12) + b"\x14\0\0\0" + octets)
