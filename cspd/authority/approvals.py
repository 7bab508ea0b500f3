"""Certificates that an administrator has to approve before they are issued.

::

    client: enroll(request)            -> Pending      the request is kept, WAITING
    administrator: approve(id)         -> Issued       APPROVED, then the pipeline runs, ISSUED
    client: enroll(the same request)   -> Issued       or outcome(id), where the protocol has an identifier of its own

A client knows its request by sending it again (EST, RFC 7030, 4.2.3) or by the id (CMP, SCEP); both find one row, on
any node. The certificate and the row's ISSUED are one transaction, so that whatever dies in between no request gets two
certificates. A denial stays until the request expires, so that a client that asks again hears it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from sqlalchemy import Connection, insert

from cspd.audit.events import AuditEvent, AuditLog, Outcome
from cspd.authority.approval_rows import (
    KeptRequest,
    RequestState,
    columns_of,
    count_waiting,
    delete_expired,
    find_by_digest,
    find_by_id,
    list_requests,
    move,
)
from cspd.authority.chains import issued_of
from cspd.authority.interfaces import Authorities, CertificateStore, Issuance
from cspd.authority.request_encoding import digest_of
from cspd.authority.requests import read_request
from cspd.authority.values import EnrollmentRequest, Issued, Pending, Requester
from cspd.clock import Clock
from cspd.jobs.values import Job
from cspd.refusals import Conflict, Forbidden, NotFound, Refused, Unavailable
from cspd.store.interfaces import Database
from cspd.store.tables import enrollment_requests
from cspd.x509.general_names import text_of
from cspd.x509.names import format_name

MAX_WAITING = 10_000
"""Requests that wait at one time: anybody who may enroll may fill this list, and nobody reads a longer one."""

KeptWith = Callable[[Connection, str], None]
"""Runs in the transaction that keeps a request, with its id: what belongs to it becomes durable with it or not at all.
May raise Conflict, and then the request is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTerms:
    """How a protocol lets its clients wait."""

    retry_after: timedelta
    """When a client should ask again."""
    lifetime: timedelta
    """How long a request is kept, and its certificate handed out for it."""


