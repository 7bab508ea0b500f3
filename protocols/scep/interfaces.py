"""What the parts of the Simple Certificate Enrolment Protocol know of each other.

A request goes through them in this order: :class:`Places` (the URL), :class:`RegistrationAuthorities` (whose key opens
the envelope and signs the answer), then for a request for a certificate the :class:`Authorizer` of its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cspd.authority.approvals import KeptWith
from cspd.authority.interfaces import Recorded
from cspd.authority.values import CAReference, CertificateRecord, Issued
from cspd.x509.csr import CertificationRequest
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.codec import MessageSigner
from protocols.scep.envelope import RecipientKey
from protocols.scep.messages import MessageType


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which conditions one CA and profile are served at one URL."""

    ca: CAReference
    profile: str
    policy: AlgorithmPolicy = field(default_factory=AlgorithmPolicy)
    renewal_without_challenge: bool = False
    """A request that is signed with a valid certificate of the same CA needs no password (R-CEG-070)."""
    revoke_replaced: bool = False
    """A certificate is revoked as superseded once its successor is issued (R-CEG-067)."""
    gives_crls: bool = True
    """GetCRL is answered."""
    next_ca: CAReference | None = None
    """The CA that follows, whose certificates GetNextCACert gives; None does not answer it."""
    approval: bool = False
    """Each request waits for somebody's approval."""
    approval_lifetime: timedelta = timedelta(days=7)
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Who is served, by address; none is for everybody (R-CEGI-096)."""
    signed_by_others: bool = False
    """A message may be signed with another key than that of its request, by who hands on requests of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestForCertificate:
    """An opened PKCSReq, RenewalReq or UpdateReq: its signature and proof of possession are verified."""

    message_type: MessageType
    transaction_id: str
    csr_der: bytes = field(repr=False)
    csr: CertificationRequest
    challenge_password: str | None = field(default=None, repr=False)
    signer: x509.Certificate
    """Who signed the message; self-signed for who has no certificate yet."""
    replaces: CertificateRecord | None = None
    """The signer's certificate, if the CA of the terms issued it, it is valid, and it may be replaced."""
    terms: Terms
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """That a request may become a certificate, and what of it is changed."""

    identity: str
    """Who asked, for the audit trail and the certificate's record."""
    protocol: str = "scep"
    """For the same: ``scep``, ``intune``, ``mdm``."""
    recorded: Recorded | None = None
    """Runs in the transaction that stores the certificate."""
    kept_with: KeptWith | None = None
    """Instead, in the transaction that keeps a request that waits for approval."""
    subject: x509.Name | None = None
    """Replaces the subject of the request."""
    subject_alt_names: tuple[x509.GeneralName, ...] | None = None
    """Replaces the subjectAltName of the request."""


class Authorizer(Protocol):
    """Decides whether a request may become a certificate: by a password, by Intune, by a challenge of an MDM."""

    async def authorize(self, request: RequestForCertificate) -> Authorization:
        """Raises :class:`cspd.refusals.Refused` or :class:`protocols.scep.errors.PKIMessageRefused`, and then nothing
        is issued: Unauthorized (which becomes badMessageCheck) for a wrong password, Unavailable if it cannot be known
        now. Not called for the retransmission of a request that was answered."""
        ...

    async def issued(self, request: RequestForCertificate, authorization: Authorization, issued: Issued) -> None:
        """The certificate is durable and on its way. Must not raise, nor take long.

        Not called for a request that waited for somebody's approval; that is kept with ``kept_with``.
        """
        ...

    async def refused(self, request: RequestForCertificate, authorization: Authorization, reason: str) -> None:
        """The request was authorized and yet there is no certificate. Must not raise, nor take long."""
        ...

    async def passwords(self, terms: Terms) -> Sequence[bytes]:
        """Passwords that envelopes may be encrypted with (RFC 8894, 3.1); few, since each that is tried takes long."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is served at a URL."""

    terms: Terms
    authorizer: Authorizer


class Places(Protocol):
    """Finds what is served at URLs of one form."""

    async def find(self, tenant: str, *names: str) -> Place:
        """By the percent-decoded names in the path: tenant, CA and profile, or tenant and digital ID.

        Raises :class:`cspd.refusals.NotFound` for what is not served.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationAuthority:
    """Who speaks for a CA: its certificates for signing and for encryption, which may be one (RFC 8894, 2.1.2)."""

    certificates_der: tuple[bytes, ...]
    """What GetCACert gives: the certificates of the registration authority, the CA's, those above it, root last."""
    signing_certificate_der: bytes
    signer: Callable[[hashes.HashAlgorithm], MessageSigner] = field(repr=False)
    """Gives what signs answers, with the digest of the request."""
    recipients: tuple[RecipientKey, ...]
    """Certificates that clients may have enveloped for, the newest first: earlier ones open envelopes for a while."""


class RegistrationAuthorities(Protocol):
    """Keeps the registration authorities of CAs. Answers come from memory."""

    async def of(self, ca: CAReference) -> RegistrationAuthority:
        """Raises :class:`cspd.refusals.NotFound` for a CA without (R-CEG-058), Unavailable if it cannot be used now."""
        ...
