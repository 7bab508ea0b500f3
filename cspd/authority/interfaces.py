"""The three verbs of the core (enroll, revoke, status) and the look-ups around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection

from cspd.authority.values import (
    Authority,
    CAReference,
    CertificateRecord,
    CertificateStatus,
    EnrollmentRequest,
    Issued,
    Pending,
    PublishedCRL,
    Requester,
    RevocationRequest,
)


class Authorities(Protocol):
    """Finds CAs. Answers come from memory; a change by another node shows within a second."""

    async def get(self, reference: CAReference) -> Authority:
        """The CA of that name; raises :class:`cspd.refusals.NotFound` for an unknown or deleted one."""
        ...

    async def by_id(self, authority_id: str) -> Authority:
        """The CA with that internal id; raises NotFound."""
        ...

    async def list(self, organization: str | None = None) -> Sequence[Authority]:
        """The live CAs of one organization, or of all."""
        ...


Recorded = Callable[[Connection, str, int], None]
"""Runs in the transaction that stores a certificate, with its CA's id and its serial number: what belongs to the
certificate becomes durable with it or not at all. May raise Conflict, and then there is no certificate."""


class Issuance(Protocol):
    """Issues certificates."""

    async def enroll(self, request: EnrollmentRequest, *, recorded: Recorded | None = None) -> Issued | Pending:
        """Resolve CA and profile, check everything, sign, store durably, audit; then answer.

        Raises NotFound (CA, profile not enabled on it), Conflict (CA not active), Malformed, the subclasses of
        Rejected, and Unavailable.
        """
        ...

    async def check(self, request: EnrollmentRequest) -> None:
        """Decide everything as :meth:`enroll` does, and issue nothing; raises what that would raise."""
        ...


class Revocation(Protocol):
    """Changes the state of issued certificates. Every change is durable and audited when the call returns."""

    async def revoke(self, request: RevocationRequest) -> CertificateStatus:
        """Revoke, or hold when the reason is certificateHold.

        Raises NotFound for a serial the CA did not issue, AlreadyRevoked, BadRevocationReason. A held certificate may
        be revoked.
        """
        ...

    async def unhold(self, ca: CAReference, serial: int, requester: Requester) -> CertificateStatus:
        """Take a certificate off hold; raises Conflict unless it is held."""
        ...


class Status(Protocol):
    """Answers what is known about serial numbers."""

    def cached(self, authority_id: str, serial: int) -> CertificateStatus | None:
        """The answer if memory has it and it is current, without waiting; None otherwise."""
        ...

    async def status(self, authority_id: str, serial: int) -> CertificateStatus | None:
        """The state of a serial; None when the CA never issued it. Raises Unavailable."""
        ...

    @property
    def version(self) -> int:
        """Grows with every status change this process has seen; caches of derived answers check it."""
        ...


class Publication(Protocol):
    """Gives the CRLs that this node serves."""

    def cached(self, authority: Authority, *, key_index: int = 0, is_delta: bool = False) -> PublishedCRL | None:
        """The CRL if memory has a current one, without waiting; None otherwise."""
        ...

    async def current(self, authority: Authority, *, key_index: int = 0, is_delta: bool = False) -> PublishedCRL:
        """The CRL to serve now, made first if need be.

        Raises NotFound if the CA has no such key or no delta CRLs, Unavailable if it cannot be made now.
        """
        ...


class CertificateStore(Protocol):
    """Reads issued certificates."""

    async def find(self, authority_id: str, serial: int) -> CertificateRecord:
        """One certificate; raises NotFound."""
        ...

    async def find_by_der(self, certificate_der: bytes) -> CertificateRecord:
        """The stored certificate with exactly these bytes; raises NotFound (RFC 8555, 7.6)."""
        ...
