"""The tables of the core (SQLAlchemy Core).

Protocols declare theirs on the same ``metadata`` in ``protocols.NAME.tables``.

Deployed databases get their schema from ``cspd/store/migrations``; a test proves that both agree.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from cspd.store.types import SerialNumber, UTCDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# An increasing 64-bit key on both databases: SQLite makes a rowid alias only of INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

KEY_IN_USE = {"key_in_use": True}
"""``info`` of a column of ``KeyReference`` text in a table of a protocol: a row binds the token that has its key
(``cspd.keys.deployment``). The tables of a protocol that is switched off bind nothing."""

organizations = Table(
    "organizations",
    metadata,
    Column("name", String(14), primary_key=True),
    Column("administrators", JSON, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

authorities = Table(
    "authorities",
    metadata,
    Column("id", String(32), primary_key=True),  # random; ca_id may be reused after deletion (R-CA-043)
    Column("organization", String(14), ForeignKey("organizations.name"), nullable=False),
    Column("ca_id", String(18), nullable=False),
    Column("kind", String(24), nullable=False),  # AuthorityKind
    Column("state", String(24), nullable=False),  # AuthorityState
    Column("subject_der", LargeBinary, nullable=False),
    Column("key_type", String(16)),
    Column("key_reference", String(128)),  # the current key; None for external roots
    Column("certificate_id", String(32)),  # the current row of authority_certificates; None while pending
    Column("issuer_id", String(32), ForeignKey("authorities.id")),  # None for roots
    Column("ocsp_enabled", Boolean, nullable=False),
    Column("ocsp_key_type", String(16)),
    Column("crl_days", Integer),  # None: CRLs are made on demand only (ca.md A-4)
    Column("delta_crl_hours", Integer),  # None: no delta CRLs
    Column("profiles", JSON, nullable=False),  # list of profile ids
    Column("administrators", JSON, nullable=False),
    Column("auditors", JSON, nullable=False),
    Column("record_before_signing", Boolean, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("deleted_at", UTCDateTime),  # a tombstone blocks the ca_id for 24 hours (R-CA-024)
    Column("revision", Integer, nullable=False, default=1),  # changes of this row; their sum is the version
    Index(
        "uq_authorities_live",
        "organization",
        "ca_id",
        unique=True,
        sqlite_where=text("deleted_at IS NULL"),
        postgresql_where=text("deleted_at IS NULL"),
    ),
)

authority_certificates = Table(
    "authority_certificates",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("authority_id", String(32), ForeignKey("authorities.id"), nullable=False, index=True),
    Column("certificate_der", LargeBinary, nullable=False),
    Column("chain_der", JSON, nullable=False),  # base64 of the issuers' DER, nearest first, root last
    Column("key_reference", String(128)),
    Column("key_index", Integer, nullable=False, default=0),  # 0 for the CA's first key, 1 after the first re-key, ...
    Column("subject_key_identifier", LargeBinary, nullable=False),
    Column("not_before", UTCDateTime, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

enrollment_requests = Table(
    "enrollment_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", String(64), nullable=False),  # of what was asked by whom; the same again finds this row
    Column("ca", String(33), nullable=False),  # organization~ca-id
    Column("profile", String(80), nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("requester", Text, nullable=False),
    Column("address", String(64), nullable=False),
    Column("subject", Text, nullable=False),  # RFC 4514, as asked for
    Column("names", Text, nullable=False),  # subjectAltName values, one a line, as asked for
    Column("request", JSON, nullable=False),  # the EnrollmentRequest
    Column("state", String(16), nullable=False),  # RequestState
    Column("decided_by", Text),
    Column("decided_at", UTCDateTime),
    Column("reason", Text),  # of a denial, or the pipeline's refusal after the approval
    Column("authority_id", String(32)),  # with serial: the certificate
    Column("serial", SerialNumber),
    Column("received_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Index("ix_enrollment_requests_digest", "digest"),
    Index("ix_enrollment_requests_state", "state", "received_at"),
    Index("ix_enrollment_requests_expires_at", "expires_at"),
)

enrollment_secrets = Table(
    "enrollment_secrets",
    metadata,
    Column("reference", String(64), primary_key=True),
    Column("purpose", String(16), nullable=False),  # the protocol that takes it
    Column("identity", Text, nullable=False),
    Column("ca", String(33)),  # organization~ca-id; None: any
    Column("profile", String(80)),  # None: any
    Column("names", JSON),  # list of names that requests may have; None: any
    Column("one_time", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("encrypted_secret", LargeBinary, nullable=False),  # see cspd.keys.encryption for the format
    Column("created_by", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("used_at", UTCDateTime),  # with authority_id and serial: the last certificate it gave
    Column("authority_id", String(32)),
    Column("serial", SerialNumber),
    Column("revoked_at", UTCDateTime),
    Index("ix_enrollment_secrets_expires_at", "expires_at"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("authority_id", String(32), ForeignKey("authorities.id"), primary_key=True),
    Column("serial", SerialNumber, primary_key=True),
    Column("certificate_der", LargeBinary),  # None only for a record before signing whose signature never came
    Column("issuer_certificate_id", String(32), nullable=False),  # which CA certificate signed it
    Column("profile", String(80), nullable=False),
    Column("subject", Text, nullable=False),  # RFC 4514
    Column("names", Text, nullable=False),  # subjectAltName values, one a line, for search
    Column("public_key_sha256", String(64), nullable=False),  # of the SubjectPublicKeyInfo
    Column("not_before", UTCDateTime, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
    Column("issued_at", UTCDateTime, nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("requester", Text, nullable=False),
    Column("state", String(8), nullable=False),  # CertificateState
    Column("revoked_at", UTCDateTime),
    Column("revocation_reason", String(24)),  # RevocationReason
    Column("invalidity_date", UTCDateTime),
    Index("ix_certificates_issued_at", "issued_at"),
    Index("ix_certificates_public_key_sha256", "public_key_sha256"),
    Index(
        "ix_certificates_not_good",
        "authority_id",
        "state",
        sqlite_where=text("state <> 'good'"),
        postgresql_where=text("state <> 'good'"),
    ),
)

# Every change of a certificate's state, in order: OCSP caches of all workers follow it, delta CRLs are made from it.
status_changes = Table(
    "status_changes",
    metadata,
    Column("sequence", _Sequence, primary_key=True, autoincrement=True),
    Column("authority_id", String(32), ForeignKey("authorities.id"), nullable=False),
    Column("serial", SerialNumber, nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", String(24)),
    Column("changed_at", UTCDateTime, nullable=False),
    Index("ix_status_changes_authority", "authority_id", "changed_at"),
)

crls = Table(
    "crls",
    metadata,
    Column("authority_id", String(32), ForeignKey("authorities.id"), primary_key=True),
    Column("key_index", Integer, primary_key=True, autoincrement=False, default=0),  # each key signs its own CRLs
    Column("is_delta", Boolean, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("base_number", BigInteger),
    Column("this_update", UTCDateTime, nullable=False),
    Column("next_update", UTCDateTime, nullable=False),
    Column("status_sequence", BigInteger, nullable=False),  # no change up to it is missing (change_feed)
    Column("entries", Integer, nullable=False),
    Column("crl_der", LargeBinary, nullable=False),
)

ocsp_responders = Table(
    "ocsp_responders",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("authority_id", String(32), ForeignKey("authorities.id"), nullable=False, index=True),
    Column("issuer_certificate_id", String(32), nullable=False),
    Column("key_reference", String(128), nullable=False),
    Column("certificate_der", LargeBinary, nullable=False),
    Column("not_before", UTCDateTime, nullable=False),
    Column("not_after", UTCDateTime, nullable=False),
)

software_keys = Table(
    "software_keys",
    metadata,
    Column("identifier", String(32), primary_key=True),
    Column("key_type", String(16), nullable=False),
    Column("label", Text, nullable=False),
    Column("public_key_der", LargeBinary, nullable=False),  # SubjectPublicKeyInfo
    Column("encrypted_key", LargeBinary, nullable=False),  # see cspd.keys.software for the format
    Column("created_at", UTCDateTime, nullable=False),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("chain", String(64), primary_key=True),  # one for each writing process slot: node name and worker number
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", UTCDateTime, nullable=False),
    Column("event", String(64), nullable=False),  # certificate-issued, certificate-revoked, ca-created, ...
    Column("actor", Text, nullable=False),
    Column("outcome", String(16), nullable=False),  # success | refused | failed
    Column("fields", Text, nullable=False),  # canonical JSON: the bytes that were hashed
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_audit_events_recorded_at", "recorded_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("last_due", UTCDateTime),  # the cron moment that was run last
    Column("lease_owner", String(128)),
    Column("lease_until", UTCDateTime),
    Column("last_started", UTCDateTime),
    Column("last_finished", UTCDateTime),
    Column("last_outcome", Text),
)

# Small values that all nodes share: HMAC keys of nonces, the identity of the installation.
shared_secrets = Table(
    "shared_secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

__all__ = [
    "audit_events",
    "authorities",
    "authority_certificates",
    "certificates",
    "crls",
    "jobs",
    "metadata",
    "ocsp_responders",
    "organizations",
    "shared_secrets",
    "software_keys",
    "status_changes",
]
