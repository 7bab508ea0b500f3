"""Transactions of the Simple Certificate Enrolment Protocol."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scep_transactions",
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("transaction_id", sa.String(256), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("request_id", sa.String(32)),
        sa.Column("authority_id", sa.String(32)),
        sa.Column("serial", SerialNumber()),
        sa.Column("replaced_authority_id", sa.String(32)),
        sa.Column("replaced_serial", SerialNumber()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "transaction_id", name="pk_scep_transactions"),
    )
    op.create_index("ix_scep_transactions_expires_at", "scep_transactions", ["expires_at"])


def downgrade() -> None:
    op.drop_table("scep_transactions")
