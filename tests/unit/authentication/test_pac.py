from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from cspd.authentication.pac import sid_of_upn_dns_info
from cspd.directory.security_identifiers import encode_sid

SID = "S-1-5-21-1387194013-1227820471-2220973808-1103"
# UPN_DNS_INFO of a ticket that Samba 4.17 gave to alice@cspd.test.
SAMBA = bytes.fromhex(
    "1e0018001200380002000000"
    "0a0050001c005a00"
    "00000000"
    + "alice@cspd.test\0".encode("utf-16-le").hex()
    + "CSPD.TEST\0\0\0".encode("utf-16-le").hex()
    + "alice".encode("utf-16-le").hex()
    + encode_sid(SID).hex()
)


def test_the_sid_of_a_real_ticket() -> None:
    assert sid_of_upn_dns_info(SAMBA) == SID


def test_none_where_there_is_none() -> None:
    without_flag = SAMBA[:8] + struct.pack("<I", 1) + SAMBA[12:]
    for octets in (b"", without_flag, SAMBA[:12], SAMBA[:-1], SAMBA[:16] + b"\xff\xff\xff\xff" + SAMBA[20:]):
        assert sid_of_upn_dns_info(octets) is None


@given(st.binary(max_size=150))
def test_any_octets_give_a_sid_or_none(octets: bytes) -> None:
    sid_of_upn_dns_info(octets)
    sid_of_upn_dns_info(SAMBA[:12] + octets)
