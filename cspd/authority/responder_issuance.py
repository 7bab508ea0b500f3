"""Making one OCSP responder: a key, and a certificate by the profile ``basic-ocsp`` (R-PRO-016).

The pipeline's rules hold here too: what is signed is recorded and audited, durably, before anybody uses it; a CA with
``record_before_signing`` reserves the serial number first; nothing stops half-way because a client has gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection
from twisted.logger import Logger

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.certificates import complete_reserved, insert_certificate
from cspd.authority.issuers import SigningAuthority
from cspd.authority.policy.validity import decide_validity
from cspd.authority.profile_values import Profile
from cspd.authority.responder_records import Responder, insert_responder, lock_authority
from cspd.authority.serials import new_serial
from cspd.authority.uncancelled import Uncancelled
from cspd.authority.urls import StatusURLs
from cspd.authority.values import (
    Authority,
    CACertificate,
    CertificateRecord,
    CertificateState,
    CertificateStatus,
)
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PrivateKey
from cspd.refusals import NotFound, Refused, Unavailable
from cspd.store.interfaces import Database
from cspd.x509.names import format_name

_PROTOCOL = "ocsp"
_REQUESTER = "responder"


class ResponderIssuance:
    """Makes responders; ``random_bytes`` gives cryptographically strong octets."""

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        database: Database,
        keys: Keys,
        profile: Profile,
        urls: StatusURLs,
        audit: AuditLog,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._database = database
        self._keys = keys
        self._profile = profile
        self._urls = urls
        self._audit = audit
        self._uncancelled = Uncancelled()

    async def make(
        self,
        authority: Authority,
        ca_certificate: CACertificate,
        *,
        instead: Callable[[Connection], Responder | None],
    ) -> Responder:
        """Make a responder for the key of that CA certificate.

        ``instead`` runs in the transaction that records the new responder and may give another node's that was first;
        then that one is returned and the key just made is deleted. Raises NotFound for a CA whose key is not here, and
        what the keys and the store raise.
        """
        return await self._uncancelled.run(self._make(authority, ca_certificate, instead))

    async def drain(self) -> None:
        """Wait until no responder is being made; for the end of the process."""
        await self._uncancelled.drain()

    async def _make(
        self,
        authority: Authority,
        ca_certificate: CACertificate,
        instead: Callable[[Connection], Responder | None],
    ) -> Responder:
        key_type = authority.ocsp_key_type or authority.key_type  # a root has no setting of its own
        if ca_certificate.key is None or key_type is None:
            raise NotFound(f"{authority.reference} does not sign here")
        signer = SigningAuthority(_as_of(authority, ca_certificate), self._urls)
        # Where the CA keeps its key its responder has its own: a CA in a token answers from the token.
        key = await self._keys.generate(
            key_type, label=f"OCSP {authority.reference}", provider=ca_certificate.key.provider
        )
        used: Responder | None = None
        try:
            builder, record = await self._prepare(signer, key)
            if authority.record_before_signing:
                await self._database.write(lambda connection: _insert(connection, record))
            certificate = await self._sign(signer, builder)
            used = await self._database.write(self._storing(authority, key, certificate, record, instead))
        finally:
            if used is None or used.key != key:
                await self._delete(key)
        return used

    async def _prepare(
        self, signer: SigningAuthority, key: KeyReference
    ) -> tuple[x509.CertificateBuilder, tuple[CertificateRecord, str]]:
        """The certificate that only lacks its signature, and its record with the digest of its key."""
        now = self._clock.now()
        reference = signer.authority.reference
        period = decide_validity(self._profile.validity, issuer=signer.period, now=now)
        public_key = await self._keys.public_key(key)
        serial = new_serial(self._random_bytes)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"OCSP {reference}")])
        builder = signer.template(self._profile).assemble(
            subject=subject,
            public_key=public_key,
            serial=serial,
            not_before=period.not_before,
            not_after=period.not_after,
        )
        record = CertificateRecord(
            authority_id=signer.authority.id,
            serial=serial,
            certificate_der=None,
            issuer_certificate_id=signer.certificate_id,
            profile=self._profile.id,
            subject=format_name(subject),
            names=(),
            not_before=period.not_before,
            not_after=period.not_after,
            issued_at=now,
            protocol=_PROTOCOL,
            requester=_REQUESTER,
            status=CertificateStatus(state=CertificateState.RESERVED),
        )
        public_key_der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return builder, (record, sha256(public_key_der).hexdigest())

    async def _sign(self, signer: SigningAuthority, builder: x509.CertificateBuilder) -> x509.Certificate:
        def sign(private_key: PrivateKey) -> x509.Certificate:
            return builder.sign(private_key, signer.signature_hash)  # type: ignore[arg-type]  # one of the SHA-2

        certificate = await self._keys.sign(signer.key, sign)
        try:
            certificate.verify_directly_issued_by(signer.certificate)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise Unavailable("the CA's key made a wrong signature", detail=f"{signer.key}: {error}") from error
        return certificate

    def _storing(
        self,
        authority: Authority,
        key: KeyReference,
        certificate: x509.Certificate,
        reserved: tuple[CertificateRecord, str],
        instead: Callable[[Connection], Responder | None],
    ) -> Callable[[Connection], Responder]:
        """Record the signature in any case, and the responder unless another node's was first."""
        record, public_key_sha256 = reserved
        certificate_der = certificate.public_bytes(Encoding.DER)
        good = replace(record, certificate_der=certificate_der, status=CertificateStatus(state=CertificateState.GOOD))
        responder = Responder(
            id=UUID(bytes=self._random_bytes(16), version=4).hex,
            authority_id=authority.id,
            issuer_certificate_id=record.issuer_certificate_id,
            key=key,
            certificate_der=certificate_der,
            not_before=record.not_before,
            not_after=record.not_after,
        )
        event = _issued_event(authority, good)

        def store(connection: Connection) -> Responder:
            lock_authority(connection, authority.id)
            if authority.record_before_signing:
                complete_reserved(connection, authority.id, record.serial, certificate_der)
            else:
                _insert(connection, (good, public_key_sha256))
            self._audit.append(connection, event)
            other = instead(connection)
            if other is not None:
                return other
            insert_responder(connection, responder)
            return responder

        return store

    async def _delete(self, key: KeyReference) -> None:
        try:
            await self._keys.delete(key)
        except Refused:
            self._log.failure("The unused responder key {key} was not deleted", key=str(key))


