"""Puts the key generation authorities of all CAs together for the factory of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from twisted.internet.defer import Deferred

from cspd.authority.values import CAReference
from cspd.certified_keys.assembly import build_certified_keys
from cspd.certified_keys.values import CertificateTerms, Wanted, Words
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
    certified = build_certified_keys(
        {entry.ca: _wanted_by(entry) for entry in entries},
        services,
        records=RECORDS,
        user=authorities,
        words=_WORDS,
        find_faults=find_faults,
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
        successor_at=lambda key: key.successor_due(entry.renew_before),
        grace=_GRACE,
        follows_ca_key=True,
    )


__all__ = ["KeyGenerationAuthorityServices", "build_key_generation_authorities"]
