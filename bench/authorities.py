"""The CA of a benchmark, straight into the store."""

from __future__ import annotations

import secrets
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, insert

from cspd.authority.rows import NewCACertificate, insert_authority, insert_certificate
from cspd.authority.values import Authority, AuthorityKind, AuthorityState, CAReference
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyType
from cspd.store.interfaces import Database
from cspd.store.tables import organizations

CA = CAReference("bench", "ca")


async def make_ca(
    database: Database,
    keys: Keys,
    clock: Clock,
    *,
    kind: AuthorityKind = AuthorityKind.ROOT,
    profiles: frozenset[str] = frozenset(),
) -> x509.Certificate:
    """Store a P-256 CA that signs itself; gives its certificate."""
    key = await keys.generate(KeyType.EC_P256, label="bench")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench CA")])
    public_key = await keys.public_key(key)
    now = clock.now().replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    certificate = await keys.sign(key, lambda private_key: builder.sign(private_key, hashes.SHA256()))
    certificate_der = certificate.public_bytes(Encoding.DER)
    authority_id, certificate_id = secrets.token_hex(16), secrets.token_hex(16)

    def write(connection: Connection) -> None:
        connection.execute(insert(organizations).values(name="bench", administrators=[], created_at=now))
        insert_authority(
            connection,
            Authority(
                id=authority_id,
                reference=CA,
                kind=kind,
                state=AuthorityState.ACTIVE,
                subject=name,
                key_type=KeyType.EC_P256,
                key=key,
                certificate_id=certificate_id,
                certificate=certificate,
                certificate_der=certificate_der,
                chain_der=(),
                issuer_id=None,
                ocsp_enabled=True,
                ocsp_key_type=KeyType.EC_P256,
                crl_days=None,
                delta_crl_hours=None,
                profiles=profiles,
                created_at=now,
            ),
        )
        insert_certificate(
            connection,
            authority_id,
            NewCACertificate(
                id=certificate_id,
                certificate=certificate,
                certificate_der=certificate_der,
                chain_der=(),
                key=key,
                key_index=0,
                created_at=now,
            ),
        )

    await database.write(write)
    return certificate
