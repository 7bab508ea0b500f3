"""Serial numbers, ordered times and the log of the timestamping authority."""

import sqlalchemy as sa
from alembic import op

from cspd.store.types import SerialNumber, UTCDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tsp_serial_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unreserved", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tsp_serial_counter"),
    )
    op.create_table(
        "tsp_gen_times",
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("last_gen_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name="pk_tsp_gen_times"),
    )
    op.create_table(
        "tsp_log_chains",
        sa.Column("chain", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("pruned_sequence", sa.BigInteger(), nullable=False),
        sa.Column("pruned_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_tsp_log_chains"),
    )
    op.create_table(
        "tsp_logged_tokens",
        sa.Column("chain", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("issuer", sa.String(64), nullable=False),
        sa.Column("serial_number", SerialNumber(), nullable=False),
        sa.Column("gen_time", UTCDateTime(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name="pk_tsp_logged_tokens"),
    )
    op.create_index("ix_tsp_logged_tokens_serial_number", "tsp_logged_tokens", ["serial_number"])


def downgrade() -> None:
    for table in ("tsp_logged_tokens", "tsp_log_chains", "tsp_gen_times", "tsp_serial_counter"):
        op.drop_table(table)
