"""Enrollment secrets that were made elsewhere have names of up to 64 characters."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("enrollment_secrets") as batch:
        batch.alter_column("reference", existing_type=sa.String(16), type_=sa.String(64), existing_nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("enrollment_secrets") as batch:
        batch.alter_column("reference", existing_type=sa.String(64), type_=sa.String(16), existing_nullable=False)
