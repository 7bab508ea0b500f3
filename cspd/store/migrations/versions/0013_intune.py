"""What Microsoft Intune has yet to hear of certificates that its devices asked for."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scep_intune_notifications",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("ca", sa.String(40), nullable=False),
        sa.Column("transaction_id", sa.String(256), nullable=False),
        sa.Column("csr_der", sa.LargeBinary(), nullable=False),
        sa.Column("authority_id", sa.String(32)),
        sa.Column("serial", SerialNumber()),
        sa.Column("reason", sa.String(255)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scep_intune_notifications"),
    )
    op.create_index("ix_scep_intune_notifications_ca", "scep_intune_notifications", ["ca", "transaction_id"])
    op.create_index(
        "ix_scep_intune_notifications_next_attempt_at", "scep_intune_notifications", ["next_attempt_at"]
    )


def downgrade() -> None:
    op.drop_table("scep_intune_notifications")
