"""The tables of time-stamp units whose certificates our own CAs issue."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, String, Table, Text

from cspd.store.tables import KEY_IN_USE, metadata
from cspd.store.types import UTCDateTime

# Newest last by created_at. A row stays until its key has been destroyed.
tsp_units = Table(
    "tsp_units",
    metadata,
    Column("id", String(32), primary_key=True),  # random
    Column("issuer", String(64), nullable=False),
    Column("terms", String(64), nullable=False),  # SHA-256 of what conf wanted when it was made
    Column("authority_id", String(32), nullable=False),  # who issued the certificate; no foreign key: CAs get deleted
    Column("key_reference", String(128), nullable=False, info=KEY_IN_USE),
    Column("certificate_der", LargeBinary, nullable=False),
    Column("chain_pem", Text, nullable=False),  # from the issuer of the certificate upwards
    Column("not_before", UTCDateTime, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_tsp_units_issuer", "issuer"),
)

# Who makes the next unit of an issuer now, so that no two nodes do.
tsp_unit_claims = Table(
    "tsp_unit_claims",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("owner", String(80), nullable=False),
    Column("until", UTCDateTime, nullable=False),
)

__all__ = ["tsp_unit_claims", "tsp_units"]
