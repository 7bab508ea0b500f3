"""Revoking, holding and releasing certificates (RFC 5280, 5.3.1).

A change is one transaction: the certificate's row, a row of ``status_changes`` that every node's caches and delta CRLs
follow, a CA that loses its own certificate is disabled, and the audit event. Only then ``after_change`` hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy import Connection, select, update

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.interfaces import Authorities
from cspd.authority.rows import change_authority
from cspd.authority.uncancelled import Uncancelled
from cspd.authority.values import (
    Authority,
    AuthorityKind,
    AuthorityState,
    CAReference,
    CertificateState,
    CertificateStatus,
    Requester,
    RevocationReason,
    RevocationRequest,
    StatusChange,
)
from cspd.clock import Clock
from cspd.refusals import AlreadyRevoked, BadRevocationReason, Conflict, NotFound
from cspd.store.interfaces import Database
from cspd.store.tables import authorities, authority_certificates, certificates, status_changes

ALLOWED_REASONS = frozenset(RevocationReason) - {RevocationReason.REMOVE_FROM_CRL, RevocationReason.AA_COMPROMISE}
"""removeFromCRL is no reason but the end of a hold; aACompromise is for attribute certificates."""


class RevocationService:
    """Implements :class:`cspd.authority.interfaces.Revocation`.

    ``after_change`` is called in the reactor thread when the change is durable; it must neither wait nor raise.
    ``allowed_reasons`` may be a smaller set than :data:`ALLOWED_REASONS`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        authorities: Authorities,
        audit: AuditLog,
        after_change: Callable[[StatusChange], None],
        allowed_reasons: frozenset[RevocationReason] = ALLOWED_REASONS,
    ) -> None:
        if not allowed_reasons <= ALLOWED_REASONS:
            raise ValueError("removeFromCRL and aACompromise cannot be asked for")
        self._clock = clock
        self._database = database
        self._authorities = authorities
        self._audit = audit
        self._after_change = after_change
        self._allowed_reasons = allowed_reasons
        self._uncancelled = Uncancelled()

    async def revoke(self, request: RevocationRequest) -> CertificateStatus:
        """See :class:`cspd.authority.interfaces.Revocation`."""
        authority = await self._authorities.get(request.ca)
        if request.reason not in self._allowed_reasons:
            raise BadRevocationReason(f"the reason {request.reason.value} is not allowed")
        now = self._clock.now().replace(microsecond=0)
        invalidity_date = _checked_invalidity_date(request.invalidity_date, now)
        is_hold = request.reason is RevocationReason.CERTIFICATE_HOLD

        def work(connection: Connection) -> CertificateStatus:
            issued = _issued(connection, authority, request.serial)
            if issued.state is CertificateState.REVOKED:
                raise AlreadyRevoked("the certificate is revoked already")
            if issued.state is CertificateState.HELD and is_hold:
                raise AlreadyRevoked("the certificate is on hold already")
            if request.reason is RevocationReason.CA_COMPROMISE and not _is_ca(issued.certificate_der):
                raise BadRevocationReason("cACompromise is for certificates of CAs")
            # a hold that becomes final keeps the date of the hold (X.509, 9.5.3.1)
            status = CertificateStatus(
                state=CertificateState.HELD if is_hold else CertificateState.REVOKED,
                revoked_at=issued.revoked_at if issued.state is CertificateState.HELD else now,
                reason=request.reason,
            )
            _change(connection, authority, request.serial, status, invalidity_date, changed_at=now)
            if authority.kind is AuthorityKind.ROOT:
                _disable_holder(connection, authority, issued.certificate_der)
            self._append(connection, "certificate-held" if is_hold else "certificate-revoked", authority, request)
            return status

        return await self._apply(authority, request.serial, work)

    async def unhold(self, ca: CAReference, serial: int, requester: Requester) -> CertificateStatus:
        """See :class:`cspd.authority.interfaces.Revocation`; a CA that was disabled by the hold stays disabled."""
        authority = await self._authorities.get(ca)
        now = self._clock.now().replace(microsecond=0)
        status = CertificateStatus(state=CertificateState.GOOD)

        def work(connection: Connection) -> CertificateStatus:
            state = _issued(connection, authority, serial).state
            if state is not CertificateState.HELD:
                raise Conflict(f"the certificate is not on hold but {state.value}")
            _change(connection, authority, serial, status, None, changed_at=now)
            fields = {"ca": str(ca), "serial": format(serial, "x")}
            actor = f"{requester.protocol}:{requester.identity}"
            self._audit.append(connection, AuditEvent(event="certificate-unheld", actor=actor, fields=fields))
            return status

        return await self._apply(authority, serial, work)

    async def _apply(
        self, authority: Authority, serial: int, work: Callable[[Connection], CertificateStatus]
    ) -> CertificateStatus:
        async def change() -> CertificateStatus:
            status = await self._database.write(work)
            self._after_change(StatusChange(authority_id=authority.id, serial=serial, status=status))
            return status

        # what is durable must be heard of, also when whoever asked has left
        return await self._uncancelled.run(change())

    def _append(self, connection: Connection, event: str, authority: Authority, request: RevocationRequest) -> None:
        fields = {
            "ca": str(authority.reference),
            "serial": format(request.serial, "x"),
            "reason": request.reason.value,
            "invalidity_date": request.invalidity_date.isoformat() if request.invalidity_date else None,
            "address": request.requester.address,
            "request_id": request.requester.request_id,
        }
        actor = f"{request.requester.protocol}:{request.requester.identity}"
        self._audit.append(connection, AuditEvent(event=event, actor=actor, fields=fields))


