"""Transactions of the Certificate Management Protocol."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cmp_transactions",
        sa.Column("endpoint", sa.String(160), nullable=False),
        sa.Column("transaction_id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("body_type", sa.String(16), nullable=False),
        sa.Column("profile", sa.String(80), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("protection", sa.String(16), nullable=False),
        sa.Column("sender_nonce", sa.LargeBinary(), nullable=False),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("implicit_confirm", sa.Boolean(), nullable=False),
        sa.Column("requests", sa.JSON(), nullable=False),
        sa.Column("replaced_authority_id", sa.String(32)),
        sa.Column("replaced_serial", SerialNumber()),
        sa.Column("confirm_until", UTCDateTime()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "transaction_id", name="pk_cmp_transactions"),
    )
    op.create_index("ix_cmp_transactions_state", "cmp_transactions", ["state"])
    op.create_index("ix_cmp_transactions_expires_at", "cmp_transactions", ["expires_at"])


def downgrade() -> None:
    op.drop_table("cmp_transactions")
