"""Publishing CRLs: on a schedule, after a revocation, and on demand (R-CA-050, A-4).

publish_due          every minute, by one node: what has reached its interval, or lacks a revocation
certificate_changed  after a revocation here: once for all revocations of a second or more
current              a relying party asks: from memory; made first if there is none, or if the CA has no schedule
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from cspd.authority.change_feed import complete_sequence, last_sequence
from cspd.authority.crl import CRLState, Scope, read_newest, read_published, read_state
from cspd.authority.crl_issuing import CRLIssuer, crl_interval, find_signer, signers
from cspd.authority.interfaces import Authorities
from cspd.authority.polling import Polling, Timer, Timers
from cspd.authority.values import Authority, AuthorityKind, PublishedCRL, StatusChange
from cspd.clock import Clock
from cspd.jobs.values import Job
from cspd.refusals import NotFound, Refused
from cspd.store.interfaces import Database

POLL_SECONDS = 0.5
SETTLE_SECONDS = 1.0
"""How long after a revocation the CRL is made, so that the next ones share it."""

SHARE_OF_TIME = 10
"""A CRL that took d seconds is not made again for SHARE_OF_TIME times d: mass revocation must not fill the machine."""

LARGE = 10_000
"""Entries from which on a full CRL keeps to its schedule where delta CRLs tell of revocations."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A CRL; to make a full one is to make its delta CRL with it (``CRLIssuer.issue``)."""

    scope: Scope
    is_delta: bool


