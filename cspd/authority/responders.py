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

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from cspd.authority.interfaces import Authorities
from cspd.authority.responder_issuance import ResponderIssuance
from cspd.authority.responder_records import Responder, forget_responder, read_expired, read_responder
from cspd.authority.values import Authority, CACertificate
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.refusals import NotFound, Refused, Unavailable
from cspd.store.interfaces import Database

__all__ = ["PROFILE", "Responder", "Responders", "ca_certificates"]

PROFILE = "basic-ocsp"
"""The profile of responder certificates."""
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
    """Gives the responder of each key of our CAs, and has them made and renewed."""

    _log = Logger()

    def __init__(
        self, *, clock: Clock, database: Database, keys: Keys, authorities: Authorities, issuance: ResponderIssuance
    ) -> None:
        self._clock = clock
        self._database = database
        self._keys = keys
        self._authorities = authorities
        self._issuance = issuance
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
            responder = await self._make(authority, ca_certificate)
        return self._hold(key_index, responder)

    def _hold(self, key_index: int, responder: Responder) -> Responder:
        look_again_at = min(self._clock.now() + LOOK_AGAIN, responder.not_after)
        self._held[responder.authority_id, key_index] = _Held(responder, look_again_at)
        return responder

    async def _make(self, authority: Authority, ca_certificate: CACertificate) -> Responder:
        """A new responder, or another node's that was first."""
        place = (authority.id, ca_certificate.key_index)
        now = self._clock.now()
        failed_at = self._failed_at.get(place)
        if failed_at is not None and now - failed_at < RETRY:
            raise Unavailable("the responder's certificate could not be made", retry_after=RETRY)
        newest = _newest_of(authority, ca_certificate.key_index)

        def other_nodes(connection: Connection) -> Responder | None:
            other = newest(connection)
            return None if other is None or is_due(other, now, ca_certificate.not_after) else other

        try:
            responder = await self._issuance.make(authority, ca_certificate, instead=other_nodes)
        except Refused as refusal:
            self._failed_at[place] = now
            # Whatever refused us is nothing that the client asked for.
            raise Unavailable(
                "the responder's certificate could not be made", detail=refusal.detail or refusal.reason
            ) from refusal
        self._failed_at.pop(place, None)
        return responder

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
        now = self._clock.now()
        for responder in await self._database.read(lambda connection: read_expired(connection, now)):
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
        self._hold(ca_certificate.key_index, await self._make(authority, ca_certificate))

    async def drain(self) -> None:
        """Wait until no responder is being made; for the end of the process."""
        await self._issuance.drain()

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
