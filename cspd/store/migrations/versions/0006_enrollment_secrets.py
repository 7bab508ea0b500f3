"""Enrollment secrets that administrators make for clients."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "enrollment_secrets",
        sa.Column("reference", sa.String(16), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("ca", sa.String(33)),
        sa.Column("profile", sa.String(80)),
        sa.Column("one_time", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("encrypted_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime()),
        sa.Column("authority_id", sa.String(32)),
        sa.Column("serial", SerialNumber()),
        sa.Column("revoked_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("reference", name="pk_enrollment_secrets"),
    )
    op.create_index("ix_enrollment_secrets_expires_at", "enrollment_secrets", ["expires_at"])


def downgrade() -> None:
    op.drop_table("enrollment_secrets")
