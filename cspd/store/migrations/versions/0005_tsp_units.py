"""Time-stamp units whose certificates our own CAs issue."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tsp_units",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("terms", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("key_reference", sa.String(128), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("chain_pem", sa.Text(), nullable=False),
        sa.Column("not_before", UTCDateTime(), nullable=False),
        sa.Column("not_after", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tsp_units"),
    )
    op.create_index("ix_tsp_units_issuer", "tsp_units", ["issuer"])
    op.create_table(
        "tsp_unit_claims",
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name="pk_tsp_unit_claims"),
    )


def downgrade() -> None:
    for table in ("tsp_unit_claims", "tsp_units"):
        op.drop_table(table)
