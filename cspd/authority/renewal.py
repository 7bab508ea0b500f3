"""New certificates for CAs that have one: the same key (renew) or another (re-key) (R-CA-045).

Earlier certificates stay: CRLs and OCSP answers for what their key signed still need them. What a subordinate CA's
chain holds follows a renewed root at once, and a re-keyed root when the subordinate is renewed itself. The new key of a
root is linked with the earlier ones (:mod:`cspd.authority.key_links`).
"""

from __future__ import annotations

import base64
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, select, update

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.certification import CACertifier, PreparedCertificate
from cspd.authority.creation import chain_below, check_usable_root
from cspd.authority.issued_authorities import record, reserve
from cspd.authority.key_links import KeyLinkMaking
from cspd.authority.lifecycle import Move, check_move, lock
from cspd.authority.organizations import check_administrator
from cspd.authority.registry import AuthorityRegistry
from cspd.authority.rows import NewCACertificate, change_authority, insert_certificate
from cspd.authority.tentative_keys import tentative_key
from cspd.authority.uncancelled import Uncancelled
from cspd.authority.values import Authority, AuthorityKind, AuthorityState, CAReference, Requester
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, KeyType
from cspd.refusals import Conflict
from cspd.store.interfaces import Database
from cspd.store.tables import authorities, authority_certificates


class AuthorityRenewal:
    """Renews and re-keys CAs whose signer is here; the id and the URLs stay.

    Changes are durable, audited and known to the registry when a call returns. Raises Forbidden unless the requester
    administers the organization, Conflict for a CA that is not active, is an external root, or is under one (see
    :meth:`cspd.authority.external.ExternalRoots.upload`), BadValidity, Unavailable.
    """

    def __init__(
        self,
        *,
        database: Database,
        keys: Keys,
        certifier: CACertifier,
        registry: AuthorityRegistry,
        audit: AuditLog,
    ) -> None:
        self._database = database
        self._keys = keys
        self._certifier = certifier
        self._registry = registry
        self._audit = audit
        self._links = KeyLinkMaking(database=database, certifier=certifier)
        self._uncancelled = Uncancelled()  # a signature must be recorded although whoever asked has left

    async def renew(
        self, reference: CAReference, requester: Requester, *, not_after: datetime | None = None
    ) -> Authority:
        """A new certificate for the same key and name, by default as long as a new CA's."""
        authority, root = await self._renewable(reference, requester)
        assert authority.key is not None
        return await self._uncancelled.run(
            self._certify(authority, root, authority.key, authority.key_index, not_after, requester, event="ca-renewed")
        )

    async def rekey(
        self,
        reference: CAReference,
        requester: Requester,
        *,
        key_type: KeyType | None = None,
        not_after: datetime | None = None,
    ) -> Authority:
        """A new key, of the same type unless told otherwise, and a certificate for it; the old key signs CRLs only."""
        return await self._uncancelled.run(self._rekey(reference, requester, key_type, not_after))

    async def _rekey(
        self, reference: CAReference, requester: Requester, key_type: KeyType | None, not_after: datetime | None
    ) -> Authority:
        authority, root = await self._renewable(reference, requester)
        assert authority.key is not None
        assert authority.key_type is not None
        new_type = key_type or authority.key_type
        provider = authority.key.provider
        async with tentative_key(self._keys, new_type, label=str(reference), provider=provider) as key:
            index = authority.key_index + 1
            return await self._certify(
                authority, root, key, index, not_after, requester, event="ca-rekeyed", key_type=new_type
            )

    async def _renewable(self, reference: CAReference, requester: Requester) -> tuple[Authority, Authority | None]:
        """The CA and its root (None for a root itself)."""
        authority = await self._registry.get(reference)
        organization = reference.organization
        await self._database.read(lambda connection: check_administrator(connection, organization, requester))
        if authority.kind is AuthorityKind.EXTERNAL_ROOT:
            raise Conflict("an external root is renewed where its key is")
        check_move(authority.state, Move.RENEW)
        if authority.issuer_id is None:
            return authority, None
        root = await self._registry.by_id(authority.issuer_id)
        if root.kind is AuthorityKind.EXTERNAL_ROOT:
            raise Conflict("a CA under an external root is renewed by uploading its new certificate")
        if root.state is not AuthorityState.ACTIVE:
            raise Conflict(f"{root.reference} is {root.state.value}")
        return authority, root

    async def _certify(
        self,
        authority: Authority,
        root: Authority | None,
        key: KeyReference,
        key_index: int,
        not_after: datetime | None,
        requester: Requester,
        *,
        event: str,
        key_type: KeyType | None = None,
    ) -> Authority:
        prepared = await self._prepare(authority, root, key, not_after)
        if root is not None and root.record_before_signing:
            await self._database.write(lambda connection: reserve(connection, root, prepared, requester))
        certificate = await self._certifier.sign(prepared)
        stored = NewCACertificate(
            id=self._certifier.new_id(),
            certificate=certificate,
            certificate_der=certificate.public_bytes(Encoding.DER),
            chain_der=() if root is None else chain_below(root),
            key=key,
            key_index=key_index,
            created_at=prepared.not_before,
        )
        is_new_key_of_root = root is None and key_type is not None
        links = await self._links.make(authority, stored, requester) if is_new_key_of_root else ()

        def work(connection: Connection) -> None:
            check_administrator(connection, authority.reference.organization, requester)
            if root is not None:
                check_usable_root(connection, root)
                record(connection, root, prepared, certificate, requester)
            check_move(lock(connection, authority), Move.RENEW)
            check_unchanged(connection, authority)
            insert_certificate(connection, authority.id, stored)
            for link in links:
                link.record(connection, requester)
            changes: dict[str, str] = {"certificate_id": stored.id, "key_reference": str(key)}
            if key_type is not None:
                changes["key_type"] = key_type.value
            change_authority(connection, authority.id, **changes)
            if root is None and key_type is None:
                _replace_root_in_chains(connection, authority, stored.certificate_der)
            self._append(connection, event, authority, certificate, key, requester)

        await self._database.write(work)
        await self._registry.refresh()
        return await self._registry.get(authority.reference)

    async def _prepare(
        self, authority: Authority, root: Authority | None, key: KeyReference, not_after: datetime | None
    ) -> PreparedCertificate:
        if root is None:
            return await self._certifier.prepare_root(key=key, subject=authority.subject, not_after=not_after)
        return await self._certifier.prepare_subordinate(root, key=key, subject=authority.subject, not_after=not_after)

    def _append(
        self,
        connection: Connection,
        event: str,
        authority: Authority,
        certificate: x509.Certificate,
        key: KeyReference,
        requester: Requester,
    ) -> None:
        fields = {
            "ca": str(authority.reference),
            "id": authority.id,
            "serial": format(certificate.serial_number, "x"),
            "key": str(key),
            "not_after": certificate.not_valid_after_utc.isoformat(),
        }
        actor = f"{requester.protocol}:{requester.identity}"
        self._audit.append(connection, AuditEvent(event=event, actor=actor, fields=fields))


