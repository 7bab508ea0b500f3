"""The octets of chrony's monitoring protocol, as a real chronyd has them."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from plugins.chrony.candm import Leap, SourceState, TrackingReply
from plugins.chrony.codec import (
    TRACKING,
    BadReply,
    NotTheAnswer,
    decode_float,
    decode_reply,
    encode_request,
    source_data,
)
from tests.support.fake_chronyd import CORPUS

SEQUENCE = 0x01020304
AHEAD = (CORPUS / "tracking-ahead.reply").read_bytes()


def tracking(packet: bytes) -> TrackingReply:
    return decode_reply(TRACKING, SEQUENCE, packet)


def changed(offset: int, octets: bytes, packet: bytes = AHEAD) -> bytes:
    return packet[:offset] + octets + packet[offset + len(octets) :]


def test_a_request_is_what_chronyc_sends() -> None:
    assert encode_request(TRACKING, SEQUENCE) == bytes.fromhex("0601 0000 0021 0000 01020304") + bytes(92)
    asked = encode_request(source_data(3), SEQUENCE)
    assert asked == bytes.fromhex("0601 0000 000f 0000 01020304 00000000 00000000 00000003") + bytes(52)


def test_a_clock_that_is_ahead_needs_a_negative_correction() -> None:
    reply = tracking(AHEAD)
    assert (reply.reference_id, reply.address) == (0x7F000001, IPv4Address("127.0.0.1"))
    assert (reply.stratum, reply.leap) == (2, Leap.NORMAL)
    assert reply.current_correction == pytest.approx(-0.8, abs=0.01)
    assert 0 < reply.root_delay < 0.1
    assert 0 < reply.root_dispersion < 0.1
    assert reply.reference_time is not None
    assert reply.reference_time.date().isoformat() == "2026-11-24"


@pytest.mark.parametrize(
    ("name", "leap", "stratum"),
    [
        ("synchronised", Leap.NORMAL, 2),
        ("insert-second", Leap.INSERT_SECOND, 2),
        ("delete-second", Leap.DELETE_SECOND, 2),
        ("not-synchronised", Leap.UNSYNCHRONISED, 0),
        ("local", Leap.NORMAL, 8),
        ("server-lost", Leap.NORMAL, 2),
    ],
)
def test_leap_status_and_stratum(name: str, leap: Leap, stratum: int) -> None:
    reply = tracking((CORPUS / f"tracking-{name}.reply").read_bytes())
    assert (reply.leap, reply.stratum) == (leap, stratum)


def test_a_chronyd_that_never_heard_of_a_server_has_no_reference_time() -> None:
    reply = tracking((CORPUS / "tracking-not-synchronised.reply").read_bytes())
    assert (reply.reference_time, reply.address, reply.reference_id) == (None, None, 0)


@pytest.mark.parametrize(
    ("name", "state", "followed"),
    [
        ("source-selected", SourceState.SELECTED, True),
        ("source-lost", SourceState.NONSELECTABLE, False),
        ("source-unheard", SourceState.NONSELECTABLE, False),
    ],
)
def test_a_source_is_followed_or_not(name: str, state: SourceState, followed: bool) -> None:
    source = decode_reply(source_data(0), SEQUENCE, (CORPUS / f"{name}.reply").read_bytes())
    assert (source.state, source.is_followed) == (state, followed)


def test_a_selected_source_that_answers_no_poll_is_not_followed() -> None:
    selected = (CORPUS / "source-selected.reply").read_bytes()
    silent = changed(28 + 20 + 10, b"\0\0", selected)
    assert not decode_reply(source_data(0), SEQUENCE, silent).is_followed


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (0x00000000, 0.0),
        (0x01000000, -0.5),  # the coefficient is signed: -2^24 / 2^25
        (0x02400000, 0.25),  # 2^22 * 2^(1 - 25)
        (-0x02000000, 0.0),  # exponent -1, coefficient 0
        (-0x01800000, 0.125),  # exponent -1, 2^23 * 2^(-1 - 25)
        (0x7EFFFFFF, (2**24 - 1) * 2.0**38),
        (-0x80000000, 0.0),
    ],
)
def test_numbers(number: int, value: float) -> None:
    assert decode_float(number) == value


def test_times_of_a_chronyd_with_32_bits_and_after_2106() -> None:
    no_high_seconds = changed(56, struct.pack("!III", 0x7FFFFFFF, 1_000_000_000, 999_999_999))
    assert tracking(no_high_seconds).reference_time == datetime(2001, 9, 9, 1, 46, 40, 999_999, UTC)
    high_seconds = changed(56, struct.pack("!III", 1, 0, 0))
    assert tracking(high_seconds).reference_time == datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC)


def test_addresses_of_both_families() -> None:
    address = IPv6Address("2001:db8::1")
    assert tracking(changed(32, address.packed + b"\0\2")).address == address


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (changed(0, b"\5"), "speaks version 5"),
        (changed(6, b"\0\6"), "of format 6"),
        (changed(8, b"\0\2"), "refuses TRACKING: unauthorized"),
        (changed(8, b"\0\x63"), "refuses TRACKING: status 99"),
        (AHEAD + b"\0", "with 77 octets"),
        (AHEAD[:-1], "with 75 octets"),
        (changed(54, b"\0\4"), "leap status 4"),
        (changed(48, b"\0\4"), "family 4"),
        (changed(64, struct.pack("!I", 10**9)), "1000000000 nanoseconds"),
        (changed(56, struct.pack("!II", 0xFFFFFFFF, 0)), "seconds after 1970"),
    ],
)
def test_replies_that_are_no_answer(packet: bytes, reason: str) -> None:
    with pytest.raises(BadReply, match=reason):
        tracking(packet)


@pytest.mark.parametrize(
    "packet",
    [b"", AHEAD[:27], changed(1, b"\1"), changed(4, b"\0\x2c"), changed(16, b"\1\2\3\5")],
    ids=["empty", "short", "a request", "another command", "another sequence number"],
)
def test_packets_that_are_for_somebody_else(packet: bytes) -> None:
    with pytest.raises(NotTheAnswer):
        tracking(packet)


def test_a_source_in_a_state_that_nobody_knows_is_refused() -> None:
    selected = (CORPUS / "source-selected.reply").read_bytes()
    with pytest.raises(BadReply, match="source state 6"):
        decode_reply(source_data(0), SEQUENCE, changed(28 + 20 + 4, b"\0\6", selected))


def test_the_corpus_is_there() -> None:
    assert len(list(Path(CORPUS).glob("*.reply"))) >= 13
