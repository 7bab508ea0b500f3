"""OCSP responders in the store: one wins where several nodes make one at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from cspd.keys.values import KeyReference
from cspd.store.tables import authorities, ocsp_responders


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """A key that answers for one key of a CA, and the certificate that says so."""

    id: str
    """32 hexadecimal digits."""
    authority_id: str
    issuer_certificate_id: str
    """Which certificate of the CA its certificate was signed under."""
    key: KeyReference
    certificate_der: bytes
    not_before: datetime
    not_after: datetime


def read_responder(
    connection: Connection, authority_id: str, issuer_certificate_ids: Sequence[str]
) -> Responder | None:
    """The responder that lasts longest among those signed under one of these CA certificates; it may have expired."""
    row = connection.execute(
        select(ocsp_responders)
        .where(
            ocsp_responders.c.authority_id == authority_id,
            ocsp_responders.c.issuer_certificate_id.in_(issuer_certificate_ids),
        )
        .order_by(ocsp_responders.c.not_after.desc(), ocsp_responders.c.not_before.desc(), ocsp_responders.c.id)
        .limit(1)
    ).first()
    return None if row is None else _responder(row)


def read_expired(connection: Connection, now: datetime) -> Sequence[Responder]:
    """Every responder whose certificate ended before ``now``."""
    rows = connection.execute(select(ocsp_responders).where(ocsp_responders.c.not_after < now))
    return [_responder(row) for row in rows]


def lock_authority(connection: Connection, authority_id: str) -> None:
    """Let other nodes' transactions that ask the same wait for this one; SQLite has one writer anyway."""
    connection.execute(select(authorities.c.id).where(authorities.c.id == authority_id).with_for_update(key_share=True))


def insert_responder(connection: Connection, responder: Responder) -> None:
    """Write a new responder."""
    connection.execute(
        insert(ocsp_responders).values(
            id=responder.id,
            authority_id=responder.authority_id,
            issuer_certificate_id=responder.issuer_certificate_id,
            key_reference=str(responder.key),
            certificate_der=responder.certificate_der,
            not_before=responder.not_before,
            not_after=responder.not_after,
        )
    )


def forget_responder(connection: Connection, responder_id: str) -> None:
    """Take the row of a responder away; its certificate stays among the certificates."""
    connection.execute(delete(ocsp_responders).where(ocsp_responders.c.id == responder_id))


def _responder(row: Row[Any]) -> Responder:
    return Responder(
        id=row.id,
        authority_id=row.authority_id,
        issuer_certificate_id=row.issuer_certificate_id,
        key=KeyReference.parse(row.key_reference),
        certificate_der=row.certificate_der,
        not_before=row.not_before,
        not_after=row.not_after,
    )
