"""Checking chains of the log of tokens, wherever their rows come from: the store, or an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from protocols.tsp.timestamp_log import START, Head, LogEntry


class BreakKind(Enum):
    """What is wrong at a place of a chain."""

    MISSING = "missing"
    """Rows between this one and the one before it are gone; or, at a chain's end, the last ones are."""
    CHANGED = "changed"
    """The row does not have the hash it carries: it was changed, or stood at another place."""
    UNLINKED = "unlinked"
    """The row is whole, but another row than the one before it was there when it was written."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a chain does not hold."""

    chain: str
    sequence: int
    kind: BreakKind
    explanation: str


@dataclass(frozen=True, slots=True)
class LogReport:
    """The result of a check."""

    tokens: int
    """That were found good."""
    heads: Mapping[str, Head]
    """The end of each chain, as far as it holds; publish these elsewhere to make a rewritten chain show."""
    breaks: tuple[Break, ...]
    """At most one for each chain: behind the first, nothing is certain."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, as far as chains can show (see :mod:`protocols.tsp.timestamp_log`)."""
        return not self.breaks


class ChainCheck:
    """Follows one chain row by row until its end or its first break."""

    def __init__(self, chain: str, *, known_head: Head | None = None) -> None:
        self._chain = chain
        self._known = known_head
        self.at = START
        self.tokens = 0
        self.first_break: Break | None = None

    def go_on_from(self, pruned: Head) -> None:
        """What is before this place was removed on purpose, and cannot be checked."""
        if pruned.sequence > self.at.sequence:
            self.at = pruned
            self._compare_with_known(pruned)
            if self._known is not None and self._known.sequence < pruned.sequence:
                self._known = None

    def add(self, entry: LogEntry) -> None:
        """Check the next row, unless the chain is broken already."""
        if self.first_break is not None:
            return
        if entry.sequence != self.at.sequence + 1:
            gap = f"follows number {self.at.sequence}: what was between is gone"
            self._break(entry.sequence, BreakKind.MISSING, gap)
        elif entry.computed_hash() != entry.hash:
            self._break(entry.sequence, BreakKind.CHANGED, "does not have the hash it carries")
        elif entry.previous_hash != self.at.hash:
            other = f"was written after another row than the present {self.at.sequence}"
            self._break(entry.sequence, BreakKind.UNLINKED, other)
        else:
            self._compare_with_known(entry.head)
        if self.first_break is None:
            self.at = entry.head
            self.tokens += 1

    def end(self, stored: Head | None = None) -> None:
        """There are no more rows; ``stored`` is where the store says that the chain ends."""
        for head, name in ((stored, "the store has it as the last one"), (self._known, "it was published as the head")):
            if self.first_break is None and head is not None and head != self.at:
                if head.sequence > self.at.sequence:
                    missing = f"{name}; the chain ends at {self.at.sequence}"
                    self._break(head.sequence, BreakKind.MISSING, missing)
                elif head is stored:
                    self._break(head.sequence, BreakKind.UNLINKED, f"{name}, the chain ends at {self.at.sequence}")

    def _compare_with_known(self, head: Head) -> None:
        if self._known is not None and self._known.sequence == head.sequence:
            if self._known.hash != head.hash:
                self._break(head.sequence, BreakKind.CHANGED, "is not the row that was published as the head")
            self._known = None

    def _break(self, sequence: int, kind: BreakKind, explanation: str) -> None:
        if self.first_break is None:
            self.first_break = Break(self._chain, sequence, kind, explanation)


def report(checks: Mapping[str, ChainCheck]) -> LogReport:
    """The result of the checks of all chains, by name."""
    return LogReport(
        tokens=sum(check.tokens for check in checks.values()),
        heads={chain: check.at for chain, check in checks.items()},
        breaks=tuple(check.first_break for check in checks.values() if check.first_break is not None),
    )
