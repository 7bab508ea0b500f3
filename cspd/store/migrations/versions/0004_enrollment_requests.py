"""Requests that wait for an administrator's approval."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "enrollment_requests",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("ca", sa.String(33), nullable=False),
        sa.Column("profile", sa.String(80), nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.Text()),
        sa.Column("decided_at", UTCDateTime()),
        sa.Column("reason", sa.Text()),
        sa.Column("authority_id", sa.String(32)),
        sa.Column("serial", SerialNumber()),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_requests"),
    )
    op.create_index("ix_enrollment_requests_digest", "enrollment_requests", ["digest"])
    op.create_index("ix_enrollment_requests_state", "enrollment_requests", ["state", "received_at"])
    op.create_index("ix_enrollment_requests_expires_at", "enrollment_requests", ["expires_at"])


def downgrade() -> None:
    op.drop_table("enrollment_requests")
