"""The table of Windows enrollment: which RequestID a certificate has, and who may ask for it again."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Table

from cspd.store.tables import metadata
from cspd.store.types import SerialNumber, UTCDateTime

wstep_requests = Table(
    "wstep_requests",
    metadata,
    Column("authority_id", String(32), nullable=False),
    Column("request_id", Integer, nullable=False),  # 1 to 2147483647: a LONG of Windows
    Column("serial", SerialNumber, nullable=False),
    Column("requester", String(200), nullable=False),  # SID of the account, or section and name of a static user
    Column("created_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("authority_id", "request_id", name="pk_wstep_requests"),
)

__all__ = ["wstep_requests"]
