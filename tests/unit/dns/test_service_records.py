from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.dns.messages import (
    SRV,
    DNSMessageError,
    Query,
    ServiceRecord,
    decode_answer,
    encode_query,
    name_of,
    service_record,
)

QUERY = Query(7, name_of("_ldap._tcp.example.com"), SRV)
DATA = bytes.fromhex("0001 0064 0185") + b"\3dc1\7example\3com\0"
RECORD = ServiceRecord(priority=1, weight=100, port=389, target="dc1.example.com")


def answer(data: bytes) -> bytes:
    """An answer with one SRV record; its owner is a pointer to the question."""
    question = encode_query(QUERY)
    head = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
    return head + question[12:] + b"\xc0\x0c\0\x21\0\1\0\0\0\x3c" + len(data).to_bytes(2) + data


def test_where_a_service_is() -> None:
    (record,) = decode_answer(answer(DATA), QUERY).records
    assert service_record(record.data) == RECORD


def test_a_target_that_is_compressed_against_the_rule() -> None:
    """RFC 2782 forbids it. The pointer leads to ``example.com`` in the question."""
    compressed = DATA[:6] + b"\3DC1\xc0" + bytes((12 + 11,))
    (record,) = decode_answer(answer(compressed), QUERY).records
    assert service_record(record.data) == RECORD


def test_no_service_at_all() -> None:
    assert service_record(bytes(7)).target == ""


@pytest.mark.parametrize("data", [b"", DATA[:5], DATA[:-1], DATA + b"\0", DATA[:6] + b"\1\xff\0"])
def test_what_is_no_service_record(data: bytes) -> None:
    with pytest.raises(DNSMessageError):
        service_record(data)


@given(st.binary(max_size=60))
def test_any_octets_are_a_record_or_an_error(data: bytes) -> None:
    with suppress(DNSMessageError):
        service_record(data)
    with suppress(DNSMessageError):
        for record in decode_answer(answer(data), QUERY).records:
            service_record(record.data)
