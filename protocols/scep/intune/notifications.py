"""Tells Intune what became of the requests that it validated, until it has heard (R-CEG-075, R-CEGI-112).

certificate stored        its notification is stored in the same transaction
answer is on its way      sent by the process that issued, at once
no confirmation           a job of any node sends it again: after half a minute, then after twice as long each time, at
                          most an hour, for GIVE_UP_AFTER; a process that died in between only delays it
Intune does not take it   given up at once, as after GIVE_UP_AFTER: an error in the log, an event in the audit trail

Intune may hear of a certificate twice, and of a transaction that failed and then succeeded in this order only.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authority.interfaces import Authorities, CertificateStore
from cspd.clock import Clock
from cspd.health import Health, HealthState
from cspd.refusals import NotFound, Refused, Unavailable
from cspd.store.interfaces import Database
from cspd.x509.names import format_name
from protocols.scep.interfaces import RequestForCertificate
from protocols.scep.intune import notification_rows as rows
from protocols.scep.intune.interfaces import IntuneService
from protocols.scep.intune.notification_rows import Notification
from protocols.scep.intune.values import (
    MAX_DESCRIPTION,
    HResult,
    IntuneCode,
    IssuedNotice,
    RefusedByIntune,
    RefusedNotice,
)

FIRST_CLAIM = timedelta(seconds=30)
"""How long the process that issued has to send it, before a job of any node does."""
CLAIM = timedelta(minutes=3)
"""The same for a job: longer than any request may take."""
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=72)
AT_ONCE = 20
"""Sent at the same time by a process, beside its job; what is more is left to the job."""
BATCH = 100
LATE = timedelta(minutes=15)
"""From when on waiting notifications are told as a fault."""


class Notifications:
    """Keeps and sends them, for all CAs of ``services``."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        database: Database,
        audit: AuditLog,
        authorities: Authorities,
        certificates: CertificateStore,
        services: Mapping[str, IntuneService],
    ) -> None:
        """``services`` are by the name of their CA."""
        self._clock = clock
        self._random = random
        self._database = database
        self._audit = audit
        self._authorities = authorities
        self._certificates = certificates
        self._services = services
        self._running: set[Deferred[Any]] = set()
        self._waiting = 0
        self._waiting_since: datetime | None = None

    def record_issued(
        self, connection: Connection, request: RequestForCertificate, authority_id: str, serial: int
    ) -> None:
        """Runs in the transaction that stores the certificate."""
        now = self._clock.now()
        rows.add_issued(
            connection,
            Notification(
                id=self._new_id(),
                ca=str(request.terms.ca),
                transaction_id=request.transaction_id,
                csr_der=request.csr_der,
                authority_id=authority_id,
                serial=serial,
                next_attempt_at=now + FIRST_CLAIM,
                created_at=now,
            ),
        )

    def send_issued(self, request: RequestForCertificate, serial: int) -> None:
        """Begin to send what :meth:`record_issued` has stored."""
        self._begin(self._send_issued(str(request.terms.ca), serial))

    async def record_refused(self, request: RequestForCertificate, reason: str) -> None:
        """Keep that a request that Intune had validated was refused, and begin to say so; raises Unavailable."""
        now = self._clock.now()
        notification = Notification(
            id=self._new_id(),
            ca=str(request.terms.ca),
            transaction_id=request.transaction_id,
            csr_der=request.csr_der,
            reason=reason[:MAX_DESCRIPTION],
            next_attempt_at=now + FIRST_CLAIM,
            created_at=now,
        )
        await self._database.write(lambda connection: rows.add(connection, notification))
        self._begin(self._attempt(notification))

    def tell_once(self, request: RequestForCertificate, result: HResult, description: str) -> None:
        """Begin to tell that a request failed that Intune has not validated.

        Nothing of it is kept: anybody can make such requests.
        """
        notice = RefusedNotice(
            transaction_id=request.transaction_id, csr_der=request.csr_der, result=result, description=description
        )
        self._begin(self._tell_once(self._services[str(request.terms.ca)], notice))

    async def run(self) -> None:
        """Send what is due: for a job. An Intune that does not answer is asked once in a run."""
        now, cas = self._clock.now(), set(self._services)
        while batch := await self._due(cas, now):
            for notification in batch:
                is_ours = notification.ca in cas and await self._claimed(notification)
                if is_ours and not await self._is_answered(notification):
                    cas.discard(notification.ca)
        self._waiting, self._waiting_since = await self._database.read(
            lambda connection: rows.oldest(connection, tuple(self._services))
        )

    def health(self) -> Health:
        """Whether Intune hears what it should, as the job has last seen it."""
        since = self._waiting_since
        if since is None or self._clock.now() < since + LATE:
            return Health(part="scep-intune-notifications", state=HealthState.OK)
        reason = f"Intune has not been told of {self._waiting} outcomes, the oldest of {since:%Y-%m-%d %H:%M} UTC"
        return Health(part="scep-intune-notifications", state=HealthState.DEGRADED, reason=reason)

    def stop(self) -> Deferred[None]:
        """Send no more; what is on its way is sent again by a job of whoever goes on."""
        running = tuple(self._running)
        for each in running:
            each.cancel()
        return DeferredList(running).addCallback(lambda _: None)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        if len(self._running) >= AT_ONCE:
            work.close()
            return
        running = Deferred.fromCoroutine(work)
        self._running.add(running)
        running.addBoth(self._ended, running)

    def _ended(self, result: Any, running: Deferred[Any]) -> None:
        self._running.discard(running)
        if isinstance(result, Failure) and not isinstance(result.value, CancelledError):
            self._log.failure("a notification of Intune ended unexpectedly", failure=result)

    async def _send_issued(self, ca: str, serial: int) -> None:
        try:
            notification = await self._database.read(lambda connection: rows.find(connection, ca, serial))
        except Unavailable:
            return
        if notification is not None:
            await self._attempt(notification)

    async def _tell_once(self, service: IntuneService, notice: RefusedNotice) -> None:
        try:
            await service.tell_refused(notice)
        except (RefusedByIntune, Unavailable) as error:
            self._log.info(
                "Intune was not told that transaction {transaction} failed: {reason}",
                transaction=notice.transaction_id,
                reason=str(error),
            )

    async def _due(self, cas: Collection[str], now: datetime) -> Sequence[Notification]:
        return await self._database.read(lambda connection: rows.due(connection, tuple(cas), now, BATCH))

    async def _is_answered(self, notification: Notification) -> bool:
        try:
            return await self._attempt(notification)
        except Exception:  # the others must not wait for what is wrong with one
            self._log.failure("unexpected error in telling Intune", transaction=notification.transaction_id)
            return True

    async def _claimed(self, notification: Notification) -> bool:
        until = self._clock.now() + CLAIM
        return await self._database.write(lambda connection: rows.claim(connection, notification, until))

    async def _attempt(self, notification: Notification) -> bool:
        """Send it, and note what came of it; whether Intune answered."""
        try:
            await self._tell(notification)
        except RefusedByIntune as refusal:
            if refusal.code is IntuneCode.UNKNOWN:
                await self._postpone(notification, str(refusal))
            else:
                await self._give_up(notification, f"Intune does not take it: {refusal}")
        except NotFound as refusal:
            await self._give_up(notification, refusal.reason)
        except Unavailable as error:
            await self._postpone(notification, error.detail or error.reason)
            return False
        else:
            await self._write(lambda connection: rows.remove(connection, notification))
        return True

    async def _tell(self, notification: Notification) -> None:
        service = self._services[notification.ca]
        if notification.authority_id is None or notification.serial is None:
            await service.tell_refused(
                RefusedNotice(
                    transaction_id=notification.transaction_id,
                    csr_der=notification.csr_der,
                    result=HResult.NOT_ISSUED,
                    description=notification.reason or "no certificate was issued",
                )
            )
            return
        authority = await self._authorities.by_id(notification.authority_id)
        record = await self._certificates.find(notification.authority_id, notification.serial)
        if record.certificate_der is None:
            raise NotFound("the certificate is not stored")
        await service.tell_issued(
            IssuedNotice(
                transaction_id=notification.transaction_id,
                csr_der=notification.csr_der,
                certificate_der=record.certificate_der,
                serial=record.serial,
                not_after=record.not_after,
                issuer=format_name(authority.subject),
            )
        )

    async def _postpone(self, notification: Notification, reason: str) -> None:
        now = self._clock.now()
        if now >= notification.created_at + GIVE_UP_AFTER:
            await self._give_up(notification, reason)
            return
        pause = min(FIRST_CLAIM * 2 ** min(notification.attempts, 10), LONGEST_PAUSE)
        self._log.warn(
            "Intune was not told of transaction {transaction} of {ca}: {reason}; again in {seconds} s",
            transaction=notification.transaction_id,
            ca=notification.ca,
            reason=reason,
            seconds=int(pause.total_seconds()),
        )
        await self._write(lambda connection: rows.postpone(connection, notification, now + pause))

    async def _give_up(self, notification: Notification, reason: str) -> None:
        serial = None if notification.serial is None else format(notification.serial, "x")
        self._log.error(
            "Intune will not be told of transaction {transaction} of {ca} (certificate {serial}): {reason}",
            transaction=notification.transaction_id,
            ca=notification.ca,
            serial=serial,
            reason=reason,
        )
        event = AuditEvent(
            event="intune-notification-abandoned",
            actor="intune:cspd",
            outcome=Outcome.FAILED,
            fields={
                "ca": notification.ca,
                "transaction": notification.transaction_id,
                "serial": serial,
                "reason": reason,
            },
        )

        def work(connection: Connection) -> None:
            rows.remove(connection, notification)
            self._audit.append(connection, event)

        await self._write(work)

    async def _write(self, work: Any) -> None:
        """What cannot be written now is found by the job as it was, and sent again."""
        try:
            await self._database.write(work)
        except Refused as refusal:
            self._log.warn("what became of a notification of Intune is not stored: {reason}", reason=refusal.reason)

    def _new_id(self) -> str:
        return self._random.randbytes(16).hex()
