"""ACME's tables."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, Text

from cspd.store.tables import metadata
from cspd.store.types import SerialNumber, UTCDateTime

acme_accounts = Table(
    "acme_accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("directory", String(255), nullable=False),  # tenant/authority id/profile
    Column("status", String(16), nullable=False),  # AccountStatus
    Column("key", JSON, nullable=False),  # the canonical public JWK
    Column("thumbprint", String(43), nullable=False),  # RFC 7638, SHA-256, base64url
    Column("contact", JSON, nullable=False),  # list of URLs
    Column("created_at", UTCDateTime, nullable=False),
    Index("uq_acme_accounts_key", "directory", "thumbprint", unique=True),
)

acme_orders = Table(
    "acme_orders",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("directory", String(255), nullable=False),
    Column("account_id", String(32), ForeignKey("acme_accounts.id"), nullable=False, index=True),
    Column("status", String(16), nullable=False),  # OrderStatus
    Column("identifiers", JSON, nullable=False),  # list of {type, value}, wildcards with their "*."
    Column("authorization_ids", JSON, nullable=False),
    Column("not_before", UTCDateTime),
    Column("not_after", UTCDateTime),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("created_at", UTCDateTime, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("csr_der", LargeBinary),  # from the move to processing on: what recovery issues from
    Column("lease_owner", String(64)),  # who issues; a dead owner's lease ends and recovery takes over
    Column("lease_until", UTCDateTime),
    Column("serial", SerialNumber, index=True),
)

acme_authorizations = Table(
    "acme_authorizations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("directory", String(255), nullable=False),
    Column("account_id", String(32), ForeignKey("acme_accounts.id"), nullable=False),
    Column("order_id", String(32), nullable=False, index=True),  # outlives its order, so no foreign key
    Column("identifier_type", String(32), nullable=False),
    Column("identifier_value", String(255), nullable=False),
    Column("is_wildcard", Boolean, nullable=False),
    Column("status", String(16), nullable=False),  # AuthorizationStatus
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("created_at", UTCDateTime, nullable=False),
    Index("ix_acme_authorizations_holder", "account_id", "identifier_value"),
)

acme_challenges = Table(
    "acme_challenges",
    metadata,
    Column("id", String(32), primary_key=True),
    Column(
        "authorization_id",
        String(32),
        ForeignKey("acme_authorizations.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("type", String(32), nullable=False),
    Column("token", Text, nullable=False),
    Column("status", String(16), nullable=False, index=True),  # ChallengeStatus
    Column("validated_at", UTCDateTime),
    Column("error", JSON(none_as_null=True)),
    Column("lease_owner", String(64)),  # who validates; over all nodes one at a time
    Column("lease_until", UTCDateTime),
)

acme_used_nonces = Table(
    "acme_used_nonces",
    metadata,
    Column("nonce", String(24), primary_key=True),  # its unsealed part
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

__all__ = ["acme_accounts", "acme_authorizations", "acme_challenges", "acme_orders", "acme_used_nonces"]
