"""RequestIDs of Windows enrollment."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wstep_requests",
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("request_id", sa.Integer(), nullable=False),
        sa.Column("serial", SerialNumber(), nullable=False),
        sa.Column("requester", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("authority_id", "request_id", name="pk_wstep_requests"),
    )


def downgrade() -> None:
    op.drop_table("wstep_requests")
