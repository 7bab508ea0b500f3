"""What authentication gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who has proved who they are."""

    name: str
    """A user name, or the subject of a certificate (RFC 4514)."""
    method: str
    """How: the name of an ``[authentication.NAME]``, ``secret``, or ``certificate``."""
