"""Editing, disabling, revoking and deleting CAs (R-CA-040..045, R-PLAT-154)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, delete, func, select
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.interfaces import Revocation
from cspd.authority.lifecycle import Move, check_move, lock
from cspd.authority.organizations import check_administrator
from cspd.authority.profile_values import Profile
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.rows import change_authority
from cspd.authority.rules import checked_profiles, checked_users
from cspd.authority.uncancelled import Uncancelled
from cspd.authority.values import (
    Authority,
    AuthorityKind,
    AuthorityState,
    CAReference,
    CertificateState,
    Requester,
    RevocationReason,
    RevocationRequest,
)
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference
from cspd.refusals import AlreadyRevoked, Conflict, Refused
from cspd.store.interfaces import Database
from cspd.store.tables import authorities, certificates, crls


class AuthorityManagement:
    """Changes CAs that exist. Changes are durable, audited and known to the registry when a call returns.

    Every method raises NotFound for an unknown CA and Forbidden unless the requester administers its organization.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        keys: Keys,
        registry: AuthorityRegistry,
        revocation: Revocation,
        profiles: Mapping[str, Profile],
        audit: AuditLog,
    ) -> None:
        self._clock = clock
        self._database = database
        self._keys = keys
        self._registry = registry
        self._revocation = revocation
        self._profiles = profiles
        self._audit = audit
        self._uncancelled = Uncancelled()

    async def edit(
        self,
        reference: CAReference,
        requester: Requester,
        *,
        profiles: Iterable[str] | None = None,
        administrators: Iterable[str] | None = None,
        auditors: Iterable[str] | None = None,
    ) -> Authority:
        """Replace what is given; nothing else of a CA can change (R-CA-040). A name that is left out loses its access.

        Raises Conflict for an external root, Rejected for a field that breaks its rule.
        """
        authority = await self._registry.get(reference)
        if authority.kind is AuthorityKind.EXTERNAL_ROOT:
            raise Conflict("an external root cannot be changed")
        values: dict[str, Any] = {}
        if profiles is not None:
            values["profiles"] = sorted(checked_profiles(tuple(profiles), authority.kind, self._profiles))
        if administrators is not None:
            values["administrators"] = list(checked_users(administrators, field="administrators", at_least=1))
        if auditors is not None:
            values["auditors"] = list(checked_users(auditors, field="auditors"))

        def work(connection: Connection) -> None:
            lock(connection, authority)
            if values:
                change_authority(connection, authority.id, **values)

        fields = {name: ",".join(value) for name, value in values.items()}
        await self._apply(authority, requester, "ca-changed", work, **fields)
        return await self._registry.get(reference)

    async def disable(self, reference: CAReference, requester: Requester) -> Authority:
        """Stop issuance; CRLs and OCSP go on (R-CA-045). Raises Conflict unless the CA is active."""
        authority = await self._registry.get(reference)
        if authority.kind is AuthorityKind.EXTERNAL_ROOT:
            raise Conflict("an external root cannot be changed")

        def work(connection: Connection) -> None:
            check_move(lock(connection, authority), Move.DISABLE)
            change_authority(connection, authority.id, state=AuthorityState.DISABLED.value)

        await self._apply(authority, requester, "ca-disabled", work)
        return await self._registry.get(reference)

    async def enable(self, reference: CAReference, requester: Requester) -> Authority:
        """Let a disabled CA issue again; raises Conflict for any other, and for one whose certificate is revoked."""
        authority = await self._registry.get(reference)

        def work(connection: Connection) -> None:
            check_move(lock(connection, authority), Move.ENABLE)
            state = _state_of_certificate(connection, authority)
            if state in (CertificateState.REVOKED, CertificateState.HELD):
                raise Conflict(f"the certificate of {reference} is {state.value}")
            change_authority(connection, authority.id, state=AuthorityState.ACTIVE.value)

        await self._apply(authority, requester, "ca-enabled", work)
        return await self._registry.get(reference)

    async def revoke(self, reference: CAReference, reason: RevocationReason, requester: Requester) -> Authority:
        """Revoke all certificates of an issuing CA through the root here that signed them, and disable it.

        Raises Conflict for a CA without such a root, AlreadyRevoked, BadRevocationReason.
        """
        authority = await self._registry.get(reference)
        await self._check_administrator(authority, requester)
        root = await self._registry.by_id(authority.issuer_id) if authority.issuer_id else None
        if root is None or root.kind is not AuthorityKind.ROOT:
            raise Conflict(f"no root here signed {reference}")
        now = self._clock.now()
        serials = [
            certificate.serial_number
            for certificate in _certificates(authority)
            if certificate.not_valid_after_utc > now and certificate.issuer == root.subject
        ]
        revoked = 0
        for serial in serials:
            request = RevocationRequest(ca=root.reference, serial=serial, reason=reason, requester=requester)
            try:
                await self._revocation.revoke(request)
                revoked += 1
            except AlreadyRevoked:  # an earlier certificate of the CA may be
                continue
        if not revoked:
            raise AlreadyRevoked(f"the certificates of {reference} are revoked already, or have expired")
        await self._registry.refresh()
        return await self._registry.get(reference)

    async def delete(self, reference: CAReference, requester: Requester) -> None:
        """Delete exactly this CA and destroy its keys (R-CA-042, R-CA-043).

        Its id rests for 24 hours; the record of what it issued stays. Raises Conflict for a root that has subordinates.
        """
        await self._uncancelled.run(self._delete(reference, requester))

    async def _delete(self, reference: CAReference, requester: Requester) -> None:
        authority = await self._registry.get(reference)

        def work(connection: Connection) -> None:
            check_move(lock(connection, authority), Move.DELETE)
            children = select(func.count()).where(
                authorities.c.issuer_id == authority.id, authorities.c.state != AuthorityState.DELETED.value
            )
            if count := connection.execute(children).scalar_one():
                raise Conflict(f"delete the CAs below {reference} first; there {'is' if count == 1 else 'are'} {count}")
            change_authority(connection, authority.id, state=AuthorityState.DELETED.value, deleted_at=self._clock.now())
            connection.execute(delete(crls).where(crls.c.authority_id == authority.id))

        await self._apply(authority, requester, "ca-deleted", work)
        for key in _keys(authority):
            try:
                await self._keys.delete(key)
            except Refused as error:  # the CA is gone all the same
                self._log.error(
                    "the key {key} of the deleted {ca} remains: {error}", key=str(key), ca=str(reference), error=error
                )

    async def _apply(
        self,
        authority: Authority,
        requester: Requester,
        event: str,
        change: Callable[[Connection], None],
        **fields: str,
    ) -> None:
        def work(connection: Connection) -> None:
            check_administrator(connection, authority.reference.organization, requester)
            change(connection)
            self._audit.append(
                connection,
                AuditEvent(
                    event=event,
                    actor=f"{requester.protocol}:{requester.identity}",
                    fields={"ca": str(authority.reference), "id": authority.id, **fields},
                ),
            )

        await self._database.write(work)
        await self._registry.refresh()

    async def _check_administrator(self, authority: Authority, requester: Requester) -> None:
        organization = authority.reference.organization
        await self._database.read(lambda connection: check_administrator(connection, organization, requester))


def _certificates(authority: Authority) -> list[x509.Certificate]:
    current = [authority.certificate] if authority.certificate is not None else []
    return current + [x509.load_der_x509_certificate(each.certificate_der) for each in authority.previous]


def _keys(authority: Authority) -> tuple[KeyReference, ...]:
    """All keys that the CA had, each once."""
    keys = [authority.key, *(each.key for each in authority.previous)]
    return tuple(dict.fromkeys(key for key in keys if key is not None))


def _state_of_certificate(connection: Connection, authority: Authority) -> CertificateState | None:
    """What the root here says of the CA's current certificate; None if no root here signed it."""
    if authority.issuer_id is None or authority.certificate is None:
        return None
    query = select(certificates.c.state).where(
        certificates.c.authority_id == authority.issuer_id,
        certificates.c.serial == authority.certificate.serial_number,
    )
    state = connection.execute(query).scalar_one_or_none()
    return None if state is None else CertificateState(state)
