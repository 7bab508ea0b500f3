"""What a transaction of the Certificate Management Protocol waits for a proof of possession with."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cmp_transactions", sa.Column("challenged", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    op.drop_column("cmp_transactions", "challenged")
