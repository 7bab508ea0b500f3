"""CAs between the store's rows and :class:`cspd.authority.values.Authority`."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, Row, func, select, update

from cspd.authority.values import (
    Authority,
    AuthorityKind,
    AuthorityState,
    CACertificate,
    CAReference,
)
from cspd.keys.values import KeyReference, KeyType
from cspd.store.tables import authorities, authority_certificates
from cspd.x509.identifiers import subject_key_identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCACertificate:
    """A CA certificate to be stored."""

    id: str
    certificate: x509.Certificate
    certificate_der: bytes
    chain_der: tuple[bytes, ...]
    key: KeyReference | None
    key_index: int
    created_at: datetime


def read_revision(connection: Connection) -> int:
    """A number that changes whenever any CA does, on any node."""
    return int(connection.execute(select(func.coalesce(func.sum(authorities.c.revision), 0))).scalar_one())


def read_authorities(
    connection: Connection, *, parsed: Mapping[str, x509.Certificate], only: str | None = None
) -> Sequence[Authority]:
    """All live CAs, or the one with the id ``only``.

    ``parsed`` has certificates by the id of their row, which never changes, so that each is parsed once in a process.
    """
    query = select(authorities).where(authorities.c.state != AuthorityState.DELETED.value)
    certificates_query = select(authority_certificates).order_by(authority_certificates.c.created_at.desc())
    if only is not None:
        query = query.where(authorities.c.id == only)
        certificates_query = certificates_query.where(authority_certificates.c.authority_id == only)
    certificate_rows: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(certificates_query):
        certificate_rows[row.authority_id].append(row)
    return [_authority(row, certificate_rows[row.id], parsed) for row in connection.execute(query)]


def insert_authority(connection: Connection, authority: Authority) -> None:
    """Write a new CA; its certificates are written by :func:`insert_certificate`."""
    connection.execute(
        authorities.insert().values(
            id=authority.id,
            organization=authority.reference.organization,
            ca_id=authority.reference.ca_id,
            kind=authority.kind.value,
            state=authority.state.value,
            subject_der=authority.subject.public_bytes(),
            key_type=authority.key_type.value if authority.key_type else None,
            key_reference=str(authority.key) if authority.key else None,
            certificate_id=authority.certificate_id,
            issuer_id=authority.issuer_id,
            ocsp_enabled=authority.ocsp_enabled,
            ocsp_key_type=authority.ocsp_key_type.value if authority.ocsp_key_type else None,
            crl_days=authority.crl_days,
            delta_crl_hours=authority.delta_crl_hours,
            profiles=sorted(authority.profiles),
            administrators=list(authority.administrators),
            auditors=list(authority.auditors),
            record_before_signing=authority.record_before_signing,
            created_at=authority.created_at,
            revision=1,
        )
    )


def insert_certificate(connection: Connection, authority_id: str, new: NewCACertificate) -> None:
    """Write one certificate of a CA."""
    connection.execute(
        authority_certificates.insert().values(
            id=new.id,
            authority_id=authority_id,
            certificate_der=new.certificate_der,
            chain_der=[base64.b64encode(der).decode("ascii") for der in new.chain_der],
            key_reference=str(new.key) if new.key else None,
            key_index=new.key_index,
            subject_key_identifier=key_identifier(new.certificate),
            not_before=new.certificate.not_valid_before_utc,
            not_after=new.certificate.not_valid_after_utc,
            created_at=new.created_at,
        )
    )


def change_authority(connection: Connection, authority_id: str, **values: Any) -> None:
    """Change columns of a CA, and its revision with them, so that every node learns of it."""
    connection.execute(
        update(authorities)
        .where(authorities.c.id == authority_id)
        .values(revision=authorities.c.revision + 1, **values)
    )


def key_identifier(certificate: x509.Certificate) -> bytes:
    """What an AKI of certificates and CRLs under this CA says: its subjectKeyIdentifier (RFC 5280, 4.2.1.1).

    A foreign root without one gets the identifier that we would have written.
    """
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return subject_key_identifier(certificate.public_key())


def _authority(
    row: Row[Any], certificate_rows: Sequence[Row[Any]], parsed: Mapping[str, x509.Certificate]
) -> Authority:
    current = next((each for each in certificate_rows if each.id == row.certificate_id), None)
    certificate = None
    if current is not None:
        certificate = parsed.get(current.id) or x509.load_der_x509_certificate(current.certificate_der)
    return Authority(
        id=row.id,
        reference=CAReference(row.organization, row.ca_id),
        kind=AuthorityKind(row.kind),
        state=AuthorityState(row.state),
        subject=x509.Name.from_bytes(row.subject_der) if certificate is None else certificate.subject,
        key_type=KeyType(row.key_type) if row.key_type else None,
        key=KeyReference.parse(row.key_reference) if row.key_reference else None,
        certificate_id=row.certificate_id,
        certificate=certificate,
        certificate_der=None if current is None else current.certificate_der,
        chain_der=() if current is None else tuple(base64.b64decode(text) for text in current.chain_der),
        issuer_id=row.issuer_id,
        ocsp_enabled=row.ocsp_enabled,
        ocsp_key_type=KeyType(row.ocsp_key_type) if row.ocsp_key_type else None,
        crl_days=row.crl_days,
        delta_crl_hours=row.delta_crl_hours,
        profiles=frozenset(row.profiles),
        administrators=tuple(row.administrators),
        auditors=tuple(row.auditors),
        record_before_signing=row.record_before_signing,
        created_at=row.created_at,
        key_index=0 if current is None else current.key_index,
        previous=tuple(_ca_certificate(each) for each in certificate_rows if each.id != row.certificate_id),
    )


def _ca_certificate(row: Row[Any]) -> CACertificate:
    return CACertificate(
        id=row.id,
        certificate_der=row.certificate_der,
        key=KeyReference.parse(row.key_reference) if row.key_reference else None,
        not_before=row.not_before,
        not_after=row.not_after,
        key_index=row.key_index,
    )