class CRLPublication:
    """Implements :class:`cspd.authority.interfaces.Publication`; ``reactor`` gives the timers only."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        reactor: Timers,
        database: Database,
        authorities: Authorities,
        issuer: CRLIssuer,
        interval: float = POLL_SECONDS,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._clock = clock
        self._reactor = reactor
        self._database = database
        self._authorities = authorities
        self._issuer = issuer
        self._settle = settle
        self._last_duration: dict[str, float] = {}
        self._memory: dict[_Name, PublishedCRL] = {}
        self._up_to_date: set[_Name] = set()  # known to lack no change; only CAs without a schedule ask
        self._changes = 0
        self._sequences = (-1, -1)
        self._running: dict[_Name, list[Deferred[Sequence[PublishedCRL]]]] = {}
        self._timers: dict[str, Timer] = {}
        self._tasks: set[Deferred[None]] = set()
        self._polling = Polling(reactor, self._poll, interval=interval, what="the CRLs of other nodes")

    def start(self) -> None:
        """Follow what other nodes publish."""
        self._polling.start()

    def stop(self) -> Deferred[list[tuple[bool, None]]]:
        """Make no more CRLs; fires when those begun are done. What was due is done by :meth:`publish_due` later."""
        self._polling.stop()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        return DeferredList(list(self._tasks))

    def jobs(self) -> Sequence[Job]:
        """The schedule."""
        return (Job(name="crl-publish-due", schedule="0 * * * * *", run=self.publish_due),)

    def cached(self, authority: Authority, *, key_index: int = 0, is_delta: bool = False) -> PublishedCRL | None:
        """See :class:`cspd.authority.interfaces.Publication`."""
        name = _Name(Scope(authority.id, key_index), is_delta)
        crl = self._memory.get(name)
        if crl is None or not self._is_current(authority, name, crl):
            return None
        return crl

    async def current(self, authority: Authority, *, key_index: int = 0, is_delta: bool = False) -> PublishedCRL:
        """See :class:`cspd.authority.interfaces.Publication`.

        When a new one cannot be made now, the last one is given as long as there is one: an old CRL is for the relying
        party to judge.
        """
        if (crl := self.cached(authority, key_index=key_index, is_delta=is_delta)) is not None:
            return crl
        find_signer(authority, key_index, self._clock.now())
        crl_interval(authority, is_delta=is_delta)
        name = _Name(Scope(authority.id, key_index), is_delta)
        stored, sequence = await self._database.read(
            lambda connection: (
                read_published(connection, name.scope, is_delta=is_delta),
                last_sequence(connection, authority.id),
            )
        )
        if stored is not None:
            self._remember(name, stored)
            if stored.status_sequence >= sequence:
                self._up_to_date.add(name)
            if self._is_current(authority, name, stored):
                return stored
        try:
            has_base = await self._has_base(name.scope)
            published = await self._issue(authority, _Name(name.scope, is_delta=is_delta and has_base))
            return next(crl for crl in published if crl.is_delta == is_delta)
        except Refused as error:
            if stored is None:
                raise
            self._log.warn("{ca} serves an old CRL: {error}", ca=str(authority.reference), error=error)
            return stored

    async def publish(self, authority: Authority) -> Sequence[PublishedCRL]:
        """Make all CRLs of a CA now (``cspctl ca crl``); raises NotFound if it signs none."""
        now = self._clock.now()
        published: list[PublishedCRL] = []
        for signer in signers(authority, now):
            name = _Name(Scope(authority.id, signer.key_index), is_delta=False)
            published += await self._issue_anew(authority, name)
        if not published:
            raise NotFound(f"{authority.reference} signs no CRLs")
        return published

    async def publish_due(self) -> None:
        """Make the CRLs that have reached their interval or lack a change of a certificate's state.

        One CA that cannot sign does not keep the others from it; raises an ExceptionGroup of what failed.
        """
        failures = []
        for authority in await self._authorities.list():
            if authority.kind is AuthorityKind.EXTERNAL_ROOT or authority.crl_days is None:
                continue
            try:
                await self._publish_if_due(authority)
            except Exception as error:  # the edge of a job's turn: the other CAs come all the same
                failures.append(error)
        if failures:
            raise ExceptionGroup("some CRLs could not be published", failures)

    def certificate_changed(self, change: StatusChange) -> None:
        """A certificate was revoked, held or released here (``RevocationService.after_change``)."""
        authority_id = change.authority_id
        self._changes += 1
        self._up_to_date = {name for name in self._up_to_date if name.scope.authority_id != authority_id}
        if authority_id not in self._timers:
            delay = max(self._settle, SHARE_OF_TIME * self._last_duration.get(authority_id, 0.0))
            self._timers[authority_id] = self._reactor.callLater(delay, self._begin, authority_id)

    def _begin(self, authority_id: str) -> None:
        del self._timers[authority_id]
        self._keep(Deferred.fromCoroutine(self._publish_changed(authority_id)))

    async def _publish_changed(self, authority_id: str) -> None:
        try:
            authority = await self._authorities.by_id(authority_id)
            if authority.crl_days is None:  # made when somebody asks
                return
            for signer in signers(authority, self._clock.now()):
                await self._publish_change(authority, Scope(authority_id, signer.key_index))
        except NotFound:  # deleted meanwhile
            return
        except Exception:  # the edge of a task: publish_due tries again within a minute
            self._log.failure("cannot publish the CRL of {id}", id=authority_id)

    async def _publish_change(self, authority: Authority, scope: Scope) -> None:
        full = await self._database.read(partial(read_state, scope=scope, is_delta=False))
        await self._issue_anew(authority, _Name(scope, is_delta=self._delta_is_enough(authority, full)))

    def _delta_is_enough(self, authority: Authority, full: CRLState | None) -> bool:
        """Whether a change waits for the next full CRL: that is large, and a delta CRL tells of it."""
        return (
            authority.delta_crl_hours is not None
            and full is not None
            and full.next_update > self._clock.now()
            and full.entries >= LARGE
        )

    async def _has_base(self, scope: Scope) -> bool:
        full = await self._database.read(partial(read_state, scope=scope, is_delta=False))
        return full is not None and full.next_update > self._clock.now()

    async def _publish_if_due(self, authority: Authority) -> None:
        now = self._clock.now()
        has_deltas = authority.delta_crl_hours is not None
        for signer in signers(authority, now):
            scope = Scope(authority.id, signer.key_index)
            full, delta, sequence = await self._database.read(partial(_read_due, scope=scope))
            late = None if self._delta_is_enough(authority, full) else sequence
            if _is_due(full, crl_interval(authority, is_delta=False), now, late):
                await self._issue(authority, _Name(scope, is_delta=False))
            elif has_deltas and _is_due(delta, crl_interval(authority, is_delta=True), now, sequence):
                await self._issue(authority, _Name(scope, is_delta=True))

    def _is_current(self, authority: Authority, name: _Name, crl: PublishedCRL) -> bool:
        now = self._clock.now()
        if authority.crl_days is not None:
            return now < crl.next_update
        return name in self._up_to_date and now < crl.this_update + crl_interval(authority, is_delta=False)

    async def _issue_anew(self, authority: Authority, name: _Name) -> Sequence[PublishedCRL]:
        """CRLs begun after this call: what runs already may have read the store before the change."""
        if name in self._running:
            with suppress(Refused):  # whoever began it hears of it
                await self._issue(authority, name)
        return await self._issue(authority, name)

    async def _issue(self, authority: Authority, name: _Name) -> Sequence[PublishedCRL]:
        """Make CRLs, or join those that are being made; they are made to their end although whoever asked has left."""
        waiter: Deferred[Sequence[PublishedCRL]] = Deferred()
        if (waiters := self._running.get(name)) is not None:
            waiters.append(waiter)
        else:
            self._running[name] = [waiter]
            self._keep(Deferred.fromCoroutine(self._make(authority, name)))
        return await waiter

    async def _make(self, authority: Authority, name: _Name) -> None:
        begun, changes = self._reactor.seconds(), self._changes
        result: Sequence[PublishedCRL] | Failure
        try:
            result = await self._issuer.issue(authority, name.scope.key_index, is_delta=name.is_delta)
        except Exception:  # those who wait get it
            result = Failure()  # type: ignore[no-untyped-call]  # of the exception being handled
        else:
            for crl in result:
                made = _Name(name.scope, crl.is_delta)
                self._remember(made, crl)
                if changes == self._changes:
                    self._up_to_date.add(made)
            self._last_duration[authority.id] = self._reactor.seconds() - begun
        for waiter in self._running.pop(name):
            waiter.callback(result)

    def _keep(self, task: Deferred[None]) -> None:
        """Remember work until it ends, so that :meth:`stop` can wait for it."""
        self._tasks.add(task)
        task.addBoth(lambda _: self._tasks.discard(task))

    def _remember(self, name: _Name, crl: PublishedCRL) -> None:
        known = self._memory.get(name)
        if known is None or known.number < crl.number:
            self._memory[name] = crl

    async def _poll(self) -> None:
        now = self._clock.now()
        newest, sequences = await self._database.read(
            lambda connection: (
                read_newest(connection),
                # the second grows when a change commits after a later one
                (last_sequence(connection), complete_sequence(connection, now=now)),
            )
        )
        if sequences != self._sequences:
            self._sequences = sequences
            self._changes += 1
            self._up_to_date.clear()
        numbers = {_Name(scope, is_delta): number for scope, is_delta, number in newest}
        for name in [name for name in self._memory if name not in numbers]:  # the CA was deleted
            del self._memory[name]
        for name, known in list(self._memory.items()):
            if known.number < numbers[name]:
                crl = await self._database.read(partial(read_published, scope=name.scope, is_delta=name.is_delta))
                if crl is not None:
                    self._remember(name, crl)


def _read_due(connection: Connection, scope: Scope) -> tuple[CRLState | None, CRLState | None, int]:
    return (
        read_state(connection, scope, is_delta=False),
        read_state(connection, scope, is_delta=True),
        last_sequence(connection, scope.authority_id),
    )


def _is_due(crl: CRLState | None, interval: timedelta, now: datetime, sequence: int | None) -> bool:
    """``sequence`` None: only time makes it due."""
    if crl is None or now >= crl.this_update + interval:
        return True
    return sequence is not None and crl.status_sequence < sequence