def check_unchanged(connection: Connection, authority: Authority) -> None:
    """Raise Conflict if somebody gave the CA another certificate meanwhile."""
    query = select(authorities.c.certificate_id).where(authorities.c.id == authority.id)
    if connection.execute(query).scalar_one() != authority.certificate_id:
        raise Conflict(f"{authority.reference} was renewed by somebody else")


def _replace_root_in_chains(connection: Connection, root: Authority, certificate_der: bytes) -> None:
    """Give the current certificates under this key of the root the root's new certificate as their chain."""
    assert root.certificate_der is not None
    chain = [base64.b64encode(certificate_der).decode("ascii")]
    same_key = {root.certificate_der} | {
        each.certificate_der for each in root.previous if each.key_index == root.key_index
    }
    query = (
        select(
            authorities.c.id, authority_certificates.c.id.label("certificate_id"), authority_certificates.c.chain_der
        )
        .join(authority_certificates, authority_certificates.c.id == authorities.c.certificate_id)
        .where(authorities.c.issuer_id == root.id)
    )
    for row in connection.execute(query).all():
        if base64.b64decode(row.chain_der[0]) in same_key:
            connection.execute(
                update(authority_certificates)
                .where(authority_certificates.c.id == row.certificate_id)
                .values(chain_der=chain)
            )
            change_authority(connection, row.id)
