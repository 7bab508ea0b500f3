"""The units of issuers with ``certification``: followed in the store, made, renewed and at last destroyed.

One node makes a unit; all follow the store and sign with it within a second. An issuer that has none gets one at once,
whichever node sees that first. A successor takes over when ``key_lifetime`` is over, or half the life of the
certificate: the job ``tsp-renew-certificates`` makes it. Should nobody run that job, the last tenth of the life counts
as an emergency in which any node makes the successor.

RFC 3161, 4 wants a key gone as soon as it signs no more. All nodes have left it a second after its successor was made;
it is destroyed by the first run of the job after :data:`GRACE`, which spares a node that lost the store for a while.
Its certificate stays among the certificates of its CA, good until it ends, and so do the tokens it signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from cspd.audit.events import AuditLog
from cspd.authority.interfaces import Authorities, Status
from cspd.authority.polling import Polling, Timers
from cspd.authority.values import CAReference, CertificateState
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.refusals import NotFound, Refused, Unavailable
from cspd.store.interfaces import Database
from protocols.tsp.certification import UnitCertification, terms_of, unit_destroyed
from protocols.tsp.config import CertificationConfig
from protocols.tsp.interfaces import TimeStampUnit
from protocols.tsp.unit_checks import EXPIRY_WARNING, signs_until
from protocols.tsp.unit_keys import public_key_of
from protocols.tsp.unit_records import UnitRecord, forget_unit, read_unit_ids, read_units
from protocols.tsp.units import Units

POLL_INTERVAL = 1.0
"""Seconds between two looks at the store."""
GRACE = timedelta(hours=1)
"""How long the key of a unit outlives the making of its successor."""
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(minutes=10)
"""Between two attempts to make a unit; each wait is twice as long as the one before."""


class CertifiedUnits:
    """Keeps the issuers with ``certification`` able to sign."""

    _log = Logger()

    def __init__(
        self,
        issuers: Mapping[str, CertificationConfig],
        *,
        clock: Clock,
        database: Database,
        keys: Keys,
        authorities: Authorities,
        status: Status,
        audit: AuditLog,
        certification: UnitCertification,
        units: Units,
        timers: Timers,
    ) -> None:
        self._issuers = issuers
        self._terms = {issuer: terms_of(config) for issuer, config in issuers.items()}
        self._clock = clock
        self._database = database
        self._keys = keys
        self._authorities = authorities
        self._status = status
        self._audit = audit
        self._certification = certification
        self._units = units
        self._polling = Polling(timers, self._turn, interval=POLL_INTERVAL, what="the time-stamp units")
        self._ids: frozenset[str] | None = None
        self._records: Sequence[UnitRecord] = ()
        self._current: dict[str, UnitRecord] = {}
        self._making: dict[str, Deferred[None]] = {}
        self._retry_at: dict[str, tuple[datetime, timedelta]] = {}
        self._stopped = False

    def start(self) -> None:
        """Look at the store now and every second from now on."""
        if self._issuers:
            self._polling.start()
            Deferred.fromCoroutine(self._first_turn())

    def stop(self) -> Deferred[None]:
        """Begin nothing more; fires when no unit is being made."""
        self._stopped = True
        self._polling.stop()
        ended = DeferredList([_quiet(making) for making in self._making.values()])
        return ended.addCallback(lambda _: None)

    async def renew(self) -> None:
        """Make the successors that are due and destroy keys that sign no more; a job runs it.

        Goes through all issuers whatever fails, and raises Unavailable at the end if anything did.
        """
        await self._follow()
        failed: list[str] = []
        for issuer, config in self._issuers.items():
            record = self._current.get(issuer)
            if record is not None and await self._is_due(config, record):
                await self._begin_to_make(issuer)
                if issuer in self._retry_at:
                    failed.append(issuer)
        failed += await self._destroy_left_keys()
        if failed:
            raise Unavailable("time-stamp units were not renewed", detail=", ".join(failed))

    async def _first_turn(self) -> None:
        try:
            await self._turn()
        except Refused:  # the polling goes on, and has its own words for it
            pass
        except Exception:
            self._log.failure("the time-stamp units cannot be read")

    async def _turn(self) -> None:
        try:
            await self._follow()
        except BaseException as error:
            reason = error.reason if isinstance(error, Refused) else "the log says why"
            for issuer in self._issuers.keys() - self._current.keys():
                self._units.note(issuer, f"its unit cannot be read: {reason}")
            raise
        for issuer, config in self._issuers.items():
            if issuer not in self._making and await self._is_urgent(issuer, config):
                self._begin_to_make(issuer)

    async def _follow(self) -> None:
        """Read what any node has made, and let each issuer sign with the best of it."""
        ids = await self._database.read(read_unit_ids)
        if ids != self._ids:
            self._records = await self._database.read(lambda connection: read_units(connection, self._issuers))
            self._ids = ids
        for issuer in self._issuers:
            record = await self._best(issuer)
            if record is None:
                if self._current.pop(issuer, None) is not None:
                    self._units.take_away(issuer, "its certificate ended or was revoked")
            elif self._current.get(issuer) != record:
                self._current[issuer] = record
                warning = min(EXPIRY_WARNING, (record.not_after - record.created_at) / 20)
                self._units.put(issuer, _unit(record), warning=warning)
                self._log.info(
                    "time-stamp issuer {issuer} signs with the key {key}", issuer=issuer, key=str(record.key)
                )

    async def _best(self, issuer: str) -> UnitRecord | None:
        """The newest that may sign; one that was made for other terms only while there is no other."""
        now = self._clock.now()
        usable = [
            record
            for record in self._records
            if record.issuer == issuer and record.not_before <= now < record.not_after and await self._is_good(record)
        ]
        fitting = [record for record in usable if record.terms == self._terms[issuer]]
        return next(iter(fitting or usable), None)

    async def _is_good(self, record: UnitRecord) -> bool:
        serial = x509.load_der_x509_certificate(record.certificate_der).serial_number
        status = self._status.cached(record.authority_id, serial)
        if status is None:
            try:
                status = await self._status.status(record.authority_id, serial)
            except Refused:  # the store is away: what was good a second ago signs on
                return True
        return status is None or status.state not in (CertificateState.REVOKED, CertificateState.HELD)

    async def _is_urgent(self, issuer: str, config: CertificationConfig) -> bool:
        now = self._clock.now()
        retry_at, _ = self._retry_at.get(issuer, (now, FIRST_RETRY))
        if retry_at > now:
            return False
        record = self._current.get(issuer)
        if record is None or record.terms != self._terms[issuer]:
            return True
        return now >= _last_tenth(record) and await self._may_last_longer(config, record)

    async def _is_due(self, config: CertificationConfig, record: UnitRecord) -> bool:
        if self._clock.now() < takes_over_at(config, record):
            return False
        # What ends with its CA gets no longer successor, but its key may have to be replaced all the same.
        return config.key_lifetime is not None or await self._may_last_longer(config, record)

    async def _may_last_longer(self, config: CertificationConfig, record: UnitRecord) -> bool:
        """Whether the CA could give a certificate that ends later."""
        try:
            authority = await self._authorities.get(CAReference.parse(config.ca))
        except NotFound:
            return True  # making one says so
        return authority.certificate is not None and record.not_after < authority.certificate.not_valid_after_utc

    def _begin_to_make(self, issuer: str) -> Deferred[None]:
        """Make the issuer's next unit, unless that is going on; fires when it has ended, well or not."""
        making = self._making.get(issuer)
        if making is None:
            if self._stopped:
                return succeed(None)
            making = Deferred.fromCoroutine(self._make(issuer))
            if not making.called:
                self._making[issuer] = making
                making.addBoth(self._ended, issuer)
        return _quiet(making)

    def _ended(self, _: object, issuer: str) -> None:
        del self._making[issuer]

    async def _make(self, issuer: str) -> None:
        """Make the successor; what hinders shows in the log and in health."""
        try:
            await self._certification.make(issuer, self._issuers[issuer], is_needed=self._is_newest(issuer))
            await self._follow()
        except Refused as refusal:
            self._failed(issuer, refusal.reason)
            self._log.error(
                "time-stamp issuer {issuer} gets no certificate: {reason}",
                issuer=issuer,
                reason=refusal.reason,
                detail=refusal.detail,
            )
        except Exception:
            self._failed(issuer, "the log says why")
            self._log.failure("time-stamp issuer {issuer} gets no certificate", issuer=issuer)
        else:
            self._retry_at.pop(issuer, None)

    def _is_newest(self, issuer: str) -> Callable[[Connection], bool]:
        """Whether nobody has made a unit since this node looked."""
        known = {record.id for record in self._records}
        terms = self._terms[issuer]

        def is_needed(connection: Connection) -> bool:
            made = read_units(connection, [issuer])
            return all(record.id in known or record.terms != terms for record in made)

        return is_needed

    def _failed(self, issuer: str, reason: str) -> None:
        _, wait = self._retry_at.get(issuer, (None, FIRST_RETRY))
        self._retry_at[issuer] = (self._clock.now() + wait, min(2 * wait, LONGEST_RETRY))
        self._units.note(issuer, f"it gets no certificate: {reason}")

    async def _destroy_left_keys(self) -> Sequence[str]:
        """Destroy the keys of units that have a successor since :data:`GRACE`, or ended; give those that failed."""
        now = self._clock.now()
        failed = []
        newest: dict[str, datetime] = {}
        in_use = {record.id for record in self._current.values()}
        for record in await self._database.read(read_units):
            successor = newest.setdefault(record.issuer, record.created_at)  # the newest comes first
            is_left = successor > record.created_at and successor + GRACE <= now and record.id not in in_use
            if is_left or record.not_after + GRACE <= now:
                try:
                    await self._destroy(record)
                except Refused:
                    self._log.failure("could not destroy the key {key} of a time-stamp unit", key=str(record.key))
                    failed.append(str(record.key))
        return failed

    async def _destroy(self, record: UnitRecord) -> None:
        with suppress(NotFound):  # an earlier turn deleted the key and could not take the row away
            await self._keys.delete(record.key)

        def forget(connection: Connection) -> None:
            if forget_unit(connection, record.id):
                self._audit.append(connection, unit_destroyed(record))

        await self._database.write(forget)


def takes_over_at(config: CertificationConfig, record: UnitRecord) -> datetime:
    """When the successor of a unit should sign: after ``key_lifetime`` or half its life, within nine tenths of it."""
    lifetime = config.key_lifetime or (record.not_after - record.created_at) / 2
    return min(record.created_at + lifetime, _last_tenth(record))


def _last_tenth(record: UnitRecord) -> datetime:
    return record.not_after - (record.not_after - record.created_at) / 10


def _unit(record: UnitRecord) -> TimeStampUnit:
    certificate = x509.load_der_x509_certificate(record.certificate_der)
    chain = x509.load_pem_x509_certificates(record.chain_pem.encode("ascii"))
    return TimeStampUnit(
        key=record.key,
        public_key=public_key_of(certificate),
        certificate=certificate,
        certificate_der=record.certificate_der,
        chain_der=tuple(each.public_bytes(Encoding.DER) for each in chain),
        sign_until=signs_until(certificate, chain),
    )


def _quiet(making: Deferred[None]) -> Deferred[None]:
    ended: Deferred[None] = Deferred()
    making.addBoth(lambda _: ended.callback(None))
    return ended


__all__ = ["CertifiedUnits", "takes_over_at"]
