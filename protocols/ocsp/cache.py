"""Answers kept in memory, by the bytes of their request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

from cspd.authority.values import CertificateStatus
from protocols.ocsp.issuers import Issuers


@dataclass(slots=True)
class Answer:
    """A signed OCSPResponse and how long it holds; immutable, though not ``frozen`` (see ``messages``)."""

    response_der: bytes
    produced_at: datetime
    next_update: datetime
    is_cacheable: bool
    """It answers everybody who sends the same request: no nonce, and only serials that were issued."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CachedAnswer:
    """An answer, and what must still be true for it to be given again."""

    answer: Answer
    refresh_at: datetime
    issuers: Issuers
    """The issuers of the CA when it was made; others took their place when the CA changed."""
    statuses: tuple[tuple[int, CertificateStatus], ...]
    """Serial numbers, and the status that was said of each."""


class AnswerCache:
    """At most ``size`` answers; the one that nobody asked for longest makes room."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[Hashable, CachedAnswer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: Hashable) -> CachedAnswer | None:
        """The answer to that request, if it is here."""
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def keep(self, key: Hashable, answer: CachedAnswer) -> None:
        """Remember an answer."""
        if self._size == 0:
            return
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)
