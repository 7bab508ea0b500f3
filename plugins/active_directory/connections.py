"""Connections of the account that reads: kept for the next question, and replaced when a domain controller is away.

All of it runs in threads and blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from time import monotonic
from typing import TypeVar

from cspd.refusals import Unavailable
from plugins.active_directory.conversation import (
    CannotAsk,
    Controller,
    Conversation,
    Credentials,
    Dialler,
    Found,
    NotThisPassword,
    Search,
)

MAX_TRIES = 3
"""Domain controllers that one question tries: it must not wait for the time-outs of all."""
KEPT = 300.0
"""Seconds that an unused connection is kept; a domain controller ends it after 900 (MaxConnIdleTime)."""
AVOIDED = 60.0
"""Seconds for which a domain controller that did not answer comes last."""

T = TypeVar("T")


class Connections:
    """The domain controllers of one forest, and the connections to them."""

    def __init__(
        self,
        dial: Dialler,
        credentials: Credentials,
        *,
        max_kept: int,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """``max_kept`` connections to one domain controller wait for a next question."""
        self._dial = dial
        self._credentials = credentials
        self._max_kept = max_kept
        self._monotonic = monotonic
        self._lock = Lock()
        self._kept: dict[Controller, list[tuple[Conversation, float]]] = {}
        self._avoided: dict[Controller, float] = {}
        self._closed = False

    def search(self, controllers: Sequence[Controller], search: Search) -> Found:
        """Ask the first that answers; raises Unavailable when none does, or none accepts the account that reads."""
        return self._first(controllers, lambda controller: self._search_at(controller, search))

    def check_password(self, controllers: Sequence[Controller], credentials: Credentials) -> None:
        """Log on, at the first that answers, on a connection of its own that ends at once.

        Raises :class:`NotThisPassword`, Unavailable.
        """
        self._first(controllers, lambda controller: self._dial(controller, credentials).close())

    def close(self) -> None:
        """End all connections that nobody uses now; those in use end with their question."""
        with self._lock:
            self._closed = True
            kept = [conversation for each in self._kept.values() for conversation, _ in each]
            self._kept.clear()
        for conversation in kept:
            conversation.close()

    def _first(self, controllers: Sequence[Controller], ask: Callable[[Controller], T]) -> T:
        reasons: list[str] = []
        for controller in self._in_order(controllers)[:MAX_TRIES]:
            try:
                answer = ask(controller)
            except CannotAsk as error:
                reasons.append(str(error))
                with self._lock:
                    self._avoided[controller] = self._monotonic() + AVOIDED
                continue
            with self._lock:
                self._avoided.pop(controller, None)
            return answer
        raise Unavailable("the directory does not answer", detail="; ".join(reasons))

    def _in_order(self, controllers: Sequence[Controller]) -> list[Controller]:
        """Those that did not answer lately come last."""
        now = self._monotonic()
        with self._lock:
            self._avoided = {controller: until for controller, until in self._avoided.items() if until > now}
            return sorted(controllers, key=lambda controller: self._avoided.get(controller, 0.0))

    def _search_at(self, controller: Controller, search: Search) -> Found:
        """Raises CannotAsk. A kept connection may have ended long ago, which says nothing of the domain controller."""
        while (conversation := self._take(controller)) is not None:
            try:
                found = conversation.search(search)
            except CannotAsk:
                conversation.close()
                continue
            self._keep(controller, conversation)
            return found
        try:
            conversation = self._dial(controller, self._credentials)
        except NotThisPassword as error:
            raise CannotAsk(f"{controller}: does not accept the account that reads: {error}") from error
        try:
            found = conversation.search(search)
        except CannotAsk:
            conversation.close()
            raise
        self._keep(controller, conversation)
        return found

    def _take(self, controller: Controller) -> Conversation | None:
        now = self._monotonic()
        stale: list[Conversation] = []
        taken = None
        with self._lock:
            kept = self._kept.get(controller, [])
            while kept and taken is None:
                conversation, since = kept.pop()
                if now - since < KEPT:
                    taken = conversation
                else:
                    stale.append(conversation)
        for conversation in stale:
            conversation.close()
        return taken

    def _keep(self, controller: Controller, conversation: Conversation) -> None:
        with self._lock:
            kept = self._kept.setdefault(controller, [])
            if not self._closed and len(kept) < self._max_kept:
                kept.append((conversation, self._monotonic()))
                return
        conversation.close()
