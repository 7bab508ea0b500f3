"""What an administrator fills in to make a CA (ca.md section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from cspd.authority.values import Authority, CAReference
from cspd.keys.values import KeyType


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRoot:
    """A root CA whose key lives here (R-CA-020)."""

    reference: CAReference
    key_type: KeyType
    subject: x509.Name
    administrators: tuple[str, ...]
    auditors: tuple[str, ...] = ()
    profiles: tuple[str, ...] | None = None
    """None: all profiles that a root may offer."""
    not_after: datetime | None = None
    """None: 20 years."""
    ocsp_enabled: bool = True
    ocsp_key_type: KeyType | None = None
    """None: the CA's own key type (A-8)."""
    crl_days: int | None = None
    """None: CRLs are made on demand (A-4)."""
    delta_crl_hours: int | None = None
    record_before_signing: bool = False
    key_provider: str | None = None
    """None: the configured default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIssuingCA:
    """An issuing CA under a root of the same organization (R-CA-022, R-CA-023)."""

    reference: CAReference
    issuer: str
    """The CA id of the root; under an external one the CA waits for its certificate."""
    key_type: KeyType
    subject: x509.Name
    profiles: tuple[str, ...]
    administrators: tuple[str, ...]
    auditors: tuple[str, ...] = ()
    not_after: datetime | None = None
    """None: 10 years, or the root's end; an external root decides for itself."""
    ocsp_enabled: bool = True
    ocsp_key_type: KeyType | None = None
    """Required when OCSP is enabled."""
    crl_days: int | None = None
    delta_crl_hours: int | None = None
    record_before_signing: bool = False
    key_provider: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExternalRoot:
    """A root whose key is elsewhere (R-CA-021)."""

    reference: CAReference
    certificate_pem: str
    """One self-signed certificate in PEM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRoot:
    """An external root, and what the administrator should know about it."""

    authority: Authority
    warnings: tuple[str, ...] = ()
