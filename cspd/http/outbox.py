"""Answers of one turn of the reactor, sent together at its end.

A send wakes who waits for it, and leaves the processor's caches with the kernel's data instead of the interpreter's.
With the sends of a turn one after another, an answer takes 0.76 to 0.87 of the processor time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["AT_ONCE", "Outbox"]

AT_ONCE = 64
"""So many answers do not wait for the end of the turn: with thousands of clients a turn may be long."""


class Sender(Protocol):
    """A connection that has something to send."""

    def send_unsent(self) -> None:
        """Send it."""
        ...


class Outbox:
    """Who has something to send; shared by the connections of a listener."""

    def __init__(self, call_later: Callable[..., Any]) -> None:
        """``call_later`` is the reactor's: it runs what is due now between this turn's reading and the next poll."""
        self._call_later = call_later
        self._senders: list[Sender] = []

    def add(self, sender: Sender) -> None:
        """Let it send at the end of this turn, or sooner."""
        senders = self._senders
        senders.append(sender)
        if len(senders) == 1:
            self._call_later(0, self._end_of_turn, senders)
        elif len(senders) == AT_ONCE:
            self._senders = []
            _send(senders)

    def _end_of_turn(self, senders: list[Sender]) -> None:
        if senders is self._senders:
            self._senders = []
            _send(senders)


def _send(senders: list[Sender]) -> None:
    for sender in senders:
        sender.send_unsent()
