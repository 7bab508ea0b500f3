"""Registration authorities of the Simple Certificate Enrolment Protocol."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scep_registration_authorities",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("terms", sa.String(64), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("key_reference", sa.String(128), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("chain_pem", sa.Text(), nullable=False),
        sa.Column("not_before", UTCDateTime(), nullable=False),
        sa.Column("not_after", UTCDateTime(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scep_registration_authorities"),
    )
    op.create_index("ix_scep_registration_authorities_holder", "scep_registration_authorities", ["holder"])
    op.create_table(
        "scep_registration_authority_claims",
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("holder", name="pk_scep_registration_authority_claims"),
    )


def downgrade() -> None:
    for table in ("scep_registration_authority_claims", "scep_registration_authorities"):
        op.drop_table(table)
