"""The timestamping authority's tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from cspd.store.tables import metadata
from cspd.store.types import SerialNumber, UTCDateTime
from protocols.tsp.unit_tables import tsp_unit_claims, tsp_units

# One row: the first counter value of serial numbers that no process has reserved.
tsp_serial_counter = Table(
    "tsp_serial_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1
    Column("unreserved", BigInteger, nullable=False),  # microseconds since 1970, roughly: see protocols.tsp.serials
)

tsp_gen_times = Table(
    "tsp_gen_times",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("last_gen_time", BigInteger, nullable=False),  # microseconds since 1970; the latest that was given
)

# The ends of each hash chain of the timestamp log. Locked while its process appends.
tsp_log_chains = Table(
    "tsp_log_chains",
    metadata,
    Column("chain", String(64), primary_key=True),  # one for each writing process slot, as in audit_events
    Column("sequence", BigInteger, nullable=False),  # of the last token
    Column("hash", LargeBinary, nullable=False),
    Column("pruned_sequence", BigInteger, nullable=False),  # of the last token that was removed; 0 for none
    Column("pruned_hash", LargeBinary, nullable=False),
)

tsp_logged_tokens = Table(
    "tsp_logged_tokens",
    metadata,
    Column("chain", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("issuer", String(64), nullable=False),
    Column("serial_number", SerialNumber, nullable=False),
    Column("gen_time", UTCDateTime, nullable=False),
    Column("token_sha256", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),  # of the columns before
    Index("ix_tsp_logged_tokens_serial_number", "serial_number"),
)

__all__ = [
    "tsp_gen_times",
    "tsp_log_chains",
    "tsp_logged_tokens",
    "tsp_serial_counter",
    "tsp_unit_claims",
    "tsp_units",
]
