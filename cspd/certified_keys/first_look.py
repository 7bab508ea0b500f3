"""Requests wait for the first look at what they need, and for no other."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred


class FirstLook:
    """Lets callers wait until it is known whether a holder has its key."""

    def __init__(self, holders: Iterable[str]) -> None:
        self._waiting: dict[str, list[Deferred[None]]] = {holder: [] for holder in holders}

    async def settled(self, holder: str) -> None:
        """Wait until the holder was looked at, well or not; not at all for one that nobody looks at."""
        waiting = self._waiting.get(holder)
        if waiting is not None:
            settled: Deferred[None] = Deferred(waiting.remove)
            waiting.append(settled)
            await settled

    def looked_at(self, holder: str) -> None:
        """Let those go on who wait for this holder."""
        for settled in self._waiting.pop(holder, ()):
            settled.callback(None)

    def give_up(self) -> tuple[str, ...]:
        """Let everybody go on; gives the holders that were not looked at. For the end."""
        left = tuple(self._waiting)
        for holder in left:
            self.looked_at(holder)
        return left


__all__ = ["FirstLook"]
