"""Puts the key generation authorities of all CAs together for the factory of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from twisted.internet.defer import Deferred

from cspd.authority.values import CAReference
from cspd.certified_keys.following import CertifiedKeys
from cspd.certified_keys.making import KeyCertification
from cspd.certified_keys.values import CertificateTerms, CertifiedKey, Wanted, Words
from cspd.jobs.values import Job
from cspd.plugin import Services
from protocols.cmp.key_generation_authorities import KeyGenerationAuthorities, find_faults
from protocols.cmp.key_generation_authority_config import KeyGenerationAuthorityConfig
from protocols.cmp.key_generation_authority_tables import RECORDS

_HOURLY = "0 49 * * * *"
_GRACE = timedelta(hours=1)
"""How long a key outlives the making of its successor: it signs nothing any more, and opened nothing ever."""

_WORDS = Words(
    protocol="cmp",
    label="CMP KGA",
    what="key generation authority",
    things="key generation authorities",
    event="cmp-key-generation-authority",
    field="ca",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGenerationAuthorityServices:
    """The key generation authorities, and what keeps them up."""

    authorities: KeyGenerationAuthorities
    jobs: Sequence[Job]
    start: Callable[[], None]
    stop: Callable[[], Deferred[None]]


def build_key_generation_authorities(
    entries: Sequence[KeyGenerationAuthorityConfig], services: Services
) -> KeyGenerationAuthorityServices:
    """Those of the section, whose profiles were checked with conf."""
    authorities = KeyGenerationAuthorities([entry.ca for entry in entries], clock=services.clock)
    certified = CertifiedKeys(
        {entry.ca: _wanted_by(entry) for entry in entries},
        clock=services.clock,
        database=services.database,
        records=RECORDS,
        keys=services.keys,
        authorities=services.authorities,
        status=services.status,
        audit=services.audit,
        certification=KeyCertification(
            clock=services.clock,
            random_bytes=services.random.randbytes,
            database=services.database,
            records=RECORDS,
            keys=services.keys,
            authorities=services.authorities,
            issuance=services.issuance,
            audit=services.audit,
            process=services.process,
            words=_WORDS,
            find_faults=find_faults,
        ),
        user=authorities,
        timers=services.reactor,
        words=_WORDS,
        grace=_GRACE,
    )

    def stop() -> Deferred[None]:
        authorities.give_up()
        return certified.stop()

    return KeyGenerationAuthorityServices(
        authorities=authorities,
        jobs=(Job(name="cmp-renew-key-generation-authorities", schedule=_HOURLY, run=certified.renew),),
        start=certified.start,
        stop=stop,
    )


def _wanted_by(entry: KeyGenerationAuthorityConfig) -> Wanted:
    return Wanted(
        terms=CertificateTerms(
            ca=CAReference.parse(entry.ca),
            profile=entry.profile,
            subject=None,
            role="KGA",
            key_type=entry.key_type,
            keys=entry.keys,
        ),
        successor_at=lambda key: _successor_at(key, entry.renew_before),
        grace=_GRACE,
        follows_ca_key=True,
    )


def _successor_at(key: CertifiedKey, renew_before: timedelta | None) -> datetime:
    """A third of the life before its end, or what conf says, but not before half of the life is over."""
    life = key.not_after - key.created_at
    return key.not_after - min(life / 3 if renew_before is None else renew_before, life / 2)


__all__ = ["KeyGenerationAuthorityServices", "build_key_generation_authorities"]