def _as_of(authority: Authority, ca_certificate: CACertificate) -> Authority:
    """The CA as it was when that certificate was its current one: earlier keys sign for what they issued."""
    if ca_certificate.id == authority.certificate_id:
        return authority
    return replace(
        authority,
        key=ca_certificate.key,
        key_index=ca_certificate.key_index,
        certificate_id=ca_certificate.id,
        certificate=x509.load_der_x509_certificate(ca_certificate.certificate_der),
        certificate_der=ca_certificate.certificate_der,
    )


def _insert(connection: Connection, record: tuple[CertificateRecord, str]) -> None:
    insert_certificate(connection, record[0], public_key_sha256=record[1])


def _issued_event(authority: Authority, record: CertificateRecord) -> AuditEvent:
    assert record.certificate_der is not None
    return AuditEvent(
        event="certificate-issued",
        actor=f"{_PROTOCOL}:{_REQUESTER}",
        fields={
            "ca": str(authority.reference),
            "serial": f"{record.serial:x}",
            "profile": record.profile,
            "subject": record.subject,
            "not_before": f"{record.not_before:%Y-%m-%dT%H:%M:%SZ}",
            "not_after": f"{record.not_after:%Y-%m-%dT%H:%M:%SZ}",
            "sha256": sha256(record.certificate_der).hexdigest(),
        },
    )
