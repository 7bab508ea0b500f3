"""Making CAs whose key lives here: roots and issuing CAs (R-CA-020, R-CA-022..028).

Making a CA is three steps: check everything that can be checked, make the key and the certificate, write all rows and
the audit event in one transaction. When a later step is refused (the id was taken meanwhile), the key is destroyed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.certification import ROOT_PROFILE, SUBORDINATE_PROFILE, CACertifier
from cspd.authority.issued_authorities import record, reserve
from cspd.authority.new_authorities import NewIssuingCA, NewRoot
from cspd.authority.organizations import check_administrator
from cspd.authority.profile_values import Profile
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.rows import NewCACertificate, insert_authority, insert_certificate
from cspd.authority.rules import check_ca_id, check_crl_schedule, check_subject, checked_profiles, checked_users
from cspd.authority.tentative_keys import tentative_key
from cspd.authority.uncancelled import Uncancelled
from cspd.authority.values import Authority, AuthorityKind, AuthorityState, CAReference, Requester
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference
from cspd.refusals import Conflict, NotFound, Rejected
from cspd.store.interfaces import Database
from cspd.store.tables import authorities

ID_REST = timedelta(hours=24)
"""How long the id of a deleted CA may not be used again (R-CA-024)."""


class AuthorityCreation:
    """Makes CAs; each is durable, audited and known to the registry when the call returns.

    Every method raises Forbidden unless the requester administers the organization, NotFound for an organization or
    root that does not exist, Conflict for an id that is taken or rests, the subclasses of Rejected for a field that
    breaks its rule (``bad-field.<field>``), and Unavailable.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        keys: Keys,
        certifier: CACertifier,
        registry: AuthorityRegistry,
        profiles: Mapping[str, Profile],
        audit: AuditLog,
    ) -> None:
        self._clock = clock
        self._database = database
        self._keys = keys
        self._certifier = certifier
        self._registry = registry
        self._profiles = profiles
        self._audit = audit
        self._uncancelled = Uncancelled()  # half a CA must not stay behind when the administrator's client leaves

    async def create_root(self, new: NewRoot, requester: Requester) -> Authority:
        """Make a key and a self-signed certificate (R-CA-020)."""
        return await self._uncancelled.run(self._create_root(new, requester))

    async def create_issuing(self, new: NewIssuingCA, requester: Requester) -> Authority:
        """Make a key and, under a root here, its certificate (R-CA-022).

        Under an external root the CA is left ``pending-certificate``; see :mod:`cspd.authority.external` (R-CA-023).
        """
        return await self._uncancelled.run(self._create_issuing(new, requester))

    async def _create_root(self, new: NewRoot, requester: Requester) -> Authority:
        self._check_fields(new, AuthorityKind.ROOT)
        self._certifier.check_expiry(ROOT_PROFILE, new.not_after)
        await self._check_free(new.reference, requester)
        async with self._tentative_key(new) as key:
            prepared = await self._certifier.prepare_root(key=key, subject=new.subject, not_after=new.not_after)
            certificate = await self._certifier.sign(prepared)
            stored = NewCACertificate(
                id=self._certifier.new_id(),
                certificate=certificate,
                certificate_der=certificate.public_bytes(Encoding.DER),
                chain_der=(),
                key=key,
                key_index=0,
                created_at=prepared.not_before,
            )
            authority = self._authority(new, AuthorityKind.ROOT, AuthorityState.ACTIVE, key, None, stored)

            def work(connection: Connection) -> None:
                insert_new(connection, authority, requester, now=prepared.not_before)
                insert_certificate(connection, authority.id, stored)
                self._append(connection, authority, requester)

            await self._database.write(work)
        return await self._created(new.reference)

    async def _create_issuing(self, new: NewIssuingCA, requester: Requester) -> Authority:
        self._check_fields(new, AuthorityKind.ISSUING)
        root = await self._root(new)
        if root.kind is AuthorityKind.EXTERNAL_ROOT:
            if new.not_after is not None:
                raise Rejected("an external root decides when its certificates end", code="bad-field.not-after")
        else:
            self._certifier.check_expiry(SUBORDINATE_PROFILE, new.not_after, root)
        await self._check_free(new.reference, requester)
        async with self._tentative_key(new) as key:
            if root.kind is AuthorityKind.EXTERNAL_ROOT:
                await self._store_pending(new, root, key, requester)
            else:
                await self._certify(new, root, key, requester)
        return await self._created(new.reference)

    def _check_fields(self, new: NewRoot | NewIssuingCA, kind: AuthorityKind) -> None:
        """The rules that need no look at the store, before a key is made for nothing."""
        check_ca_id(new.reference.ca_id)
        check_subject(new.subject)
        checked_profiles(new.profiles, kind, self._profiles)
        checked_users(new.administrators, field="administrators", at_least=1)
        checked_users(new.auditors, field="auditors")
        check_crl_schedule(new.crl_days, new.delta_crl_hours)

    async def _store_pending(self, new: NewIssuingCA, root: Authority, key: KeyReference, requester: Requester) -> None:
        state = AuthorityState.PENDING_CERTIFICATE
        authority = self._authority(new, AuthorityKind.ISSUING, state, key, root.id, None)

        def work(connection: Connection) -> None:
            check_usable_root(connection, root)
            insert_new(connection, authority, requester, now=self._clock.now())
            self._append(connection, authority, requester)

        await self._database.write(work)

    async def _certify(self, new: NewIssuingCA, root: Authority, key: KeyReference, requester: Requester) -> None:
        prepared = await self._certifier.prepare_subordinate(
            root, key=key, subject=new.subject, not_after=new.not_after
        )
        if root.record_before_signing:
            await self._database.write(lambda connection: reserve(connection, root, prepared, requester))
        certificate = await self._certifier.sign(prepared)
        stored = NewCACertificate(
            id=self._certifier.new_id(),
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=chain_below(root),
            key=key,
            key_index=0,
            created_at=prepared.not_before,
        )
        authority = self._authority(new, AuthorityKind.ISSUING, AuthorityState.ACTIVE, key, root.id, stored)

        def work(connection: Connection) -> None:
            check_usable_root(connection, root)
            insert_new(connection, authority, requester, now=prepared.not_before)
            insert_certificate(connection, authority.id, stored)
            record(connection, root, prepared, certificate, requester)
            self._append(connection, authority, requester)

        await self._database.write(work)

    async def _root(self, new: NewIssuingCA) -> Authority:
        """The root named by the request (A-9: never an issuing CA)."""
        try:
            root = await self._registry.get(CAReference(new.reference.organization, new.issuer))
        except NotFound as error:
            raise NotFound(f"no root CA {new.issuer} in this organization", code="bad-field.issuer") from error
        if root.kind is AuthorityKind.ISSUING:
            raise Rejected("the issuer of an issuing CA is a root", code="bad-field.issuer")
        if root.state is not AuthorityState.ACTIVE:
            raise Conflict(f"{root.reference} is {root.state.value}")
        if new.ocsp_enabled and new.ocsp_key_type is None:
            raise Rejected("choose the key type of the OCSP responder", code="bad-field.ocsp-key-type")
        return root

    async def _check_free(self, reference: CAReference, requester: Requester) -> None:
        now = self._clock.now()
        await self._database.read(lambda connection: check_free(connection, reference, requester, now=now))

    def _tentative_key(self, new: NewRoot | NewIssuingCA) -> AbstractAsyncContextManager[KeyReference]:
        return tentative_key(self._keys, new.key_type, label=str(new.reference), provider=new.key_provider)

    def _authority(
        self,
        new: NewRoot | NewIssuingCA,
        kind: AuthorityKind,
        state: AuthorityState,
        key: KeyReference,
        issuer_id: str | None,
        stored: NewCACertificate | None,
    ) -> Authority:
        is_root = kind is AuthorityKind.ROOT
        return Authority(
            id=self._certifier.new_id(),
            reference=new.reference,
            kind=kind,
            state=state,
            subject=new.subject,
            key_type=new.key_type,
            key=key,
            certificate_id=stored.id if stored else None,
            certificate=stored.certificate if stored else None,
            certificate_der=stored.certificate_der if stored else None,
            chain_der=stored.chain_der if stored else (),
            issuer_id=issuer_id,
            ocsp_enabled=new.ocsp_enabled,
            ocsp_key_type=new.ocsp_key_type or (new.key_type if is_root and new.ocsp_enabled else None),
            crl_days=new.crl_days,
            delta_crl_hours=new.delta_crl_hours,
            profiles=checked_profiles(new.profiles, kind, self._profiles),
            administrators=checked_users(new.administrators, field="administrators", at_least=1),
            auditors=checked_users(new.auditors, field="auditors"),
            record_before_signing=new.record_before_signing,
            created_at=self._clock.now().replace(microsecond=0),
        )

    async def _created(self, reference: CAReference) -> Authority:
        await self._registry.refresh()
        return await self._registry.get(reference)

    def _append(self, connection: Connection, authority: Authority, requester: Requester) -> None:
        self._audit.append(connection, created_event("ca-created", authority, requester))


