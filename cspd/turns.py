"""What is put off to the end of a turn of the reactor: signatures, then the sending of answers.

Work of one kind done together leaves the processor's caches with what the next piece of it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["EndOfTurn"]


class EndOfTurn:
    """Calls back at the end of the turn; one for each reactor, so that what is signed in a turn is sent in it."""

    def __init__(self, call_later: Callable[..., Any]) -> None:
        """``call_later`` is the reactor's: it runs what is due now between this turn's reading and the next poll."""
        self._call_later = call_later
        self._work: list[Callable[[], object]] = []
        self._sending: list[Callable[[], object]] = []
        self._is_due = False

    def work(self, call: Callable[[], object]) -> None:
        """Call it at the end of this turn; where that is being done already, of the next one."""
        self._work.append(call)
        self._fall_due()

    def send(self, call: Callable[[], object]) -> None:
        """Call it behind all work of this turn, also when that work asked for it."""
        self._sending.append(call)
        self._fall_due()

    def end(self) -> None:
        """Do now what was put off; for who cannot wait for it, outside of such work."""
        work, self._work = self._work, []
        try:
            for call in work:
                call()
        finally:
            sending, self._sending = self._sending, []
            self._is_due = False
            if self._work:
                self._fall_due()
            for call in sending:
                call()

    def _fall_due(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._call_later(0, self.end)
