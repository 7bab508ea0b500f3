"""The units of issuers with ``certification``: what :mod:`cspd.certified_keys` is to make, and what becomes of it.

A successor takes over when ``key_lifetime`` is over, or half the life of the certificate: the job
``tsp-renew-certificates`` makes it.

RFC 3161, 4 wants a key gone as soon as it signs no more. All nodes have left it a second after its successor was made;
it is destroyed by the first run of the job after :data:`GRACE`, which spares a node that lost the store for a while.
Its certificate stays among the certificates of its CA, good until it ends, and so do the tokens it signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.logger import Logger

from cspd.authority.values import CAReference
from cspd.certified_keys.values import CertificateTerms, CertifiedKey, Wanted, Words
from protocols.tsp.config import CertificationConfig
from protocols.tsp.interfaces import TimeStampUnit
from protocols.tsp.unit_checks import EXPIRY_WARNING, find_faults, signs_until
from protocols.tsp.unit_keys import public_key_of
from protocols.tsp.units import Units

GRACE = timedelta(hours=1)
"""How long the key of a unit outlives the making of its successor."""

WORDS = Words(
    protocol="tsp",
    label="TSA",
    what="time-stamp issuer",
    things="time-stamp units",
    event="time-stamp-unit",
    field="issuer",
)


def wanted_by(config: CertificationConfig) -> Wanted:
    """What conf wants of an issuer's unit."""

    def successor_at(key: CertifiedKey) -> datetime:
        return key.created_at + (config.key_lifetime or (key.not_after - key.created_at) / 2)

    return Wanted(
        terms=CertificateTerms(
            ca=CAReference.parse(config.ca),
            profile=config.profile,
            subject=config.subject,
            key_type=config.key_type,
            keys=config.keys,
        ),
        successor_at=successor_at,
        grace=GRACE,
        has_lifetime=config.key_lifetime is not None,
    )


def unit_faults(
    issuer: str, certificate: x509.Certificate, chain: Sequence[x509.Certificate], now: datetime
) -> Sequence[str]:
    """See :data:`cspd.certified_keys.making.FindFaults`."""
    return [fault.what for fault in find_faults(certificate, chain, now)]


class CertifiedUnits:
    """Implements :class:`cspd.certified_keys.following.KeyUser`: lets each issuer sign with the key it has now."""

    _log = Logger()

    def __init__(self, units: Units) -> None:
        self._units = units
        self._ids: dict[str, str] = {}

    def changed(self, current: Mapping[str, CertifiedKey], good: Sequence[CertifiedKey]) -> None:
        """See :class:`cspd.certified_keys.following.KeyUser`."""
        for issuer in self._ids.keys() - current.keys():
            del self._ids[issuer]
            self._units.take_away(issuer, "its certificate ended or was revoked")
        for issuer, key in current.items():
            if self._ids.get(issuer) != key.id:
                self._ids[issuer] = key.id
                warning = min(EXPIRY_WARNING, (key.not_after - key.created_at) / 20)
                self._units.put(issuer, _unit(key), warning=warning)
                self._log.info("time-stamp issuer {issuer} signs with the key {key}", issuer=issuer, key=str(key.key))

    def note(self, holder: str, trouble: str) -> None:
        """See :class:`cspd.certified_keys.following.KeyUser`."""
        self._units.note(holder, trouble)


def _unit(key: CertifiedKey) -> TimeStampUnit:
    return TimeStampUnit(
        key=key.key,
        public_key=public_key_of(key.certificate),
        certificate=key.certificate,
        certificate_der=key.certificate_der,
        chain_der=tuple(each.public_bytes(Encoding.DER) for each in key.chain),
        sign_until=signs_until(key.certificate, key.chain),
    )


__all__ = ["GRACE", "WORDS", "CertifiedUnits", "unit_faults", "wanted_by"]
