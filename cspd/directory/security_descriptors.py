"""Who may do what with an object of a directory: ``nTSecurityDescriptor`` ([MS-DTYP] 2.4.6), and the access check.

Only what decides on extended rights is read: the access control entries of the DACL. An entry that we cannot judge
(a condition, a type that came after us) never grants, and denies if its type denies.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cspd.directory.security_identifiers import AUTHENTICATED_USERS, SecurityIdentifierError, encode_sid, read_sid

ENROLL: Final = UUID("0e10c968-78fb-11d2-90d4-00c04f79dc55")
"""The extended right Certificate-Enrollment ([MS-CRTD] 2.5.1)."""
AUTO_ENROLL: Final = UUID("a05b8cc2-17bc-4802-a710-e7c15ab866a2")
"""The extended right Certificate-AutoEnrollment ([MS-CRTD] 2.5.1)."""

MAX_SECURITY_DESCRIPTOR: Final = 128 * 1024
"""Octets; an access control list has 64 thousand at most."""

_HEAD = struct.Struct("<BBHIIII")
_LIST_HEAD = struct.Struct("<BBHHH")
_ENTRY_HEAD = struct.Struct("<BBHI")
_SELF_RELATIVE, _DACL_PRESENT = 0x8000, 0x0004
_CONTROL_ACCESS = 0x0100  # ADS_RIGHT_DS_CONTROL_ACCESS
_GENERIC_ALL = 0x1000_0000
_FULL_CONTROL = 0x000F_01FF
_READ_OBJECT = 0x0002_0094  # RP, LC, LO and RC of [MS-ADTS] 5.1.3.2
_SYSTEM, _ADMINISTRATORS = "S-1-5-18", "S-1-5-32-544"
_REVISION_WITH_OBJECTS = 4
_INHERIT_ONLY = 0x08
_OBJECT_TYPE_PRESENT, _INHERITED_OBJECT_TYPE_PRESENT = 0x1, 0x2
_ALLOWED, _DENIED, _ALLOWED_OBJECT, _DENIED_OBJECT = 0x00, 0x01, 0x05, 0x06
_DENIED_CALLBACK, _DENIED_CALLBACK_OBJECT = 0x0A, 0x0C
_WITH_OBJECT_TYPE = frozenset({_ALLOWED_OBJECT, _DENIED_OBJECT, _DENIED_CALLBACK_OBJECT})
_GRANTS = frozenset({_ALLOWED, _ALLOWED_OBJECT})
_READ = _GRANTS | {_DENIED, _DENIED_OBJECT, _DENIED_CALLBACK, _DENIED_CALLBACK_OBJECT}


class SecurityDescriptorError(ValueError):
    """Not a security descriptor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessControlEntry:
    """Grants or denies rights to one SID ([MS-DTYP] 2.4.4)."""

    sid: str
    grants: bool
    mask: int
    object_type: UUID | None = None
    """The extended right (or property) it is about; None for all."""


@dataclass(frozen=True, slots=True)
class SecurityDescriptor:
    """The entries that apply to the object itself, in their order."""

    entries: tuple[AccessControlEntry, ...]

    def allows(self, right: UUID, sids: Collection[str]) -> bool:
        """Whether somebody with these SIDs has an extended right: the first entry that is about both decides.

        [MS-ADTS] 5.1.3.3.4; no entry, no right.
        """
        for entry in self.entries:
            if (
                entry.sid in sids
                and entry.mask & (_CONTROL_ACCESS | _GENERIC_ALL)
                and entry.object_type in (None, right)
            ):
                return entry.grants
        return False


