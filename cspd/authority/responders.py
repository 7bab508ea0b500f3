"""Delegated OCSP responders of our own CAs (RFC 6960, 4.2.2.2; R-CA-051, R-PRO-016).

A responder is a key and a short-lived certificate that one key of a CA signed for it, by the profile ``basic-ocsp``. It
is made when a CA is first asked, kept in the store for all nodes, renewed with a fresh key when a third of its life is
left, and its key is destroyed once its certificate has expired. After a re-key each key of the CA has a responder of
its own, since clients need not accept one that another key signed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from cspd.audit.events import AuditEvent, AuditLog
from cspd.authority.assembly import Issuer, assemble
from cspd.authority.interfaces import Authorities
from cspd.authority.profile_values import Profile
from cspd.authority.responder_records import (
    PROFILE,
    REQUESTER,
    Responder,
    forget_responder,
    insert_responder,
    insert_responder_certificate,
    lock_authority,
    read_expired,
    read_responder,
)
from cspd.authority.serials import new_serial
from cspd.authority.urls import StatusURLs
from cspd.authority.values import Authority, CACertificate
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference
from cspd.refusals import NotFound, Refused, Unavailable
from cspd.store.interfaces import Database
from cspd.x509.algorithms import signature_hash
from cspd.x509.identifiers import subject_key_identifier

__all__ = ["PROFILE", "Responder", "Responders", "ca_certificates"]

LOOK_AGAIN = timedelta(minutes=5)
"""How long a node goes on with a responder before it looks whether another node has renewed it."""
RETRY = timedelta(seconds=5)
"""How long a CA is left alone after its responder could not be made: not every client asks a token that is gone."""
RENEW_AT = 1 / 3
"""The part of a responder's life that is left when it is renewed."""


def ca_certificates(authority: Authority) -> tuple[CACertificate, ...]:
    """The newest certificate of each key that the CA has or had, the current one first; none while it is pending."""
    if authority.certificate is None or authority.certificate_der is None or authority.certificate_id is None:
        return ()
    current = CACertificate(
        id=authority.certificate_id,
        certificate_der=authority.certificate_der,
        key=authority.key,
        not_before=authority.certificate.not_valid_before_utc,
        not_after=authority.certificate.not_valid_after_utc,
        key_index=authority.key_index,
    )
    newest = {current.key_index: current}
    for earlier in authority.previous:  # newest first
        newest.setdefault(earlier.key_index, earlier)
    return tuple(newest.values())


@dataclass(frozen=True, slots=True)
class _Held:
    responder: Responder
    look_again_at: datetime


