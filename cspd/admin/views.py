"""How cspctl shows our values: JSON objects with times in RFC 3339 (UTC) and serial numbers in hexadecimal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.approvals import KeptRequest
from cspd.authority.organizations import Organization
from cspd.authority.profile_values import Profile
from cspd.authority.urls import StatusURLs
from cspd.authority.values import Authority, AuthorityState, CertificateRecord, CertificateState, PublishedCRL
from cspd.keys.values import KeyDescription, KeyType
from cspd.x509.names import attribute_name
from cspd.x509.object_identifiers import CERTIFICATE_POLICIES, EXTENDED_KEY_USAGES, REQUEST_EXTENSIONS, name_of


def moment(value: datetime | None) -> str | None:
    """``2026-11-24T12:00:00Z`` (R-PLAT-067)."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pem(certificate_der: bytes) -> str:
    """A certificate in PEM."""
    return x509.load_der_x509_certificate(certificate_der).public_bytes(Encoding.PEM).decode()


def chain_pem(certificates_der: Sequence[bytes]) -> str:
    """Certificates in PEM, one behind the other."""
    return "".join(pem(certificate_der) for certificate_der in certificates_der)


def organization(value: Organization) -> dict[str, Any]:
    """An organization."""
    return {
        "name": value.name,
        "administrators": list(value.administrators),
        "created_at": moment(value.created_at),
    }


def authority_row(value: Authority, now: datetime) -> dict[str, Any]:
    """A CA in a list."""
    certificate = value.certificate
    is_expired = certificate is not None and certificate.not_valid_after_utc < now
    is_serving = value.state in (AuthorityState.ACTIVE, AuthorityState.DISABLED)
    return {
        "ca": str(value.reference),
        "type": value.kind.value,
        "state": "expired" if is_expired and is_serving else value.state.value,
        "key_type": value.key_type.value if value.key_type else None,
        "subject": value.subject.rfc4514_string(),
        "not_after": moment(certificate.not_valid_after_utc) if certificate is not None else None,
    }


def authority(value: Authority, now: datetime, *, issuer: str | None, urls: StatusURLs) -> dict[str, Any]:
    """A CA, whole, and where its status is told (R-CA-007)."""
    has_key = value.key is not None
    certificate = value.certificate
    return {
        **authority_row(value, now),
        "id": value.id,
        "issuer": issuer,
        "key": str(value.key) if value.key else None,
        "serial": format(certificate.serial_number, "X") if certificate is not None else None,
        "not_before": moment(certificate.not_valid_before_utc) if certificate is not None else None,
        "ocsp_enabled": value.ocsp_enabled,
        "ocsp_key_type": value.ocsp_key_type.value if value.ocsp_key_type else None,
        "crl_days": value.crl_days,
        "delta_crl_hours": value.delta_crl_hours,
        "record_before_signing": value.record_before_signing,
        "administrators": list(value.administrators),
        "auditors": list(value.auditors),
        "earlier_certificates": len(value.previous),
        "crl_url": urls.crl(value.reference) if has_key else None,
        "ocsp_url": urls.ocsp(value.reference) if has_key and value.ocsp_enabled else None,
        "created_at": moment(value.created_at),
        "profiles": sorted(value.profiles),
    }


def certificate_row(value: CertificateRecord, ca: str, now: datetime) -> dict[str, Any]:
    """An issued certificate in a list."""
    return {
        "ca": ca,
        "serial": format(value.serial, "X"),
        "state": _state(value, now),
        "subject": value.subject,
        "names": list(value.names),
        "profile": value.profile,
        "issued_at": moment(value.issued_at),
        "not_after": moment(value.not_after),
    }


def certificate(value: CertificateRecord, ca: str, now: datetime) -> dict[str, Any]:
    """An issued certificate, whole."""
    status = value.status
    return {
        **certificate_row(value, ca, now),
        "not_before": moment(value.not_before),
        "protocol": value.protocol,
        "requester": value.requester,
        "revoked_at": moment(status.revoked_at),
        "reason": status.reason.value if status.reason else None,
        "pem": pem(value.certificate_der) if value.certificate_der else None,
    }


def enrollment_request_row(value: KeptRequest) -> dict[str, Any]:
    """A request that waits or waited for an approval, in a list."""
    requester = value.request.requester
    return {
        "id": value.id,
        "state": value.state.value,
        "ca": str(value.request.ca),
        "profile": value.request.profile,
        "subject": value.subject,
        "names": list(value.names),
        "requester": f"{requester.protocol}:{requester.identity}",
        "address": requester.address,
        "received_at": moment(value.received_at),
    }


def enrollment_request(value: KeptRequest) -> dict[str, Any]:
    """The same, whole."""
    return {
        **enrollment_request_row(value),
        "expires_at": moment(value.expires_at),
        "decided_by": value.decided_by,
        "decided_at": moment(value.decided_at),
        "reason": value.reason,
        "serial": None if value.serial is None else format(value.serial, "X"),
    }


def profile_row(value: Profile) -> dict[str, Any]:
    """A profile in a list."""
    return {
        "id": value.id,
        "group": value.group,
        "category": value.category.value,
        "description": value.description,
    }


def profile(value: Profile) -> dict[str, Any]:
    """A profile, whole."""
    usage = value.extended_key_usage
    return {
        **profile_row(value),
        "issuer": value.issuer.value,
        "protocols": sorted(value.protocols),
        "modes": sorted(mode.value for mode in value.modes),
        "validity": str(value.validity.default),
        "maximum_validity": str(value.validity.maximum) if value.validity.maximum else None,
        "key_types": [key_type.value for key_type in KeyType if key_type in value.key_types],
        "key_usage": sorted(bit.value for bit in value.key_usage),
        "extended_key_usage": [name_of(oid, EXTENDED_KEY_USAGES) for oid in usage.values] or usage.mode.value,
        "is_ca": value.basic_constraints.ca,
        "path_length": value.basic_constraints.path_length,
        "certificate_policies": [name_of(oid, CERTIFICATE_POLICIES) for oid in value.certificate_policies.fixed],
        "request_extensions": sorted(name_of(oid, REQUEST_EXTENSIONS) for oid in value.request_extensions),
        "subject_required": [attribute_name(oid) for oid in value.subject.required],
        "names_required": value.subject_alt_name.required,
        "names_from_common_name": value.subject_alt_name.fill_from_common_name,
    }


def key(value: KeyDescription, owners: Sequence[str]) -> dict[str, Any]:
    """A private key, by its public facts; ``owners`` are the CAs that sign or signed with it."""
    return {
        "reference": str(value.reference),
        "key_type": value.key_type.value,
        "label": value.label,
        "used_by": list(owners),
    }


def crl(value: PublishedCRL) -> dict[str, Any]:
    """A published CRL."""
    return {
        "number": value.number,
        "delta": value.is_delta,
        "entries": value.entries,
        "this_update": moment(value.this_update),
        "next_update": moment(value.next_update),
    }


def _state(value: CertificateRecord, now: datetime) -> str:
    if value.status.state is CertificateState.GOOD and value.not_after < now:
        return "expired"
    return value.status.state.value
