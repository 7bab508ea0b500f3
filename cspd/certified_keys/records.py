"""Certified keys in the store, and the claim of the one node that makes the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cspd.certified_keys.values import CertifiedKey
from cspd.keys.values import KeyReference


@dataclass(frozen=True, slots=True)
class CertifiedKeyRecords:
    """The rows of one protocol; ``keys`` and ``claims`` are as :mod:`cspd.certified_keys.tables` makes them."""

    keys: Table
    claims: Table

    def read_ids(self, connection: Connection) -> frozenset[str]:
        """The ids of all keys of all holders."""
        return frozenset(connection.execute(select(self.keys.c.id)).scalars())

    def read(self, connection: Connection, holder: str | None = None) -> Sequence[CertifiedKey]:
        """The keys of this holder, or all; the newest first."""
        query = select(*self.keys.c).order_by(self.keys.c.created_at.desc(), self.keys.c.id)
        if holder is not None:
            query = query.where(self.keys.c.holder == holder)
        return [self._key(row) for row in connection.execute(query)]

    def insert(self, connection: Connection, key: CertifiedKey) -> None:
        """Write a new key."""
        connection.execute(
            insert(self.keys).values(
                id=key.id,
                holder=key.holder,
                terms=key.terms,
                authority_id=key.authority_id,
                key_reference=str(key.key),
                certificate_der=key.certificate_der,
                chain_pem=key.chain_pem,
                not_before=key.not_before,
                not_after=key.not_after,
                created_at=key.created_at,
            )
        )

    def forget(self, connection: Connection, key_id: str) -> bool:
        """Take the row of a key away; its certificate stays among the certificates. False if it had gone already."""
        return connection.execute(delete(self.keys).where(self.keys.c.id == key_id)).rowcount == 1

    def claim(self, connection: Connection, holder: str, *, owner: str, now: datetime, until: datetime) -> bool:
        """Become the one that makes the holder's next key; False while somebody else is."""
        claims = self.claims
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        made = connection.execute(
            dialect.insert(claims)
            .values({claims.c.holder: holder, claims.c.owner: owner, claims.c.until: until})
            .on_conflict_do_nothing()
            .returning(claims.c.holder)  # psycopg does not count the rows of an INSERT
        )
        if made.first() is not None:
            return True
        taken = connection.execute(
            update(claims).where(claims.c.holder == holder, claims.c.until <= now).values(owner=owner, until=until)
        )
        return taken.rowcount == 1

    def release(self, connection: Connection, holder: str, *, owner: str) -> bool:
        """Give the claim back; False if it had run out and is somebody else's by now."""
        released = connection.execute(
            delete(self.claims).where(self.claims.c.holder == holder, self.claims.c.owner == owner)
        )
        return released.rowcount == 1

    def _key(self, row: Row[Any]) -> CertifiedKey:
        return CertifiedKey(
            id=row.id,
            holder=row._mapping[self.keys.c.holder],  # whose name is the protocol's own
            terms=row.terms,
            authority_id=row.authority_id,
            key=KeyReference.parse(row.key_reference),
            certificate_der=row.certificate_der,
            chain_pem=row.chain_pem,
            not_before=row.not_before,
            not_after=row.not_after,
            created_at=row.created_at,
        )


__all__ = ["CertifiedKeyRecords"]