class Responders:
    """Gives the responder of each key of our CAs, and makes and renews them.

    ``random_bytes`` gives cryptographically strong octets.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        database: Database,
        keys: Keys,
        authorities: Authorities,
        profile: Profile,
        urls: StatusURLs,
        audit: AuditLog,
    ) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._database = database
        self._keys = keys
        self._authorities = authorities
        self._profile = profile
        self._urls = urls
        self._audit = audit
        self._held: dict[tuple[str, int], _Held] = {}
        self._failed_at: dict[tuple[str, int], datetime] = {}
        self._waiting: dict[tuple[str, int], list[Deferred[Responder]]] = {}

    def cached(self, authority: Authority, key_index: int) -> Responder | None:
        """The responder if memory has it and it need not be looked for again, without waiting; None otherwise."""
        held = self._held.get((authority.id, key_index))
        return None if held is None or self._clock.now() >= held.look_again_at else held.responder

    async def current(self, authority: Authority, key_index: int) -> Responder:
        """The responder that answers for one key of a CA, made first if there is none.

        Callers who ask at the same time share one making. Raises NotFound when the CA cannot have one (no such key,
        certificate expired, key elsewhere), and Unavailable when store or keys do not answer.
        """
        if (responder := self.cached(authority, key_index)) is not None:
            return responder
        place = (authority.id, key_index)
        waiter: Deferred[Responder] = Deferred()
        if place in self._waiting:
            self._waiting[place].append(waiter)
        else:
            self._waiting[place] = [waiter]
            # Not cancelled when a client goes away: the others wait for it, and a signature has to be recorded.
            Deferred.fromCoroutine(self._find_or_make(authority, key_index)).addBoth(self._settle, place)
        return await waiter

    def _settle(self, outcome: Responder | Failure, place: tuple[str, int]) -> None:
        for waiter in self._waiting.pop(place):
            waiter.callback(outcome)  # a Failure goes down its errback chain

    async def _find_or_make(self, authority: Authority, key_index: int) -> Responder:
        now = self._clock.now()
        place = (authority.id, key_index)
        ca_certificate = next((each for each in ca_certificates(authority) if each.key_index == key_index), None)
        if ca_certificate is None or ca_certificate.key is None or ca_certificate.not_after <= now:
            raise NotFound(f"{authority.reference} has no key that could sign a responder's certificate")
        try:
            responder = await self._database.read(_newest_of(authority, key_index))
        except Unavailable:
            held = self._held.get(place)
            if held is None or held.responder.not_after <= now:
                raise
            responder = held.responder  # relying parties get their answer while the store is away
        if responder is None or responder.not_after <= now:
            responder = await self._make(authority, ca_certificate, ca_certificate.key)
        return self._hold(key_index, responder)

    def _hold(self, key_index: int, responder: Responder) -> Responder:
        look_again_at = min(self._clock.now() + LOOK_AGAIN, responder.not_after)
        self._held[responder.authority_id, key_index] = _Held(responder, look_again_at)
        return responder

    async def _make(self, authority: Authority, ca_certificate: CACertificate, ca_key: KeyReference) -> Responder:
        """Make a key and its certificate, and record them; gives another node's responder if that one was first."""
        place = (authority.id, ca_certificate.key_index)
        failed_at = self._failed_at.get(place)
        if failed_at is not None and self._clock.now() - failed_at < RETRY:
            raise Unavailable("the responder's certificate could not be made", retry_after=RETRY)
        try:
            responder = await self._make_and_record(authority, ca_certificate, ca_key)
        except Refused as refusal:
            self._failed_at[place] = self._clock.now()
            # Whatever refused us is nothing that the client asked for.
            raise Unavailable(
                "the responder's certificate could not be made", detail=refusal.detail or refusal.reason
            ) from refusal
        self._failed_at.pop(place, None)
        return responder

    async def _make_and_record(
        self, authority: Authority, ca_certificate: CACertificate, ca_key: KeyReference
    ) -> Responder:
        key_type = authority.ocsp_key_type or authority.key_type  # a root has no setting of its own
        if key_type is None:
            raise NotFound(f"{authority.reference} has no key type for a responder")
        # Where the CA keeps its key its responder has its own: a CA in a token answers from the token.
        key = await self._keys.generate(key_type, label=f"OCSP {authority.reference}", provider=ca_key.provider)
        winner: Responder | None = None
        try:
            builder = await self._assemble(authority, ca_certificate, key)
            certificate = await self._keys.sign(
                ca_key, lambda private_key: builder.sign(private_key, signature_hash(private_key.public_key()))
            )
            responder = Responder(
                id=UUID(bytes=self._random_bytes(16), version=4).hex,
                authority_id=authority.id,
                issuer_certificate_id=ca_certificate.id,
                key=key,
                certificate_der=certificate.public_bytes(Encoding.DER),
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
            )
            winner = await self._database.write(self._record(authority, ca_certificate, responder, certificate))
        finally:
            if winner is None or winner.key != key:
                await self._delete_key(key)
        return winner

    async def _assemble(
        self, authority: Authority, ca_certificate: CACertificate, key: KeyReference
    ) -> x509.CertificateBuilder:
        signed_under = x509.load_der_x509_certificate(ca_certificate.certificate_der)
        reference, key_index = authority.reference, ca_certificate.key_index
        not_before = self._clock.now().replace(microsecond=0)
        return assemble(
            self._profile,
            issuer=Issuer(
                name=signed_under.subject,
                key_identifier=_key_identifier(signed_under),
                crl_url=self._urls.crl(reference, key_index),
                delta_crl_url=None if authority.delta_crl_hours is None else self._urls.delta_crl(reference, key_index),
                ocsp_url=self._urls.ocsp(reference),
                ca_certificate_url=self._urls.ca_certificate(reference, ca_certificate.id),
            ),
            subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"OCSP {reference}")]),
            public_key=await self._keys.public_key(key),
            serial=new_serial(self._random_bytes),
            not_before=not_before,
            not_after=min(self._profile.validity.default.after(not_before), ca_certificate.not_after),
        )

    def _record(
        self, authority: Authority, ca_certificate: CACertificate, made: Responder, certificate: x509.Certificate
    ) -> Callable[[Connection], Responder]:
        """Record the signature in any case, and the responder unless another node's is as good."""

        def record(connection: Connection) -> Responder:
            lock_authority(connection, authority.id)
            insert_responder_certificate(connection, authority.id, ca_certificate.id, certificate)
            event = AuditEvent(
                event="certificate-issued",
                actor=REQUESTER,
                fields={
                    "ca": str(authority.reference),
                    "profile": self._profile.id,
                    "serial": format(certificate.serial_number, "x"),
                    "subject": certificate.subject.rfc4514_string(),
                    "not_after": made.not_after.isoformat(),
                },
            )
            self._audit.append(connection, event)
            other = _newest_of(authority, ca_certificate.key_index)(connection)
            if other is not None and not is_due(other, made.not_before, ca_certificate.not_after):
                return other
            insert_responder(connection, made)
            return made

        return record

    async def _delete_key(self, key: KeyReference) -> None:
        try:
            await self._keys.delete(key)
        except Refused:
            self._log.failure("could not delete the unused responder key {key}", key=str(key))

    async def renew(self) -> None:
        """Renew the responders whose life is mostly over, and destroy the keys of expired ones; a job runs it.

        Goes through all CAs whatever fails, and raises Unavailable at the end if anything did.
        """
        failed: list[str] = []
        for authority in await self._authorities.list():
            for ca_certificate in ca_certificates(authority) if authority.ocsp_enabled else ():
                try:
                    await self._renew_if_due(authority, ca_certificate)
                except Refused:
                    self._log.failure("could not renew the OCSP responder of {ca}", ca=str(authority.reference))
                    failed.append(str(authority.reference))
        for responder in await self._database.read(lambda connection: read_expired(connection, self._clock.now())):
            try:
                await self._destroy(responder)
            except Refused:
                self._log.failure("could not destroy the expired responder key {key}", key=str(responder.key))
                failed.append(str(responder.key))
        if failed:
            raise Unavailable("OCSP responders were not renewed", detail=", ".join(failed))

    async def _renew_if_due(self, authority: Authority, ca_certificate: CACertificate) -> None:
        now = self._clock.now()
        if ca_certificate.key is None or ca_certificate.not_after <= now:
            return
        responder = await self._database.read(_newest_of(authority, ca_certificate.key_index))
        if responder is None or not is_due(responder, now, ca_certificate.not_after):
            return  # one that nobody ever asked for is made when somebody does
        self._hold(ca_certificate.key_index, await self._make(authority, ca_certificate, ca_certificate.key))

    async def _destroy(self, responder: Responder) -> None:
        with suppress(NotFound):  # an earlier turn deleted the key and could not take the row away
            await self._keys.delete(responder.key)
        await self._database.write(lambda connection: forget_responder(connection, responder.id))


def is_due(responder: Responder, now: datetime, ca_not_after: datetime) -> bool:
    """Whether a responder should be renewed: its life is mostly over, and the CA's end lets a new one last longer."""
    life = responder.not_after - responder.not_before
    return responder.not_after - now <= life * RENEW_AT and responder.not_after < ca_not_after


def _newest_of(authority: Authority, key_index: int) -> Callable[[Connection], Responder | None]:
    ids = [each.id for each in authority.previous if each.key_index == key_index]
    if authority.key_index == key_index and authority.certificate_id is not None:
        ids.append(authority.certificate_id)
    return lambda connection: read_responder(connection, authority.id, ids)


def _key_identifier(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return subject_key_identifier(certificate.public_key())
