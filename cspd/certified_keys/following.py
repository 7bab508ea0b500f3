"""Certified keys of a protocol: followed in the store, made, renewed and at last destroyed.

One node makes a key; all follow the store and use it within a second. A holder that has none gets one at once,
whichever node sees that first. A successor is made when :attr:`Wanted.successor_at` says so, by :meth:`renew`, which a
job of the protocol runs. Should nobody run that job, the last tenth of the life counts as an emergency in which any
node makes the successor.

All nodes have left a key when its successor has settled; it is destroyed by the first run of the job after
:attr:`Wanted.grace`. Its certificate stays among the certificates of its CA.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, succeed
from twisted.logger import Logger

from cspd.audit.events import AuditLog
from cspd.authority.interfaces import Authorities, Status
from cspd.authority.polling import Polling, Timers
from cspd.authority.values import Authority, AuthorityState, CertificateState
from cspd.certified_keys.making import KeyCertification, key_event
from cspd.certified_keys.records import CertifiedKeyRecords
from cspd.certified_keys.values import CertifiedKey, Wanted, Words
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.refusals import NotFound, Refused, Unavailable
from cspd.store.interfaces import Database

POLL_INTERVAL = 1.0
"""Seconds between two looks at the store."""
FIRST_RETRY = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=1)
LONGEST_RETRY = timedelta(minutes=10)
"""Between two attempts to make a key; each wait is twice as long as the one before, up to :data:`LONGEST_WAIT` for what
comes back by itself."""


class KeyUser(Protocol):
    """Uses the keys of a protocol."""

    def changed(self, current: Mapping[str, CertifiedKey], good: Sequence[CertifiedKey]) -> None:
        """Take what each holder uses now, and all keys whose certificates are not revoked, the newest first.

        Called whenever somebody has looked; a holder that is not in ``current`` has none.
        """
        ...

    def note(self, holder: str, trouble: str) -> None:
        """Remember what hinders the holder's key, or its successor."""
        ...


