"""Enrollment secrets may be for requests with certain names only."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("enrollment_secrets") as batch:
        batch.add_column(sa.Column("names", sa.JSON()))


def downgrade() -> None:
    with op.batch_alter_table("enrollment_secrets") as batch:
        batch.drop_column("names")
