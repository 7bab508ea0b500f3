"""The table of the Certificate Management Protocol."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from cspd.store.tables import metadata
from cspd.store.types import SerialNumber, UTCDateTime

cmp_transactions = Table(
    "cmp_transactions",
    metadata,
    Column("endpoint", String(160), nullable=False),  # organization~ca/profile of the path
    Column("transaction_id", String(32), nullable=False),  # hexadecimal
    Column("state", String(16), nullable=False, index=True),  # TransactionState
    Column("body_type", String(16), nullable=False),  # of the message that began it
    Column("profile", String(80), nullable=False),  # what certProfile chose, or that of the path
    Column("client", Text, nullable=False),  # whose secret or certificate protects its messages
    Column("identity", Text, nullable=False),  # what audit calls the client
    Column("protection", String(16), nullable=False),  # ProtectionKind
    Column("sender_nonce", LargeBinary, nullable=False),  # of our last answer
    Column("request_digest", String(64), nullable=False),  # of the client's last message
    Column("implicit_confirm", Boolean, nullable=False),
    Column("requests", JSON, nullable=False),  # list of CertifiedRequest
    # the message that began it and waits for a popdecr: Challenged
    Column("challenged", JSON(none_as_null=True)),
    Column("replaced_authority_id", String(32)),  # what a kur replaces, until it is revoked
    Column("replaced_serial", SerialNumber),
    Column("confirm_until", UTCDateTime),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    PrimaryKeyConstraint("endpoint", "transaction_id", name="pk_cmp_transactions"),
)

__all__ = ["cmp_transactions"]
