"""The table of the Simple Certificate Enrolment Protocol's transactions.

There is a row for each certificate issued lately and each request that waits for approval, and for nothing else: nobody
fills it who may not enroll.
"""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, String, Table

from cspd.store.tables import metadata
from cspd.store.types import SerialNumber, UTCDateTime

scep_transactions = Table(
    "scep_transactions",
    metadata,
    Column("endpoint", String(64), nullable=False),  # SHA-256 of what the path names, hexadecimal
    Column("transaction_id", String(256), nullable=False),
    Column("client", String(64), nullable=False),  # SHA-256 of the signer's public key
    Column("request_digest", String(64), nullable=False),  # what two transmissions of one request have in common
    Column("subject", LargeBinary, nullable=False),  # of the request, DER
    Column("request_id", String(32)),  # of the approval, where one is needed
    Column("authority_id", String(32)),
    Column("serial", SerialNumber),  # of the certificate, when there is one
    Column("replaced_authority_id", String(32)),  # what is to be revoked once there is one, until it is
    Column("replaced_serial", SerialNumber),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    PrimaryKeyConstraint("endpoint", "transaction_id", name="pk_scep_transactions"),
)

__all__ = ["scep_transactions"]
