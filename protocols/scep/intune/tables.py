"""The table of what Intune has yet to hear."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table

from cspd.store.tables import metadata
from cspd.store.types import SerialNumber, UTCDateTime

scep_intune_notifications = Table(
    "scep_intune_notifications",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("ca", String(40), nullable=False),  # whose [[protocols.scep.intune]] sends it
    Column("transaction_id", String(256), nullable=False),
    Column("csr_der", LargeBinary, nullable=False),
    Column("authority_id", String(32)),  # of the certificate, if there is one
    Column("serial", SerialNumber),
    Column("reason", String(255)),  # why there is none
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UTCDateTime, nullable=False, index=True),  # until then it is somebody's who sends it
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_scep_intune_notifications_ca", "ca", "transaction_id"),
)

__all__ = ["scep_intune_notifications"]
