"""What the parts of the server say about themselves, for ``cspctl status`` and the health page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class HealthState(Enum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, but somebody should look: an answer is late, a certificate ends soon."""
    FAILED = "failed"
    """It does not work; whoever asks it is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of one part."""

    part: str
    """Lower-case words joined by hyphens, the protocol first: ``tsp-clock``, ``keys-software``."""
    state: HealthState
    reason: str = ""
    """Why it is not OK; for operators, without secrets."""
