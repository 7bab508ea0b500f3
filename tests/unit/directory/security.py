"""Security descriptors, written independently of how they are read."""

from __future__ import annotations

import struct
from uuid import UUID

from cspd.directory.security_identifiers import encode_sid

CONTROL_ACCESS, READ, FULL = 0x100, 0x20094, 0xF01FF
ALLOWED, DENIED, ALLOWED_OBJECT, DENIED_OBJECT = 0, 1, 5, 6
ALLOWED_CALLBACK, DENIED_CALLBACK = 9, 10


def entry(
    kind: int,
    sid: str,
    mask: int = CONTROL_ACCESS,
    *,
    right: UUID | None = None,
    inherited: UUID | None = None,
    flags: int = 0,
) -> bytes:
    body = b""
    if kind in (ALLOWED_OBJECT, DENIED_OBJECT):
        body = struct.pack("<I", (right is not None) | (inherited is not None) << 1)
        body += b"".join(each.bytes_le for each in (right, inherited) if each is not None)
    body += encode_sid(sid)
    body += bytes(-len(body) % 4)
    return struct.pack("<BBHI", kind, flags, 8 + len(body), mask) + body


def descriptor(*entries: bytes, control: int = 0x8004) -> bytes:
    owner = encode_sid("S-1-5-32-544")
    acl = struct.pack("<BBHHH", 4, 0, 8 + len(b"".join(entries)), len(entries), 0) + b"".join(entries)
    return struct.pack("<BBHIIII", 1, 0, control, 20, 0, 0, 20 + len(owner)) + owner + acl
