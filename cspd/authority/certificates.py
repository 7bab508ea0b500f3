"""The issued certificates in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, tuple_, update

from cspd.authority.values import (
    AuthorityState,
    CertificateRecord,
    CertificateState,
    CertificateStatus,
    RevocationReason,
)
from cspd.refusals import Conflict, NotFound
from cspd.store.interfaces import Database
from cspd.store.tables import authorities, certificates

MAX_PAGE = 1000

# Built once: to build such a statement costs as much as to run it.
_BY_SERIAL = select(certificates).where(
    certificates.c.authority_id == bindparam("of_authority"), certificates.c.serial == bindparam("of_serial")
)
_BY_DER = select(certificates).where(
    certificates.c.public_key_sha256 == bindparam("of_key"),  # what the index knows
    certificates.c.certificate_der == bindparam("of_der"),
)
_INSERT = insert(certificates)
# One statement: a look of its own at the CA's row would cost seven times as much.
_INSERT_IF_ACTIVE = (
    insert(certificates)
    .from_select(
        [column.name for column in certificates.c],
        select(*(bindparam(column.name, type_=column.type) for column in certificates.c)).where(
            authorities.c.id == bindparam("authority_id"), authorities.c.state == AuthorityState.ACTIVE.value
        ),
    )
    .execution_options(preserve_rowcount=True)
)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of certificates ends; the next one begins after it."""

    issued_at: datetime
    serial: int
    authority_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePage:
    """Some certificates, the latest first."""

    records: Sequence[CertificateRecord]
    next: Position | None
    """None on the last page."""


