"""The tables of digital IDs."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, PrimaryKeyConstraint, String, Table, Text, UniqueConstraint

from cspd.store.tables import metadata
from cspd.store.types import SerialNumber, UTCDateTime

digital_id_users = Table(
    "digital_id_users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("name_key", String(64), nullable=False),  # SHA-256 of the subject as names are compared
    Column("subject", Text, nullable=False),  # RFC 4514
    Column("created_at", UTCDateTime, nullable=False),
    UniqueConstraint("tenant", "name_key", name="uq_digital_id_users_name_key"),
)

digital_id_challenges = Table(
    "digital_id_challenges",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the challenge, which has 120 random bits
    Column("tenant", String(64), nullable=False),
    Column("digital_id", String(64), nullable=False),
    Column("user_id", String(32), ForeignKey("digital_id_users.id"), nullable=False),
    Column("subject", LargeBinary, nullable=False),  # Name, DER: what the variables of the order gave
    Column("subject_alt_names", LargeBinary),  # GeneralNames, DER
    Column("created_by", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("used_at", UTCDateTime),
)

digital_id_certificates = Table(
    "digital_id_certificates",
    metadata,
    Column("authority_id", String(32), nullable=False),
    Column("serial", SerialNumber, nullable=False),
    Column("user_id", String(32), ForeignKey("digital_id_users.id"), nullable=False, index=True),
    Column("digital_id", String(64), nullable=False),
    Column("delivery", String(16), nullable=False),  # Delivery
    PrimaryKeyConstraint("authority_id", "serial", name="pk_digital_id_certificates"),
)

__all__ = ["digital_id_certificates", "digital_id_challenges", "digital_id_users"]
