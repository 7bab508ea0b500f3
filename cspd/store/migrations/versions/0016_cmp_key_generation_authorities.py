"""Key generation authorities of the Certificate Management Protocol."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import UTCDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cmp_key_generation_authorities",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("ca", sa.String(64), nullable=False),
        sa.Column("terms", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("key_reference", sa.String(128), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("chain_pem", sa.Text(), nullable=False),
        sa.Column("not_before", UTCDateTime(), nullable=False),
        sa.Column("not_after", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cmp_key_generation_authorities"),
    )
    op.create_index("ix_cmp_key_generation_authorities_ca", "cmp_key_generation_authorities", ["ca"])
    op.create_table(
        "cmp_key_generation_authority_claims",
        sa.Column("ca", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("ca", name="pk_cmp_key_generation_authority_claims"),
    )


def downgrade() -> None:
    for table in ("cmp_key_generation_authority_claims", "cmp_key_generation_authorities"):
        op.drop_table(table)