def check_free(connection: Connection, reference: CAReference, requester: Requester, *, now: datetime) -> None:
    """Raise Forbidden unless the requester may make CAs here, Conflict while the id is taken or rests (R-CA-024)."""
    check_administrator(connection, reference.organization, requester)
    query = select(authorities.c.deleted_at).where(
        authorities.c.organization == reference.organization, authorities.c.ca_id == reference.ca_id
    )
    for row in connection.execute(query):
        if row.deleted_at is None:
            raise Conflict(f"{reference} exists", code="bad-field.ca-id")
        if now < row.deleted_at + ID_REST:
            rests_until = f"{row.deleted_at + ID_REST:%Y-%m-%d %H:%M} UTC"
            raise Conflict(
                f"{reference} was deleted not long ago; its id rests until {rests_until}", code="bad-field.ca-id"
            )


def insert_new(connection: Connection, authority: Authority, requester: Requester, *, now: datetime) -> None:
    """Write the row of a new CA, once more checked to be free."""
    check_free(connection, authority.reference, requester, now=now)
    try:
        insert_authority(connection, authority)
    except IntegrityError as error:  # another node was faster
        raise Conflict(f"{authority.reference} exists", code="bad-field.ca-id") from error


def check_usable_root(connection: Connection, root: Authority) -> None:
    """Raise Conflict unless the root is still there and active: nobody deletes a root while a CA is made under it."""
    query = select(authorities.c.state).where(authorities.c.id == root.id).with_for_update(key_share=True)
    state = connection.execute(query).scalar_one()
    if state != AuthorityState.ACTIVE.value:
        raise Conflict(f"{root.reference} is {state}")


def chain_below(issuer: Authority) -> tuple[bytes, ...]:
    """The chain of what this CA signs: its own certificate first."""
    assert issuer.certificate_der is not None
    return (issuer.certificate_der, *issuer.chain_der)


def created_event(event: str, authority: Authority, requester: Requester) -> AuditEvent:
    """The audit event of a new CA."""
    return AuditEvent(
        event=event,
        actor=f"{requester.protocol}:{requester.identity}",
        fields={
            "ca": str(authority.reference),
            "id": authority.id,
            "kind": authority.kind.value,
            "state": authority.state.value,
            "subject": authority.subject.rfc4514_string(),
            "key": str(authority.key) if authority.key else None,
            "serial": format(authority.certificate.serial_number, "x") if authority.certificate else None,
        },
    )