def decode_security_descriptor(octets: bytes) -> SecurityDescriptor:
    """Read a self-relative security descriptor; raises :class:`SecurityDescriptorError`.

    Without a DACL nobody has a right here. (Windows takes that as "everybody", but a directory also leaves out what the
    reader may not see.)
    """
    if len(octets) > MAX_SECURITY_DESCRIPTOR:
        raise SecurityDescriptorError(f"more than {MAX_SECURITY_DESCRIPTOR} octets")
    try:
        revision, _, control, _, _, _, dacl = _HEAD.unpack_from(octets)
        if revision != 1 or not control & _SELF_RELATIVE:
            raise SecurityDescriptorError("a security descriptor of another revision or form")
        if not control & _DACL_PRESENT or dacl == 0:
            return SecurityDescriptor(())
        return SecurityDescriptor(tuple(_entries(octets, dacl)))
    except (struct.error, SecurityIdentifierError) as error:
        raise SecurityDescriptorError(f"a security descriptor is damaged: {error}") from error


def encode_enrollers(sid: str) -> bytes:
    """The self-relative security descriptor of a template or service by which one group enrolls, also automatically.

    Authenticated users read it, administrators and the system may do everything; owner and group are left to the domain
    controller. Raises SecurityIdentifierError.
    """
    entries = [
        *(_encode_entry(_ALLOWED, _FULL_CONTROL, each) for each in (_SYSTEM, _ADMINISTRATORS)),
        _encode_entry(_ALLOWED, _READ_OBJECT, AUTHENTICATED_USERS),
        *(_encode_entry(_ALLOWED_OBJECT, _CONTROL_ACCESS, sid, right) for right in (ENROLL, AUTO_ENROLL)),
    ]
    body = b"".join(entries)
    access = _LIST_HEAD.pack(_REVISION_WITH_OBJECTS, 0, _LIST_HEAD.size + len(body), len(entries), 0) + body
    return _HEAD.pack(1, 0, _SELF_RELATIVE | _DACL_PRESENT, 0, 0, 0, _HEAD.size) + access


def _encode_entry(kind: int, mask: int, sid: str, right: UUID | None = None) -> bytes:
    about = b"" if right is None else _OBJECT_TYPE_PRESENT.to_bytes(4, "little") + right.bytes_le
    body = about + encode_sid(sid)
    return _ENTRY_HEAD.pack(kind, 0, _ENTRY_HEAD.size + len(body), mask) + body


def _entries(octets: bytes, start: int) -> list[AccessControlEntry]:
    """The entries of the access control list at ``start`` ([MS-DTYP] 2.4.5)."""
    revision, _, size, count, _ = _LIST_HEAD.unpack_from(octets, start)
    end = start + size
    if revision not in (2, 4) or end > len(octets):
        raise SecurityDescriptorError("an access control list is cut short, or of another revision")
    entries = []
    position = start + _LIST_HEAD.size
    for _ in range(count):
        kind, flags, size, mask = _ENTRY_HEAD.unpack_from(octets, position)
        if size < _ENTRY_HEAD.size or position + size > end:
            raise SecurityDescriptorError("an access control entry is cut short")
        if kind in _READ and not flags & _INHERIT_ONLY:
            entries.append(_entry(kind, mask, octets[position + _ENTRY_HEAD.size : position + size]))
        position += size
    return entries


def _entry(kind: int, mask: int, body: bytes) -> AccessControlEntry:
    """What stands behind the mask: with an object type two optional GUIDs first, then the SID ([MS-DTYP] 2.4.4.3)."""
    position = 0
    object_type = None
    if kind in _WITH_OBJECT_TYPE:
        flags = int.from_bytes(body[:4], "little")
        position = 4
        if flags & _OBJECT_TYPE_PRESENT:
            guid = body[position : position + 16]
            if len(guid) != 16:
                raise SecurityDescriptorError("an object type is cut short")
            object_type = UUID(bytes_le=guid)
            position += 16
        if flags & _INHERITED_OBJECT_TYPE_PRESENT:
            position += 16
    sid, _ = read_sid(body, position)
    return AccessControlEntry(sid=sid, grants=kind in _GRANTS, mask=mask, object_type=object_type)
