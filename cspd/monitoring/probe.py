"""A question whose answer takes time, such as one to the store: asked seldom, waited for not long.

However many ask at the same time, and however often, the store or the token gets one question a second.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cspd.authority.polling import Timer, Timers
from cspd.health import Health, HealthState
from cspd.refusals import Refused

FRESH_SECONDS = 1.0
"""How long an answer is good."""
PATIENCE_SECONDS = 2.0
"""How long whoever asks waits; what takes longer is degraded, and goes on being waited for."""
GIVEN_UP_SECONDS = 10.0
"""After this time without an answer there is none."""


class Probe:
    """Asks one question, and remembers how that went."""

    _log = Logger()

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        *,
        reactor: Timers,
        what: str,
        fresh: float = FRESH_SECONDS,
    ) -> None:
        """``ask`` keeps the answer where its owner finds it, and raises if there is none; ``what`` is for the log."""
        self._ask = ask
        self._reactor = reactor
        self._what = what
        self._fresh = fresh
        self._begun: float | None = None
        """None while nothing is asked."""
        self._ended: float | None = None
        self._failure = ""
        self._end_of_patience: Timer | None = None
        self._waiting: list[Deferred[None]] = []

    async def refresh(self) -> None:
        """Ask, unless that was done lately or is being done; returns with the answer or without patience."""
        if self._begun is None:
            if self._ended is not None and self._reactor.seconds() - self._ended < self._fresh:
                return
            self._begin()
        if self._begun is None or self._seconds_waited() >= PATIENCE_SECONDS:
            return
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        await waiter

    def health(self, part: str) -> Health:
        """How whoever was asked is, by that answer and by how long the next one is overdue."""
        waited = self._seconds_waited()
        if waited >= GIVEN_UP_SECONDS:
            return Health(part=part, state=HealthState.FAILED, reason=f"no answer for {waited:.0f} seconds")
        if self._failure:
            return Health(part=part, state=HealthState.FAILED, reason=self._failure)
        if waited >= PATIENCE_SECONDS:
            return Health(part=part, state=HealthState.DEGRADED, reason=f"no answer for {waited:.0f} seconds")
        return Health(part=part, state=HealthState.OK)

    def _seconds_waited(self) -> float:
        return 0.0 if self._begun is None else self._reactor.seconds() - self._begun

    def _begin(self) -> None:
        self._begun = self._reactor.seconds()
        self._end_of_patience = self._reactor.callLater(PATIENCE_SECONDS, self._lose_patience)
        Deferred.fromCoroutine(self._ask_once()).addBoth(self._end)

    def _lose_patience(self) -> None:
        self._end_of_patience = None
        self._release()

    def _end(self, _: object) -> None:
        if self._end_of_patience is not None:
            self._end_of_patience.cancel()
        self._begun, self._ended = None, self._reactor.seconds()
        self._release()

    async def _ask_once(self) -> None:
        try:
            await self._ask()
        except Refused as refusal:
            self._failure = refusal.detail or refusal.reason
        except Exception:  # the edge of a question that nobody else answers for
            self._log.failure("the state of {what} cannot be told", what=self._what)
            self._failure = "unexpected error, see the log"
        else:
            self._failure = ""

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)
