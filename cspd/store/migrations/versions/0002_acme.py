"""ACME accounts, orders, authorizations, challenges, and the nonces that were used."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "acme_accounts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("directory", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("key", sa.JSON(), nullable=False),
        sa.Column("thumbprint", sa.String(43), nullable=False),
        sa.Column("contact", sa.JSON(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_acme_accounts"),
    )
    op.create_index("uq_acme_accounts_key", "acme_accounts", ["directory", "thumbprint"], unique=True)
    op.create_table(
        "acme_orders",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("directory", sa.String(255), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("identifiers", sa.JSON(), nullable=False),
        sa.Column("authorization_ids", sa.JSON(), nullable=False),
        sa.Column("not_before", UTCDateTime()),
        sa.Column("not_after", UTCDateTime()),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("error", sa.JSON()),
        sa.Column("csr_der", sa.LargeBinary()),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", UTCDateTime()),
        sa.Column("serial", SerialNumber()),
        sa.PrimaryKeyConstraint("id", name="pk_acme_orders"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["acme_accounts.id"], name="fk_acme_orders_account_id_acme_accounts"
        ),
    )
    for column in ("account_id", "expires_at", "serial"):
        op.create_index(f"ix_acme_orders_{column}", "acme_orders", [column])
    op.create_table(
        "acme_authorizations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("directory", sa.String(255), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("order_id", sa.String(32), nullable=False),
        sa.Column("identifier_type", sa.String(32), nullable=False),
        sa.Column("identifier_value", sa.String(255), nullable=False),
        sa.Column("is_wildcard", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_acme_authorizations"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["acme_accounts.id"], name="fk_acme_authorizations_account_id_acme_accounts"
        ),
    )
    op.create_index("ix_acme_authorizations_order_id", "acme_authorizations", ["order_id"])
    op.create_index("ix_acme_authorizations_expires_at", "acme_authorizations", ["expires_at"])
    op.create_index("ix_acme_authorizations_holder", "acme_authorizations", ["account_id", "identifier_value"])
    op.create_table(
        "acme_challenges",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("authorization_id", sa.String(32), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("validated_at", UTCDateTime()),
        sa.Column("error", sa.JSON()),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name="pk_acme_challenges"),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["acme_authorizations.id"],
            name="fk_acme_challenges_authorization_id_acme_authorizations",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_acme_challenges_authorization_id", "acme_challenges", ["authorization_id"])
    op.create_index("ix_acme_challenges_status", "acme_challenges", ["status"])
    op.create_table(
        "acme_used_nonces",
        sa.Column("nonce", sa.String(24), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name="pk_acme_used_nonces"),
    )
    op.create_index("ix_acme_used_nonces_expires_at", "acme_used_nonces", ["expires_at"])


def downgrade() -> None:
    for table in ("acme_used_nonces", "acme_challenges", "acme_authorizations", "acme_orders", "acme_accounts"):
        op.drop_table(table)
