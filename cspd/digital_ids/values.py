"""What digital IDs are made of, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cryptography import x509

from cspd.authority.values import CAReference, CertificateState, RevocationReason
from cspd.digital_ids.rdn_format import RDNFormat


class Delivery(Enum):
    """How a certificate reached its user."""

    SCEP = "scep"
    """The device made its key and enrolled with a challenge."""
    PKCS12 = "pkcs12"
    """With a key that was made here and not kept."""
    CSR = "csr"
    """The product sent a certification request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitalID:
    """One ``[[digital_ids.configurations]]``: what certificates of it are like."""

    name: str
    ca: CAReference
    profile: str
    rdn_format: RDNFormat
    parent: x509.Name
    """What follows the format's RDNs; empty for none."""
    keeps_requested_names: bool = False
    """The subjectAltName of a device's request is kept; otherwise it has what the product ordered."""

    def subject(self, variables: Mapping[str, str]) -> x509.Name:
        """The subject for these variables: the format's RDNs, then the parent (R-CEG-089).

        Raises Malformed, code ``missing-variable``, and BadName.
        """
        return self.rdn_format.build(variables, self.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user or a device: everything that was ordered with the same variables belongs to it (R-CEG-090)."""

    id: str
    """32 hexadecimal digits."""
    tenant: str
    subject: str
    """RFC 4514, as it was first ordered."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """An order that waits for a device; the challenge itself is not in it."""

    digest: str
    """SHA-256 of the challenge, hexadecimal."""
    tenant: str
    digital_id: str
    user_id: str
    subject: x509.Name
    subject_alt_names: tuple[x509.GeneralName, ...]
    created_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChallenge:
    """A challenge that was just made; nothing gives ``secret`` again."""

    challenge: Challenge
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCertificate:
    """A certificate of a user."""

    user_id: str
    digital_id: str
    delivery: Delivery
    authority_id: str
    serial: int
    subject: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    state: CertificateState
    reason: RevocationReason | None
    revoked_at: datetime | None
    certificate_der: bytes
