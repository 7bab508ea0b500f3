"""The tables of the core."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit_events",
        sa.Column("chain", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_at", _moment, nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_recorded_at", "audit_events", ["recorded_at"])
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("last_due", _moment),
        sa.Column("lease_owner", sa.String(128)),
        sa.Column("lease_until", _moment),
        sa.Column("last_started", _moment),
        sa.Column("last_finished", _moment),
        sa.Column("last_outcome", sa.Text()),
        sa.PrimaryKeyConstraint("name", name="pk_jobs"),
    )
    op.create_table(
        "organizations",
        sa.Column("name", sa.String(14), nullable=False),
        sa.Column("administrators", sa.JSON(), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_organizations"),
    )
    op.create_table(
        "shared_secrets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_shared_secrets"),
    )
    op.create_table(
        "software_keys",
        sa.Column("identifier", sa.String(32), nullable=False),
        sa.Column("key_type", sa.String(16), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("public_key_der", sa.LargeBinary(), nullable=False),
        sa.Column("encrypted_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("identifier", name="pk_software_keys"),
    )
    op.create_table(
        "authorities",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("organization", sa.String(14), nullable=False),
        sa.Column("ca_id", sa.String(18), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("subject_der", sa.LargeBinary(), nullable=False),
        sa.Column("key_type", sa.String(16)),
        sa.Column("key_reference", sa.String(128)),
        sa.Column("certificate_id", sa.String(32)),
        sa.Column("issuer_id", sa.String(32)),
        sa.Column("ocsp_enabled", sa.Boolean(), nullable=False),
        sa.Column("ocsp_key_type", sa.String(16)),
        sa.Column("crl_days", sa.Integer()),
        sa.Column("delta_crl_hours", sa.Integer()),
        sa.Column("profiles", sa.JSON(), nullable=False),
        sa.Column("administrators", sa.JSON(), nullable=False),
        sa.Column("auditors", sa.JSON(), nullable=False),
        sa.Column("record_before_signing", sa.Boolean(), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("deleted_at", _moment),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["issuer_id"], ["authorities.id"], name="fk_authorities_issuer_id_authorities"),
        sa.ForeignKeyConstraint(
            ["organization"], ["organizations.name"], name="fk_authorities_organization_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_authorities"),
    )
    op.create_index(
        "uq_authorities_live",
        "authorities",
        ["organization", "ca_id"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "authority_certificates",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("chain_der", sa.JSON(), nullable=False),
        sa.Column("key_reference", sa.String(128)),
        sa.Column("key_index", sa.Integer(), nullable=False),
        sa.Column("subject_key_identifier", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", _moment, nullable=False),
        sa.Column("not_after", _moment, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["authority_id"], ["authorities.id"], name="fk_authority_certificates_authority_id_authorities"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_authority_certificates"),
    )
    op.create_index("ix_authority_certificates_authority_id", "authority_certificates", ["authority_id"])
    op.create_table(
        "certificates",
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary()),
        sa.Column("issuer_certificate_id", sa.String(32), nullable=False),
        sa.Column("profile", sa.String(80), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("public_key_sha256", sa.String(64), nullable=False),
        sa.Column("not_before", _moment, nullable=False),
        sa.Column("not_after", _moment, nullable=False),
        sa.Column("issued_at", _moment, nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("revoked_at", _moment),
        sa.Column("revocation_reason", sa.String(24)),
        sa.Column("invalidity_date", _moment),
        sa.ForeignKeyConstraint(["authority_id"], ["authorities.id"], name="fk_certificates_authority_id_authorities"),
        sa.PrimaryKeyConstraint("authority_id", "serial", name="pk_certificates"),
    )
    op.create_index("ix_certificates_issued_at", "certificates", ["issued_at"])
    op.create_index(
        "ix_certificates_not_good",
        "certificates",
        ["authority_id", "state"],
        sqlite_where=sa.text("state <> 'good'"),
        postgresql_where=sa.text("state <> 'good'"),
    )
    op.create_index("ix_certificates_public_key_sha256", "certificates", ["public_key_sha256"])
    op.create_table(
        "crls",
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("key_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("is_delta", sa.Boolean(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("base_number", sa.BigInteger()),
        sa.Column("this_update", _moment, nullable=False),
        sa.Column("next_update", _moment, nullable=False),
        sa.Column("status_sequence", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("crl_der", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["authority_id"], ["authorities.id"], name="fk_crls_authority_id_authorities"),
        sa.PrimaryKeyConstraint("authority_id", "key_index", "is_delta", "number", name="pk_crls"),
    )
    op.create_table(
        "ocsp_responders",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("issuer_certificate_id", sa.String(32), nullable=False),
        sa.Column("key_reference", sa.String(128), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", _moment, nullable=False),
        sa.Column("not_after", _moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["authority_id"], ["authorities.id"], name="fk_ocsp_responders_authority_id_authorities"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ocsp_responders"),
    )
    op.create_index("ix_ocsp_responders_authority_id", "ocsp_responders", ["authority_id"])
    op.create_table(
        "status_changes",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("authority_id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(24)),
        sa.Column("changed_at", _moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["authority_id"], ["authorities.id"], name="fk_status_changes_authority_id_authorities"
        ),
        sa.PrimaryKeyConstraint("sequence", name="pk_status_changes"),
    )
    op.create_index("ix_status_changes_authority", "status_changes", ["authority_id", "changed_at"])
