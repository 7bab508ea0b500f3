"""Rows for tests of the store: one organization, one CA, and as many certificates as wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, insert

from cspd.store.tables import authorities, certificates, organizations

MOMENT = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
AUTHORITY = "a" * 32


def add_authority(connection: Connection) -> None:
    """The organization ``demo`` with the CA ``issuing``."""
    connection.execute(insert(organizations).values(name="demo", administrators=[], created_at=MOMENT))
    connection.execute(
        insert(authorities).values(
            id=AUTHORITY,
            organization="demo",
            ca_id="issuing",
            kind="issuing",
            state="active",
            subject_der=b"0\x00",
            ocsp_enabled=True,
            profiles=["basic"],
            administrators=[],
            auditors=[],
            record_before_signing=False,
            created_at=MOMENT,
        )
    )


def add_certificate(connection: Connection, serial: int, *, certificate_der: bytes = b"\x30" * 900) -> None:
    """A good certificate of that CA."""
    connection.execute(
        _INSERT,
        {
            "authority_id": AUTHORITY,
            "serial": serial,
            "certificate_der": certificate_der,
            "issuer_certificate_id": "c" * 32,
            "profile": "basic",
            "subject": f"CN={serial}",
            "names": f"{serial}.example",
            "public_key_sha256": format(serial * 0x9E3779B97F4A7C15 & (1 << 64) - 1, "016x") * 4,
            "not_before": MOMENT,
            "not_after": MOMENT + timedelta(days=90),
            "issued_at": MOMENT,
            "protocol": "acme",
            "requester": "acme:somebody",
            "state": "good",
        },
    )


_INSERT = insert(certificates)
