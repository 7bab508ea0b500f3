"""The two tables that a protocol has for its certified keys."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, String, Table, Text

from cspd.store.tables import KEY_IN_USE, metadata
from cspd.store.types import UTCDateTime


def certified_key_table(name: str, *, holder: str) -> Table:
    """The keys; ``holder`` is the name of the column that says whose they are.

    Newest last by created_at. A row stays until its key has been destroyed.
    """
    return Table(
        name,
        metadata,
        Column("id", String(32), primary_key=True),  # random
        Column(holder, String(64), key="holder", nullable=False),
        Column("terms", String(64), nullable=False),  # SHA-256 of what conf wanted when it was made
        Column("authority_id", String(32), nullable=False),  # who issued; no foreign key: CAs get deleted
        Column("key_reference", String(128), nullable=False, info=KEY_IN_USE),
        Column("certificate_der", LargeBinary, nullable=False),
        Column("chain_pem", Text, nullable=False),  # from the issuer of the certificate upwards
        Column("not_before", UTCDateTime, nullable=False),
        Column("not_after", UTCDateTime, nullable=False),
        Column("created_at", UTCDateTime, nullable=False),
        Index(f"ix_{name}_{holder}", "holder"),
    )


def claim_table(name: str, *, holder: str) -> Table:
    """Who makes the next key of a holder now, so that no two nodes do."""
    return Table(
        name,
        metadata,
        Column(holder, String(64), key="holder", primary_key=True),
        Column("owner", String(80), nullable=False),
        Column("until", UTCDateTime, nullable=False),
    )


__all__ = ["certified_key_table", "claim_table"]
