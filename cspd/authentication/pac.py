"""Whom a Kerberos ticket of Active Directory is of, by the Privilege Attribute Certificate in it ([MS-PAC])."""

from __future__ import annotations

import struct

from cspd.directory.security_identifiers import SecurityIdentifierError, decode_sid

_FIELDS = struct.Struct("<4HI")
_MORE_FIELDS = struct.Struct("<4H")
_HAS_SAM_NAME_AND_SID = 0x2


def sid_of_upn_dns_info(octets: bytes) -> str | None:
    """The SID in a UPN_DNS_INFO ([MS-PAC] 2.10), octets of a PAC whose signature was verified.

    None where there is none (domain controllers before November 2021) or it cannot be read.
    """
    try:
        flags = _FIELDS.unpack_from(octets)[4]
        if not flags & _HAS_SAM_NAME_AND_SID:
            return None
        _, _, length, offset = _MORE_FIELDS.unpack_from(octets, _FIELDS.size)
        return decode_sid(octets[offset : offset + length])
    except (struct.error, SecurityIdentifierError):
        return None