def _checked_invalidity_date(moment: datetime | None, now: datetime) -> datetime | None:
    if moment is None:
        return None
    if moment > now:
        raise BadRevocationReason("the invalidityDate lies in the future")
    return moment.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class _Issued:
    state: CertificateState
    revoked_at: datetime | None
    certificate_der: bytes | None


def _issued(connection: Connection, authority: Authority, serial: int) -> _Issued:
    """The certificate, its row locked; a record whose signature never came was not issued."""
    query = (
        select(certificates.c.state, certificates.c.revoked_at, certificates.c.certificate_der)
        .where(certificates.c.authority_id == authority.id, certificates.c.serial == serial)
        .with_for_update()
    )
    row = connection.execute(query).one_or_none() if 0 <= serial < 1 << 160 else None
    if row is None or row.state == CertificateState.RESERVED.value:
        raise NotFound(f"{authority.reference} issued no certificate with the serial number {serial:x}")
    return _Issued(CertificateState(row.state), row.revoked_at, row.certificate_der)


def _is_ca(certificate_der: bytes | None) -> bool:
    if certificate_der is None:
        return False
    try:
        extensions = x509.load_der_x509_certificate(certificate_der).extensions
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _change(
    connection: Connection,
    authority: Authority,
    serial: int,
    status: CertificateStatus,
    invalidity_date: datetime | None,
    *,
    changed_at: datetime,
) -> None:
    reason = status.reason.value if status.reason else None
    connection.execute(
        update(certificates)
        .where(certificates.c.authority_id == authority.id, certificates.c.serial == serial)
        .values(
            state=status.state.value,
            revoked_at=status.revoked_at,
            revocation_reason=reason,
            invalidity_date=invalidity_date,
        )
    )
    connection.execute(
        status_changes.insert().values(
            authority_id=authority.id,
            serial=serial,
            state=status.state.value,
            reason=reason,
            changed_at=changed_at,
        )
    )


def _disable_holder(connection: Connection, issuer: Authority, certificate_der: bytes | None) -> None:
    """Disable the CA here whose current certificate this is: it must issue no more."""
    query = (
        select(authorities.c.id)
        .join(authority_certificates, authority_certificates.c.id == authorities.c.certificate_id)
        .where(
            authorities.c.issuer_id == issuer.id,
            authorities.c.state == AuthorityState.ACTIVE.value,
            authority_certificates.c.certificate_der == certificate_der,
        )
    )
    for row in connection.execute(query).all():
        change_authority(connection, row.id, state=AuthorityState.DISABLED.value)
