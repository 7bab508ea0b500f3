"""Digital IDs: users, challenges of MDM-SCEP, and which certificate is whose."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "digital_id_users",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("name_key", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.UniqueConstraint("tenant", "name_key", name="uq_digital_id_users_name_key"),
    )
    op.create_table(
        "digital_id_challenges",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("digital_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(32), sa.ForeignKey("digital_id_users.id"), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("subject_alt_names", sa.LargeBinary()),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime()),
    )
    op.create_index("ix_digital_id_challenges_expires_at", "digital_id_challenges", ["expires_at"])
    op.create_table(
        "digital_id_certificates",
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", SerialNumber(), nullable=False),
        sa.Column("user_id", sa.String(32), sa.ForeignKey("digital_id_users.id"), nullable=False),
        sa.Column("digital_id", sa.String(64), nullable=False),
        sa.Column("delivery", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("authority_id", "serial", name="pk_digital_id_certificates"),
    )
    op.create_index("ix_digital_id_certificates_user_id", "digital_id_certificates", ["user_id"])


def downgrade() -> None:
    op.drop_table("digital_id_certificates")
    op.drop_table("digital_id_challenges")
    op.drop_table("digital_id_users")
