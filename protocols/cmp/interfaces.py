"""What the parts of CMP know of each other: who sent a message, on what terms, and who answers what.

A message goes through them in this order: the header's rules (:mod:`protocols.cmp.header_rules`), :class:`Senders`,
then by its body the one that answers it, then :class:`AnswerProtection`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from cryptography import x509
from sqlalchemy import Connection

from cspd.authentication.secrets import EnrollmentSecret, KeptSecret
from cspd.authority.values import CAReference, CertificateRecord
from cspd.keys.values import PrivateKey
from cspd.x509.crmf.messages import CertTemplate, EncryptedKey
from protocols.cmp.mac_algorithms import MACKey
from protocols.cmp.messages import (
    CertRepMessage,
    CertReqContent,
    InfoTypeAndValue,
    PKIBody,
    PKIHeader,
    PKIMessage,
    RevRepContent,
    RevReqContent,
)
from protocols.cmp.protection import ProtectionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which conditions one CA and profile are served at one path."""

    ca: CAReference
    profile: str
    rules: str = "default"
    """Which ``[[protocols.cmp.rules]]`` limit the algorithms of messages (R-CAGW-211)."""
    mac: bool = True
    """Requests protected by an enrollment secret."""
    certificate: bool = True
    """Requests signed with a certificate of this CA."""
    vendor_trust: str | None = None
    """Which trust anchors of ``[protocols.cmp]`` vouch for the certificates that devices are made with."""
    implicit_confirm: bool = True
    """A client that asks need not confirm."""
    confirm_wait: timedelta = timedelta(minutes=5)
    """A certificate that is not confirmed by then is revoked."""
    approval: bool = False
    check_after: timedelta = timedelta(minutes=1)
    approval_lifetime: timedelta = timedelta(days=7)
    revoke_replaced: bool = False
    """A certificate is revoked as superseded once the successor by kur is confirmed."""
    key_generation: bool = False
    """Keys are made here for clients that send none (RFC 9483, 4.1.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who has been proven to have sent a message."""

    identity: str
    protection: ProtectionKind
    secret: EnrollmentSecret | None = None
    mac_key: MACKey | None = field(default=None, repr=False)
    """With ``secret``: what protected the request, and protects its answer (RFC 9483, 3.2)."""
    password: bytes | None = field(default=None, repr=False)
    """With ``secret``: its octets, for keys that are sent under a password (RFC 9483, 4.1.6.3)."""
    certificate: x509.Certificate | None = None
    """The protection certificate."""
    record: CertificateRecord | None = None
    """The protection certificate, if one of our CAs issued it."""
    is_registration_authority: bool = False
    """It may vouch for others: raVerified, requests and revocations for anybody (id-kp-cmcRA; RFC 9483, 5)."""
    by_vendor: bool = False
    """The certificate has a path to ``vendor_trust`` alone: good for ir, cr and p10cr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedSender:
    """What the store knows of whom a message names as its sender; nothing of it is proven yet."""

    secret: KeptSecret | None = None
    record: CertificateRecord | None = None
    """The protection certificate, if one of our CAs issued it."""


class Senders(Protocol):
    """Finds out who sent a message."""

    def look_up(self, connection: Connection, message: PKIMessage) -> ClaimedSender:
        """Who is said to have sent the message, as the store knows it: for a work of a read."""
        ...

    async def authenticate(
        self, message: PKIMessage, terms: Terms, claimed: ClaimedSender, *, is_repeated: bool = False
    ) -> Sender:
        """Verify the protection and whoever stands behind it, whom :meth:`look_up` has found.

        A one-time secret that is used up protects what follows in its transaction, and ``is_repeated``: a message that
        was answered before.

        Raises :class:`protocols.cmp.errors.PKIMessageRejected` (badMessageCheck, signerNotTrusted, badAlg, ...) and
        :class:`cspd.refusals.Unavailable`. A message without protection is badMessageCheck.
        """
        ...


class AnswerProtection(Protocol):
    """Protects answers: by the MAC of the request's secret, else by the signature of the CA."""

    async def header_names(self, terms: Terms, sender: Sender | None) -> tuple[bytes, bytes | None]:
        """``sender`` (a GeneralName) and ``senderKID`` of an answer to that sender."""
        ...

    async def protect(
        self,
        header: PKIHeader,
        body: PKIBody,
        *,
        terms: Terms,
        sender: Sender | None,
        extra_certs_der: Sequence[bytes] = (),
    ) -> bytes:
        """The whole answer, DER. Without a sender, or with one of signatures, it is signed with the CA's key; the
        CA's certificate and its chain are then first in extraCerts (RFC 9483, 3.3)."""
        ...


class RevocationRequests(Protocol):
    """Answers rr."""

    async def answer(self, content: RevReqContent, sender: Sender, terms: Terms, *, request_id: str) -> RevRepContent:
        """Revoke, hold or release, each of the certificates (RFC 9483, 4.2); what was refused is in the statuses."""
        ...


class GeneralMessages(Protocol):
    """Answers genm."""

    async def answer(self, items: Sequence[InfoTypeAndValue], terms: Terms) -> tuple[InfoTypeAndValue, ...]:
        """The ``genp`` items (RFC 9483, 4.3).

        Raises :class:`protocols.cmp.errors.PKIMessageRejected` (badRequest) and refusals.
        """
        ...


class CrossCertification(Protocol):
    """Answers ccr."""

    async def answer(self, content: CertReqContent, sender: Sender, terms: Terms, *, request_id: str) -> CertRepMessage:
        """A certificate for the key of a CA elsewhere (RFC 9810, 5.3.11 and D.6); what was refused is in its status.

        Raises :class:`protocols.cmp.errors.PKIMessageRejected` (badRequest) unless there is exactly one request.
        """
        ...


class CentralKeys(Protocol):
    """Makes keys for clients (RFC 9483, 4.1.6)."""

    async def generate(self, template: CertTemplate, terms: Terms) -> PrivateKey:
        """A key of the algorithm that the template's publicKey names without a key, or of the profile's first.

        Raises refusals: BadPublicKey, Forbidden where ``terms.key_generation`` is off. Made in a thread.
        """
        ...

    async def encrypt(self, key: PrivateKey, sender: Sender, terms: Terms) -> EncryptedKey:
        """The key as AsymmetricKeyPackage, signed by the CA or who does so for it, in an EnvelopedData that the
        sender can open.

        By key transport (RSA) or key agreement (EC) to the sender's certificate, or by its password if a secret
        protects. Raises refusals for a sender that none of these suits.
        """
        ...


class EncryptedCertificates(Protocol):
    """Proof of possession by an encrypted certificate (RFC 9810, 5.2.8.3.2)."""

    def check(self, public_key_der: bytes, *, pvno: int) -> None:
        """Raise BadPublicKey for a key that nothing can be encrypted for; to be asked before issuance.

        As :meth:`encrypt` for the rest.
        """
        ...

    async def encrypt(self, certificate_der: bytes, *, pvno: int = 3) -> EncryptedKey:
        """The certificate, encrypted for its own key; raises BadPublicKey for a key that cannot decrypt.

        ``pvno`` is that of the request: a client of version 3 gets an EnvelopedData, and the answer is of
        version 3 then; one of version 2 knows the EncryptedValue of old alone, which is for RSA.
        """
        ...