class CertifiedKeys:
    """Keeps the holders of a protocol supplied."""

    _log = Logger()

    def __init__(
        self,
        wanted: Mapping[str, Wanted],
        *,
        clock: Clock,
        database: Database,
        records: CertifiedKeyRecords,
        keys: Keys,
        authorities: Authorities,
        status: Status,
        audit: AuditLog,
        certification: KeyCertification,
        user: KeyUser,
        timers: Timers,
        words: Words,
        grace: timedelta,
    ) -> None:
        """``grace`` is for the keys of holders that are wanted no more, from the end of their certificates."""
        self._wanted = wanted
        self._clock = clock
        self._database = database
        self._table = records
        self._keys = keys
        self._authorities = authorities
        self._status = status
        self._audit = audit
        self._certification = certification
        self._user = user
        self._words = words
        self._grace = grace
        self._polling = Polling(timers, self._turn, interval=POLL_INTERVAL, what=f"the {words.things}")
        self._looking = DeferredLock()
        self._ids: frozenset[str] | None = None
        self._records: Sequence[CertifiedKey] = ()
        self._current: dict[str, CertifiedKey] = {}
        self._newest: dict[str, CertifiedKey] = {}
        self._unfit: set[str] = set()
        self._making: dict[str, Deferred[None]] = {}
        self._retry_at: dict[str, tuple[datetime, timedelta]] = {}
        self._stopped = False

    def start(self) -> None:
        """Look at the store now and every second from now on."""
        if self._wanted:
            self._polling.start()
            Deferred.fromCoroutine(self._first_turn())

    def stop(self) -> Deferred[None]:
        """Begin nothing more; fires when no key is being made."""
        self._stopped = True
        self._polling.stop()
        ended = DeferredList([_quiet(making) for making in self._making.values()])
        return ended.addCallback(lambda _: None)

    async def look(self) -> None:
        """Look at the store now; raises Unavailable."""
        await self._follow()

    async def renew(self, holders: Sequence[str] | None = None) -> None:
        """Make the successors that are due, or those of ``holders`` in any case, and destroy keys whose grace is over.

        Goes through all holders whatever fails, and raises Unavailable at the end if anything did.
        """
        await self._follow()
        failed: list[str] = []
        for holder, wanted in self._wanted.items():
            is_asked = holders is not None and holder in holders
            if is_asked or (holders is None and await self._is_due(holder, wanted)):
                await self._begin_to_make(holder)
                if holder in self._retry_at:
                    failed.append(holder)
                if is_asked and not await self._is_due(holder, wanted):  # so that nothing will be tried again
                    self._retry_at.pop(holder, None)
                    self._user.note(holder, "")
        failed += await self._destroy_left_keys()
        if failed:
            raise Unavailable(f"{self._words.things} were not renewed", detail=", ".join(failed))

    async def _first_turn(self) -> None:
        try:
            await self._turn()
        except Refused:  # the polling goes on, and has its own words for it
            pass
        except Exception:
            self._log.failure("the {things} cannot be read", things=self._words.things)

    async def _turn(self) -> None:
        try:
            await self._follow()
        except BaseException as error:
            reason = error.reason if isinstance(error, Refused) else "the log says why"
            for holder in self._wanted.keys() - self._current.keys():
                self._user.note(holder, f"its key and certificate cannot be read: {reason}")
            raise
        for holder, wanted in self._wanted.items():
            if holder not in self._making and await self._is_urgent(holder, wanted):
                self._begin_to_make(holder)

    async def _follow(self) -> None:
        """Read what any node has made, and let each holder use the best of it."""
        async with self._looking:  # or what was read earlier could be told later
            ids = await self._database.read(self._table.read_ids)
            if ids != self._ids:
                self._records = await self._database.read(self._table.read)
                self._ids = ids
            good = [record for record in self._records if await self._is_good(record)]
            for holder, wanted in self._wanted.items():
                await self._choose(holder, wanted, [record for record in good if record.holder == holder])
            self._user.changed(self._current, good)

    async def _choose(self, holder: str, wanted: Wanted, good: Sequence[CertifiedKey]) -> None:
        """Take the newest that fits; one that was made for other terms only while there is no other."""
        now = self._clock.now()
        usable = [record for record in good if record.not_before <= now < record.not_after]
        authority = await self._authority(wanted)
        fitting = [record for record in usable if _fits(wanted, record, authority)]
        self._current.pop(holder, None)
        self._newest.pop(holder, None)
        self._unfit.discard(holder)
        if not usable:
            return
        self._newest[holder] = (fitting or usable)[0]
        if not fitting:
            self._unfit.add(holder)
        settled = [record for record in usable if record.created_at + wanted.settling <= now]
        # While none has settled, the eldest: other nodes have had most time to hear of that one.
        best = [record for record in settled if record in fitting] or settled or (fitting or usable)[-1:]
        self._current[holder] = best[0]

    async def _is_good(self, record: CertifiedKey) -> bool:
        serial = record.certificate.serial_number
        status = self._status.cached(record.authority_id, serial)
        if status is None:
            try:
                status = await self._status.status(record.authority_id, serial)
            except Refused:  # the store is away: what was good a second ago is used on
                return True
        return status is None or status.state not in (CertificateState.REVOKED, CertificateState.HELD)

    async def _authority(self, wanted: Wanted) -> Authority | None:
        try:
            return await self._authorities.get(wanted.terms.ca)
        except NotFound:
            return None  # making a key says so

    async def _is_urgent(self, holder: str, wanted: Wanted) -> bool:
        now = self._clock.now()
        retry_at, _ = self._retry_at.get(holder, (now, FIRST_RETRY))
        if retry_at > now or not await self._is_ca_open(holder, wanted):
            return False
        record = self._newest.get(holder)
        if record is None or holder in self._unfit:
            return True
        return now >= record.last_tenth and await self._may_last_longer(wanted, record)

    async def _is_due(self, holder: str, wanted: Wanted) -> bool:
        record = self._newest.get(holder)
        if record is None or self._clock.now() < takes_over_at(wanted, record):
            return False
        if not await self._is_ca_open(holder, wanted):
            return False
        # What ends with its CA gets no longer successor, but its key may have to be replaced all the same.
        return wanted.has_lifetime or await self._may_last_longer(wanted, record)

    async def _is_ca_open(self, holder: str, wanted: Wanted) -> bool:
        """Whether the CA issues at all; a disabled one is no failure, and is asked again once it is enabled."""
        authority = await self._authority(wanted)
        if authority is None or authority.state is AuthorityState.ACTIVE:
            return True
        if holder not in self._current:
            self._user.note(holder, f"{authority.reference} is {authority.state.value}")
        return False

    async def _may_last_longer(self, wanted: Wanted, record: CertifiedKey) -> bool:
        """Whether the CA could give a certificate that ends later."""
        authority = await self._authority(wanted)
        if authority is None:
            return True
        return authority.certificate is not None and record.not_after < authority.certificate.not_valid_after_utc

    def _begin_to_make(self, holder: str) -> Deferred[None]:
        """Make the holder's next key, unless that is going on; fires when it has ended, well or not."""
        making = self._making.get(holder)
        if making is None:
            if self._stopped:
                return succeed(None)
            making = Deferred.fromCoroutine(self._make(holder))
            if not making.called:
                self._making[holder] = making
                making.addBoth(self._ended, holder)
        return _quiet(making)

    def _ended(self, _: object, holder: str) -> None:
        del self._making[holder]

    async def _make(self, holder: str) -> None:
        """Make the successor; what hinders shows in the log and in health."""
        words = self._words
        try:
            await self._certification.make(holder, self._wanted[holder].terms, is_needed=self._is_newest(holder))
            await self._follow()
        except Refused as refusal:
            self._failed(holder, refusal.reason, LONGEST_WAIT if isinstance(refusal, Unavailable) else LONGEST_RETRY)
            self._log.error(
                "{what} {holder} gets no certificate: {reason}",
                what=words.what,
                holder=holder,
                reason=refusal.reason,
                detail=refusal.detail,
            )
        except Exception:
            self._failed(holder, "the log says why", LONGEST_RETRY)
            self._log.failure("{what} {holder} gets no certificate", what=words.what, holder=holder)
        else:
            self._retry_at.pop(holder, None)

    def _is_newest(self, holder: str) -> Callable[[Connection], bool]:
        """Whether nobody has made a key since this node looked."""
        known = {record.id for record in self._records}
        terms = self._wanted[holder].terms.digest

        def is_needed(connection: Connection) -> bool:
            made = self._table.read(connection, holder)
            return all(record.id in known or record.terms != terms for record in made)

        return is_needed

    def _failed(self, holder: str, reason: str, longest: timedelta) -> None:
        _, wait = self._retry_at.get(holder, (None, FIRST_RETRY))
        self._retry_at[holder] = (self._clock.now() + wait, min(2 * wait, longest))
        self._user.note(holder, f"it gets no certificate: {reason}")

    async def _destroy_left_keys(self) -> Sequence[str]:
        """Destroy the keys that have a successor since their grace, or ended; give those that failed."""
        now = self._clock.now()
        failed = []
        newest: dict[str, datetime] = {}
        in_use = {record.id for record in (*self._current.values(), *self._newest.values())}
        for record in await self._database.read(self._table.read):
            wanted = self._wanted.get(record.holder)
            grace = self._grace if wanted is None else wanted.grace
            successor = newest.get(record.holder)  # the one that came after; the newest comes first
            newest[record.holder] = record.created_at
            is_left = successor is not None and successor + grace <= now and record.id not in in_use
            if is_left or (successor is None and record.not_after + grace <= now):
                try:
                    await self._destroy(record)
                except Refused:
                    self._log.failure(
                        "could not destroy the key {key} of {holder}", key=str(record.key), holder=record.holder
                    )
                    failed.append(str(record.key))
        return failed

    async def _destroy(self, record: CertifiedKey) -> None:
        with suppress(NotFound):  # an earlier turn deleted the key and could not take the row away
            await self._keys.delete(record.key)

        def forget(connection: Connection) -> None:
            if self._table.forget(connection, record.id):
                self._audit.append(connection, key_event("destroyed", record, self._words))

        await self._database.write(forget)


def takes_over_at(wanted: Wanted, record: CertifiedKey) -> datetime:
    """When the successor of a key should be made: as conf says, within nine tenths of its life."""
    return min(wanted.successor_at(record), record.last_tenth)


def _fits(wanted: Wanted, record: CertifiedKey, authority: Authority | None) -> bool:
    if record.terms != wanted.terms.digest:
        return False
    if not wanted.follows_ca_key or authority is None or authority.certificate is None:
        return True
    [issuer, *_] = record.chain
    return issuer.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ) == authority.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _quiet(making: Deferred[None]) -> Deferred[None]:
    ended: Deferred[None] = Deferred()
    making.addBoth(lambda _: ended.callback(None))
    return ended


__all__ = ["CertifiedKeys", "KeyUser", "takes_over_at"]
