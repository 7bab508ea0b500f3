"""Users and devices, by their names, and the certificates they have."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, Row, Select, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from cspd.authority.interfaces import Recorded
from cspd.authority.values import CertificateState, RevocationReason
from cspd.clock import Clock
from cspd.digital_ids.tables import digital_id_certificates, digital_id_users
from cspd.digital_ids.values import Delivery, HeldCertificate, User
from cspd.refusals import NotFound
from cspd.store.interfaces import Database
from cspd.store.tables import certificates
from cspd.x509.names import format_name

MAX_CERTIFICATES = 200
"""That a list has; the latest first."""


class Users:
    """Finds and creates users, and knows which certificates are theirs."""

    def __init__(self, *, clock: Clock, random: Random, database: Database) -> None:
        """``random`` makes the ids."""
        self._clock = clock
        self._random = random
        self._database = database

    def find_or_create(self, connection: Connection, tenant: str, subject: x509.Name) -> str:
        """The id of the user of that name, who is created if there is none (R-CEG-090); the caller commits."""
        key = name_key(subject)
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        # Waits for another node that creates the same user, and then finds that one.
        insertion = dialect.insert(digital_id_users).values(
            id=self._random.randbytes(16).hex(),
            tenant=tenant,
            name_key=key,
            subject=format_name(subject),
            created_at=self._clock.now(),
        )
        connection.execute(insertion.on_conflict_do_nothing())
        found = select(digital_id_users.c.id).where(
            digital_id_users.c.tenant == tenant, digital_id_users.c.name_key == key
        )
        user_id: str = connection.execute(found).scalar_one()
        return user_id

    def recorded(self, tenant: str, digital_id: str, subject: x509.Name, delivery: Delivery) -> Recorded:
        """For ``recorded`` of issuance: the certificate becomes the user's, who is created if there is none."""

        def record(connection: Connection, authority_id: str, serial: int) -> None:
            user_id = self.find_or_create(connection, tenant, subject)
            insert_certificate(connection, authority_id, serial, user_id, digital_id, delivery)

        return record

    async def find(self, tenant: str, subject: x509.Name) -> User:
        """The user of that name; raises NotFound."""
        return await self._user(
            select(digital_id_users).where(
                digital_id_users.c.tenant == tenant, digital_id_users.c.name_key == name_key(subject)
            )
        )

    async def by_id(self, tenant: str, user_id: str) -> User:
        """The user with that id; raises NotFound."""
        return await self._user(
            select(digital_id_users).where(digital_id_users.c.tenant == tenant, digital_id_users.c.id == user_id)
        )

    async def certificates(self, user: User) -> Sequence[HeldCertificate]:
        """What the user has, whatever its state, the latest first; 200 at most."""
        query = (
            _HELD.where(digital_id_certificates.c.user_id == user.id)
            .order_by(certificates.c.issued_at.desc(), certificates.c.serial)
            .limit(MAX_CERTIFICATES)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [_held(row) for row in rows]

    async def certificate(self, tenant: str, authority_id: str, serial: int) -> HeldCertificate:
        """One certificate of a user of the tenant; raises NotFound for any other."""
        query = _HELD.join(digital_id_users, digital_id_users.c.id == digital_id_certificates.c.user_id).where(
            digital_id_users.c.tenant == tenant,
            digital_id_certificates.c.authority_id == authority_id,
            digital_id_certificates.c.serial == serial,
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFound("there is no such certificate of a digital ID", code="no-such-certificate")
        return _held(row)

    async def _user(self, query: Select[Any]) -> User:
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFound("there is no such user", code="no-such-user")
        return User(id=row.id, tenant=row.tenant, subject=row.subject, created_at=row.created_at)


def insert_certificate(
    connection: Connection, authority_id: str, serial: int, user_id: str, digital_id: str, delivery: Delivery
) -> None:
    """Note whose certificate it is; the caller commits."""
    connection.execute(
        insert(digital_id_certificates),
        {
            "authority_id": authority_id,
            "serial": serial,
            "user_id": user_id,
            "digital_id": digital_id,
            "delivery": delivery.value,
        },
    )


def name_key(name: x509.Name) -> str:
    """What equal names have in common (RFC 5280, 7.1): without regard to case and to spaces that mean nothing."""
    rdns = [sorted((each.oid.dotted_string, _folded(each.value)) for each in rdn) for rdn in name.rdns]
    return sha256(json.dumps(rdns).encode()).hexdigest()


def _folded(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


_HELD = (
    select(
        digital_id_certificates.c.user_id,
        digital_id_certificates.c.digital_id,
        digital_id_certificates.c.delivery,
        *(
            getattr(certificates.c, name)
            for name in (
                "authority_id",
                "serial",
                "subject",
                "not_before",
                "not_after",
                "issued_at",
                "state",
                "revocation_reason",
                "revoked_at",
                "certificate_der",
            )
        ),
    )
    .select_from(digital_id_certificates)
    .join(
        certificates,
        (certificates.c.authority_id == digital_id_certificates.c.authority_id)
        & (certificates.c.serial == digital_id_certificates.c.serial),
    )
)


def _held(row: Row[Any]) -> HeldCertificate:
    return HeldCertificate(
        user_id=row.user_id,
        digital_id=row.digital_id,
        delivery=Delivery(row.delivery),
        authority_id=row.authority_id,
        serial=row.serial,
        subject=row.subject,
        not_before=row.not_before,
        not_after=row.not_after,
        issued_at=row.issued_at,
        state=CertificateState(row.state),
        reason=RevocationReason(row.revocation_reason) if row.revocation_reason else None,
        revoked_at=row.revoked_at,
        certificate_der=row.certificate_der,
    )
