"""Units in the store, and the claim of the one node that makes the next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cspd.keys.values import KeyReference
from protocols.tsp.unit_tables import tsp_unit_claims, tsp_units


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRecord:
    """A key, and the certificate that one of our CAs issued for it."""

    id: str
    """32 hexadecimal digits."""
    issuer: str
    terms: str
    """SHA-256, hexadecimal, of what conf wanted: :func:`protocols.tsp.certification.terms_of`."""
    authority_id: str
    key: KeyReference
    certificate_der: bytes
    chain_pem: str
    not_before: datetime
    not_after: datetime
    created_at: datetime


def read_unit_ids(connection: Connection) -> frozenset[str]:
    """The ids of all units of all issuers."""
    return frozenset(connection.execute(select(tsp_units.c.id)).scalars())


def read_units(connection: Connection, issuers: Collection[str] | None = None) -> Sequence[UnitRecord]:
    """The units of these issuers, or all; the newest first."""
    query = select(tsp_units).order_by(tsp_units.c.created_at.desc(), tsp_units.c.id)
    if issuers is not None:
        query = query.where(tsp_units.c.issuer.in_(issuers))
    return [_unit(row) for row in connection.execute(query)]


def insert_unit(connection: Connection, unit: UnitRecord) -> None:
    """Write a new unit."""
    connection.execute(
        insert(tsp_units).values(
            id=unit.id,
            issuer=unit.issuer,
            terms=unit.terms,
            authority_id=unit.authority_id,
            key_reference=str(unit.key),
            certificate_der=unit.certificate_der,
            chain_pem=unit.chain_pem,
            not_before=unit.not_before,
            not_after=unit.not_after,
            created_at=unit.created_at,
        )
    )


def forget_unit(connection: Connection, unit_id: str) -> bool:
    """Take the row of a unit away; its certificate stays among the certificates. False if it had gone already."""
    return connection.execute(delete(tsp_units).where(tsp_units.c.id == unit_id)).rowcount == 1


def claim(connection: Connection, issuer: str, *, owner: str, now: datetime, until: datetime) -> bool:
    """Become the one that makes the issuer's next unit; False while somebody else is."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {"issuer": issuer, "owner": owner, "until": until}
    made = connection.execute(
        dialect.insert(tsp_unit_claims)
        .values(values)
        .on_conflict_do_nothing()
        .returning(tsp_unit_claims.c.issuer)  # psycopg does not count the rows of an INSERT
    )
    if made.first() is not None:
        return True
    taken = connection.execute(
        update(tsp_unit_claims)
        .where(tsp_unit_claims.c.issuer == issuer, tsp_unit_claims.c.until <= now)
        .values(owner=owner, until=until)
    )
    return taken.rowcount == 1


def release(connection: Connection, issuer: str, *, owner: str) -> bool:
    """Give the claim back; False if it had run out and is somebody else's by now."""
    released = connection.execute(
        delete(tsp_unit_claims).where(tsp_unit_claims.c.issuer == issuer, tsp_unit_claims.c.owner == owner)
    )
    return released.rowcount == 1


def _unit(row: Row[Any]) -> UnitRecord:
    return UnitRecord(
        id=row.id,
        issuer=row.issuer,
        terms=row.terms,
        authority_id=row.authority_id,
        key=KeyReference.parse(row.key_reference),
        certificate_der=row.certificate_der,
        chain_pem=row.chain_pem,
        not_before=row.not_before,
        not_after=row.not_after,
        created_at=row.created_at,
    )
