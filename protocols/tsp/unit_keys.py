"""Finding the private keys of the units whose certificates are in files.

The key service names keys by references that nobody writes into conf: the key of a unit is the one whose public half is
in its certificate. A token may come up after the daemon, so that the search goes on until every key is found.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cspd.authority.polling import Timer, Timers
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PublicKey
from cspd.refusals import NotFound, Refused, Unavailable
from cspd.x509.names import format_name
from cspd.x509.public_keys import key_type_name
from protocols.tsp.interfaces import TimeStampUnit
from protocols.tsp.unit_files import UnitFiles
from protocols.tsp.units import Units

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
"""Seconds between two searches; each is twice as long after the one before."""


class KeySearch:
    """Finds keys by their public halves; what a key is stays known, since its reference is never given again."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._public_keys: dict[KeyReference, bytes] = {}

    async def find(self, public_key: PublicKey) -> KeyReference | None:
        """The key with this public half at any provider that answers."""
        wanted = _encoded(public_key)
        key_type = key_type_name(public_key)
        for description in await self._keys.list():
            if description.key_type.value == key_type and await self._encoded_key(description.reference) == wanted:
                return description.reference
        return None

    async def _encoded_key(self, reference: KeyReference) -> bytes | None:
        known = self._public_keys.get(reference)
        if known is None:
            try:
                known = _encoded(await self._keys.public_key(reference))
            except (NotFound, Unavailable):  # deleted, or its token gone, since it was listed
                return None
            self._public_keys[reference] = known
        return known


class UnitKeys:
    """Makes units of certificates and keys, as soon as each key is there."""

    _log = Logger()

    def __init__(self, files: Mapping[str, UnitFiles], *, keys: Keys, units: Units, timers: Timers) -> None:
        """``files`` of each issuer that has them; issuers may share a certificate (R-TSA-036)."""
        self._search = KeySearch(keys)
        self._units = units
        self._timers = timers
        self._missing = dict(files)
        self._retry = FIRST_RETRY
        self._timer: Timer | None = None
        self._running: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to search."""
        self._timer = None
        self._running = Deferred.fromCoroutine(self._turn())

    def stop(self) -> Deferred[None]:
        """Search no more; fires when a search that is on has ended."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended: Deferred[None] = Deferred()
        running = self._running
        if running is None:
            ended.callback(None)
        else:
            running.addBoth(lambda _: ended.callback(None))
        return ended

    async def _turn(self) -> None:
        try:
            await self._look()
        except Exception:  # the edge of a periodic task
            self._log.failure("the keys of time-stamp units cannot be looked for")
            for issuer in self._missing:
                self._units.note(issuer, "its key cannot be looked for; the log says why")
        if self._missing and not self._stopped:
            self._timer = self._timers.callLater(self._retry, self.start)
            self._retry = min(2 * self._retry, LONGEST_RETRY)

    async def _look(self) -> None:
        is_first = self._retry == FIRST_RETRY
        for issuer, files in tuple(self._missing.items()):
            try:
                unit = await self._unit(files)
            except Refused as refusal:
                unit, trouble = None, f"its key cannot be looked for: {refusal.detail or refusal.reason}"
            else:
                subject = format_name(files.certificate.subject)
                trouble = f"no key provider that answers has the key of its certificate, {subject}"
            if unit is not None:
                del self._missing[issuer]
                self._units.put(issuer, unit)
                self._log.info("time-stamp issuer {issuer} signs with the key {key}", issuer=issuer, key=str(unit.key))
                continue
            self._units.note(issuer, trouble)
            if is_first:
                self._log.error("time-stamp issuer {issuer} signs nothing: {trouble}", issuer=issuer, trouble=trouble)

    async def _unit(self, files: UnitFiles) -> TimeStampUnit | None:
        public_key = public_key_of(files.certificate)
        key = await self._search.find(public_key)
        if key is None:
            return None
        return TimeStampUnit(
            key=key,
            public_key=public_key,
            certificate=files.certificate,
            certificate_der=files.certificate.public_bytes(Encoding.DER),
            chain_der=files.chain_der,
            sign_until=files.sign_until,
        )


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """The key of a certificate whose key type was checked."""
    return certificate.public_key()  # type: ignore[return-value]  # find_faults lets no other types pass


def _encoded(public_key: PublicKey) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


__all__ = ["KeySearch", "UnitKeys", "public_key_of"]
