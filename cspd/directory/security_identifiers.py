"""Security identifiers, SIDs ([MS-DTYP] 2.4.2): the octets of ``objectSid`` and the text ``S-1-5-21-...``."""

from __future__ import annotations

import re
import struct
from typing import Final

EVERYONE: Final = "S-1-1-0"
AUTHENTICATED_USERS: Final = "S-1-5-11"

_MAX_SUB_AUTHORITIES = 15
_HEAD = 8
_TEXT = re.compile(
    r"S-1-(?:0x(?P<hexadecimal>[0-9A-Fa-f]{12})|(?P<decimal>[0-9]{1,10}))(?P<subs>(?:-[0-9]{1,10}){1,15})"
)


class SecurityIdentifierError(ValueError):
    """Not a security identifier."""


def decode_sid(octets: bytes) -> str:
    """The text of a SID that fills ``octets``; raises :class:`SecurityIdentifierError`.

    Revision 1, the count of sub-authorities, six octets of authority (big-endian), then the sub-authorities, 32 bits
    each (little-endian; [MS-DTYP] 2.4.2.2).
    """
    sid, end = read_sid(octets, 0)
    if end != len(octets):
        raise SecurityIdentifierError("octets behind a security identifier")
    return sid


def read_sid(octets: bytes, start: int) -> tuple[str, int]:
    """The text of the SID that begins at ``start``, and where it ends; raises :class:`SecurityIdentifierError`."""
    if start + _HEAD > len(octets):
        raise SecurityIdentifierError("a security identifier is cut short")
    revision, count = octets[start], octets[start + 1]
    if revision != 1 or not 1 <= count <= _MAX_SUB_AUTHORITIES:
        raise SecurityIdentifierError("a security identifier of another revision, or with too many parts")
    end = start + _HEAD + 4 * count
    if end > len(octets):
        raise SecurityIdentifierError("a security identifier is cut short")
    authority = int.from_bytes(octets[start + 2 : start + _HEAD], "big")
    subs = struct.unpack_from(f"<{count}I", octets, start + _HEAD)
    # [MS-DTYP] 2.4.2.1: an authority of 2^32 or more is written in hexadecimal.
    written = str(authority) if authority < 1 << 32 else f"0x{authority:012X}"
    return "-".join(("S-1", written, *map(str, subs))), end


def encode_sid(sid: str) -> bytes:
    """The octets of a SID by its text; raises :class:`SecurityIdentifierError`."""
    found = _TEXT.fullmatch(sid)
    if found is None:
        raise SecurityIdentifierError("not a security identifier: S-1-5-21-...")
    subs = [int(part) for part in found["subs"][1:].split("-")]
    authority = int(found["decimal"]) if found["decimal"] else int(found["hexadecimal"], 16)
    if (found["decimal"] and authority >= 1 << 32) or any(part >= 1 << 32 for part in subs):
        raise SecurityIdentifierError("a part of a security identifier is too large")
    return bytes((1, len(subs))) + authority.to_bytes(6, "big") + struct.pack(f"<{len(subs)}I", *subs)