class Certificates:
    """Implements :class:`cspd.authority.interfaces.CertificateStore`, and lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, authority_id: str, serial: int) -> CertificateRecord:
        """One certificate; raises NotFound."""
        of = {"of_authority": authority_id, "of_serial": serial}
        row = await self._database.read(lambda connection: connection.execute(_BY_SERIAL, of).first())
        if row is None:
            raise NotFound("no such certificate")
        return _record(row)

    async def find_by_der(self, certificate_der: bytes) -> CertificateRecord:
        """The stored certificate with exactly these bytes; raises NotFound (RFC 8555, 7.6)."""
        record = await self._database.read(lambda connection: find_certificate(connection, certificate_der))
        if record is None:
            raise NotFound("no such certificate")
        return record

    async def list(
        self,
        *,
        authority_id: str | None = None,
        state: CertificateState | None = None,
        profile: str | None = None,
        text: str | None = None,
        expires_before: datetime | None = None,
        after: Position | None = None,
        limit: int = 100,
    ) -> CertificatePage:
        """A page of certificates, the latest first; ``after`` is the position that the page before gave.

        ``text`` is looked for in the subject and the names, without regard to (ASCII) case. Pages neither repeat nor
        skip a certificate that was there all the time, however many are issued in between.
        """
        limit = max(1, min(limit, MAX_PAGE))
        order = (certificates.c.issued_at, certificates.c.serial, certificates.c.authority_id)
        query = select(certificates).order_by(*(column.desc() for column in order)).limit(limit + 1)
        for column, value in (
            (certificates.c.authority_id, authority_id),
            (certificates.c.state, state and state.value),
            (certificates.c.profile, profile),
        ):
            if value is not None:
                query = query.where(column == value)
        if text:
            query = query.where(
                or_(
                    certificates.c.subject.icontains(text, autoescape=True),
                    certificates.c.names.icontains(text, autoescape=True),
                )
            )
        if expires_before is not None:
            query = query.where(certificates.c.not_after < expires_before)
        if after is not None:
            types = [column.type for column in order]
            query = query.where(tuple_(*order) < tuple_(after.issued_at, after.serial, after.authority_id, types=types))
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        records = [_record(row) for row in rows[:limit]]
        last = records[-1] if len(rows) > limit else None
        return CertificatePage(
            records=records, next=None if last is None else Position(last.issued_at, last.serial, last.authority_id)
        )

    async def counts(self, authority_id: str | None = None) -> Mapping[CertificateState, int]:
        """How many certificates there are in each state; states without any are left out."""
        query = select(certificates.c.state, func.count()).group_by(certificates.c.state)
        if authority_id is not None:
            query = query.where(certificates.c.authority_id == authority_id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {CertificateState(state): count for state, count in rows}


def find_certificate(connection: Connection, certificate_der: bytes) -> CertificateRecord | None:
    """The stored certificate with exactly these bytes, which may be anything."""
    try:
        public_key_sha256 = digest_of_public_key(x509.load_der_x509_certificate(certificate_der))
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):  # a version or key that we never certify
        return None
    row = connection.execute(_BY_DER, {"of_key": public_key_sha256, "of_der": certificate_der}).first()
    return None if row is None else _record(row)


def digest_of_public_key(certificate: x509.Certificate) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in hexadecimal, as the store keeps it."""
    return sha256(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def insert_certificate(connection: Connection, record: CertificateRecord, *, public_key_sha256: str) -> None:
    """Insert a certificate, or with state ``reserved`` the intention to sign one; the caller commits.

    Raises :class:`sqlalchemy.exc.IntegrityError` when the CA has used the serial number already.
    """
    connection.execute(_INSERT, _columns(record, public_key_sha256))


def insert_if_active(connection: Connection, record: CertificateRecord, *, public_key_sha256: str) -> None:
    """:func:`insert_certificate` for a CA that is active in the store; raises Conflict for any other."""
    if connection.execute(_INSERT_IF_ACTIVE, _columns(record, public_key_sha256)).rowcount != 1:
        raise Conflict("the CA is not active any more", code="ca-not-active")


def complete_reserved(connection: Connection, authority_id: str, serial: int, certificate_der: bytes) -> None:
    """Give a reserved record its certificate; the caller commits. Raises NotFound unless it is reserved."""
    changed = connection.execute(
        update(certificates)
        .where(
            certificates.c.authority_id == authority_id,
            certificates.c.serial == serial,
            certificates.c.state == CertificateState.RESERVED.value,
        )
        .values(certificate_der=certificate_der, state=CertificateState.GOOD.value)
    )
    if changed.rowcount != 1:
        raise NotFound("no such reserved serial number")


def complete_if_active(connection: Connection, authority_id: str, serial: int, certificate_der: bytes) -> None:
    """:func:`complete_reserved` for a CA that is active in the store; raises Conflict for any other."""
    state = connection.execute(select(authorities.c.state).where(authorities.c.id == authority_id)).scalar_one()
    if state != AuthorityState.ACTIVE.value:
        raise Conflict("the CA is not active any more", code="ca-not-active")
    complete_reserved(connection, authority_id, serial, certificate_der)


def _columns(record: CertificateRecord, public_key_sha256: str) -> Mapping[str, object]:
    status = record.status
    return {
        "authority_id": record.authority_id,
        "serial": record.serial,
        "certificate_der": record.certificate_der,
        "issuer_certificate_id": record.issuer_certificate_id,
        "profile": record.profile,
        "subject": record.subject,
        "names": "\n".join(record.names),
        "public_key_sha256": public_key_sha256,
        "not_before": record.not_before,
        "not_after": record.not_after,
        "issued_at": record.issued_at,
        "protocol": record.protocol,
        "requester": record.requester,
        "state": status.state.value,
        "revoked_at": status.revoked_at,
        "revocation_reason": status.reason and status.reason.value,
        "invalidity_date": None,
    }


def _record(row: Row[Any]) -> CertificateRecord:
    return CertificateRecord(
        authority_id=row.authority_id,
        serial=row.serial,
        certificate_der=row.certificate_der,
        issuer_certificate_id=row.issuer_certificate_id,
        profile=row.profile,
        subject=row.subject,
        names=tuple(row.names.split("\n")) if row.names else (),
        not_before=row.not_before,
        not_after=row.not_after,
        issued_at=row.issued_at,
        protocol=row.protocol,
        requester=row.requester,
        status=CertificateStatus(
            state=CertificateState(row.state),
            revoked_at=row.revoked_at,
            reason=RevocationReason(row.revocation_reason) if row.revocation_reason else None,
        ),
    )