class Approvals:
    """Keeps requests until somebody decides; ``issuance`` issues what was approved."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        database: Database,
        authorities: Authorities,
        certificates: CertificateStore,
        issuance: Issuance,
        audit: AuditLog,
    ) -> None:
        self._clock = clock
        self._random = random
        self._database = database
        self._authorities = authorities
        self._certificates = certificates
        self._issuance = issuance
        self._audit = audit

    async def enroll(
        self,
        request: EnrollmentRequest,
        terms: ApprovalTerms,
        *,
        kept_with: KeptWith | None = None,
        transaction: str = "",
    ) -> Issued | Pending:
        """Keep the request, or say what became of it.

        What the pipeline would refuse is refused at once. Raises that, Forbidden for a denied request, Conflict when
        too many wait, and Unavailable. ``kept_with`` runs once, when the request is kept. The same request in another
        ``transaction`` is another one.
        """
        digest = digest_of(request, transaction)
        now = self._clock.now()
        kept = await self._database.read(lambda connection: find_by_digest(connection, digest, now))
        if kept is None:
            await self._issuance.check(request)
            kept = await self._keep(request, digest, terms, kept_with)
        return await self._answer(kept, terms)

    async def outcome(self, id: str, terms: ApprovalTerms) -> Issued | Pending:
        """What became of a kept request; raises NotFound for an unknown or expired one, and as :meth:`enroll`."""
        return await self._answer(await self.find(id), terms)

    async def find(self, id: str) -> KeptRequest:
        """A kept request; raises NotFound."""
        now = self._clock.now()
        kept = await self._database.read(lambda connection: find_by_id(connection, id, now))
        if kept is None:
            raise NotFound(f"there is no request {id[:40]!r}", code="no-such-request")
        return kept

    async def list(self, *, state: RequestState | None = None, limit: int = 100) -> Sequence[KeptRequest]:
        """The requests that are kept, the oldest first."""
        now = self._clock.now()
        return await self._database.read(lambda connection: list_requests(connection, state, limit, now))

    async def approve(self, id: str, by: Requester) -> Issued:
        """Approve a waiting request and issue its certificate.

        Raises NotFound, Conflict for one that was decided before, what the pipeline refuses (then the request is over),
        and Unavailable (then it stays approved, and the client's next question tries again).
        """
        await self._decide(id, RequestState.APPROVED, by, None)
        return await self._issue(await self.find(id))

    async def deny(self, id: str, by: Requester, reason: str) -> None:
        """Deny a waiting request; the client is told the reason. Raises NotFound, Conflict."""
        await self._decide(id, RequestState.DENIED, by, reason)

    async def _answer(self, kept: KeptRequest, terms: ApprovalTerms) -> Issued | Pending:
        if kept.state is RequestState.APPROVED:  # whoever approved it could not issue it
            return await self._issue(kept)
        if kept.state is RequestState.ISSUED:
            return await self._issued(kept)
        if kept.state is RequestState.WAITING:
            return Pending(request_id=kept.id, retry_after=terms.retry_after)
        raise Forbidden(kept.reason or "the request was denied", code="request-denied")

    async def _keep(
        self, request: EnrollmentRequest, digest: str, terms: ApprovalTerms, kept_with: KeptWith | None
    ) -> KeptRequest:
        now = self._clock.now()
        asked = read_request(request)
        kept = KeptRequest(
            id=self._random.randbytes(16).hex(),
            request=request,
            subject=format_name(asked.subject),
            names=tuple(text_of(name) for name in asked.subject_alt_names),
            state=RequestState.WAITING,
            received_at=now,
            expires_at=now + terms.lifetime,
        )
        event = AuditEvent(
            event="enrollment-request-received",
            actor=f"{request.requester.protocol}:{request.requester.identity}",
            fields={**_facts(kept), "address": request.requester.address, "request_id": request.requester.request_id},
        )

        def keep(connection: Connection) -> KeptRequest:
            other = find_by_digest(connection, digest, now)  # of a client that was impatient
            if other is not None:
                return other
            if count_waiting(connection, now) >= MAX_WAITING:
                raise Conflict(f"{MAX_WAITING} requests wait for approval already", code="too-many-requests")
            connection.execute(insert(enrollment_requests), columns_of(kept, digest))
            if kept_with is not None:
                kept_with(connection, kept.id)
            self._audit.append(connection, event)
            return kept

        return await self._database.write(keep)

    async def _decide(self, id: str, state: RequestState, by: Requester, reason: str | None) -> None:
        kept = await self.find(id)
        now = self._clock.now()
        event = AuditEvent(
            event=f"enrollment-request-{state.value}",
            actor=f"{by.protocol}:{by.identity}",
            fields={**_facts(kept), "reason": reason, "request_id": by.request_id},
        )

        def decide(connection: Connection) -> None:
            changed = move(
                connection,
                kept.id,
                RequestState.WAITING,
                state,
                decided_by=f"{by.protocol}:{by.identity}",
                decided_at=now,
                reason=reason,
            )
            if not changed:
                raise Conflict("the request was decided before", code="request-decided")
            self._audit.append(connection, event)

        await self._database.write(decide)

    async def _issue(self, kept: KeptRequest) -> Issued:
        def recorded(connection: Connection, authority_id: str, serial: int) -> None:
            issued = move(
                connection,
                kept.id,
                RequestState.APPROVED,
                RequestState.ISSUED,
                authority_id=authority_id,
                serial=serial,
            )
            if not issued:
                raise Conflict("the request has its certificate already", code="request-issued")

        try:
            issued = await self._issuance.enroll(kept.request, recorded=recorded)
        except Unavailable:
            raise
        except Refused as refusal:
            if refusal.refusal_code == "request-issued":  # another node was quicker
                return await self._issued(await self.find(kept.id))
            await self._end(kept, refusal)
            raise
        assert isinstance(issued, Issued)
        return issued

    async def _end(self, kept: KeptRequest, refusal: Refused) -> None:
        """The pipeline refuses what it would have granted when the request came: the CA or the profile has changed."""
        reason = refusal.reason
        event = AuditEvent(
            event="enrollment-request-refused",
            actor="cspd:approvals",
            outcome=Outcome.REFUSED,
            fields={**_facts(kept), "reason": reason},
        )

        def end(connection: Connection) -> None:
            if move(connection, kept.id, RequestState.APPROVED, RequestState.REFUSED, reason=reason):
                self._audit.append(connection, event)

        await self._database.write(end)

    async def _issued(self, kept: KeptRequest) -> Issued:
        assert kept.authority_id is not None
        assert kept.serial is not None
        record = await self._certificates.find(kept.authority_id, kept.serial)
        authority = await self._authorities.by_id(kept.authority_id)
        return issued_of(authority, record)


def expiry_job(clock: Clock, database: Database) -> Job:
    """Deletes the requests whose time is over."""

    async def expire() -> None:
        now = clock.now()
        await database.write(lambda connection: delete_expired(connection, now))

    return Job(name="enrollment-requests-expire", schedule="0 41 * * * *", run=expire)


def _facts(kept: KeptRequest) -> dict[str, str | int | bool | None]:
    return {
        "enrollment_request": kept.id,
        "ca": str(kept.request.ca),
        "profile": kept.request.profile,
        "subject": kept.subject,
        "names": " ".join(kept.names),
    }


__all__ = ["ApprovalTerms", "Approvals", "KeptRequest", "KeptWith", "RequestState", "expiry_job"]
