"""Puts the registration authorities of all CAs together for the factory of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from twisted.internet.defer import Deferred

from cspd.admin.operations.values import Operation
from cspd.authority.values import CAReference
from cspd.certified_keys.assembly import build_certified_keys
from cspd.certified_keys.values import CertificateTerms, Wanted, Words
from cspd.jobs.values import Job
from cspd.plugin import Services
from cspd.refusals import Rejected
from protocols.scep.ra_operations import RegistrationAuthorityOperations
from protocols.scep.registration_authorities import OwnRegistrationAuthorities
from protocols.scep.registration_authority_checks import find_faults, profile_problems
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig
from protocols.scep.registration_authority_keys import RegistrationAuthorityKeys, holder_of, role_of
from protocols.scep.registration_authority_tables import RECORDS

DEFAULT_SCHEDULE = "0 37 * * * *"
"""When certificates are looked at for renewal: six cron fields, UTC."""
SETTLING = timedelta(seconds=10)
"""How long all nodes can open envelopes for a new certificate before GetCACert gives it."""
LEFT_BEHIND = timedelta(days=30)
"""How long the keys of CAs that conf names no more outlive their certificates."""

_WORDS = Words(
    protocol="scep",
    label="SCEP RA",
    what="SCEP registration authority",
    things="SCEP registration authorities",
    event="scep-registration-authority",
    field="registration_authority",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationAuthorityServices:
    """The registration authorities, and what keeps them up."""

    authorities: OwnRegistrationAuthorities
    keys: RegistrationAuthorityKeys
    """Their ``health`` and the collector of their metrics as well."""
    jobs: Sequence[Job]
    operations: Sequence[Operation]
    start: Callable[[], None]
    stop: Callable[[], Deferred[None]]


def build_registration_authorities(
    entries: Sequence[RegistrationAuthorityConfig], services: Services, *, schedule: str = DEFAULT_SCHEDULE
) -> RegistrationAuthorityServices:
    """Raises Rejected, which names every fault of every entry, for profiles that do not fit (R-CEG-056)."""
    if problems := tuple(profile_problems(entries, services.profiles)):
        raise Rejected("; ".join(each.what for each in problems))
    keys = RegistrationAuthorityKeys(entries, clock=services.clock, keys=services.keys)
    certified = build_certified_keys(
        {holder: wanted for entry in entries for holder, wanted in _wanted_by(entry)},
        services,
        records=RECORDS,
        user=keys,
        words=_WORDS,
        find_faults=_find_faults,
        grace=LEFT_BEHIND,
    )
    authorities = OwnRegistrationAuthorities(
        [entry.ca for entry in entries],
        clock=services.clock,
        keys=keys,
        authorities=services.authorities,
        look=certified.look,
    )

    def stop() -> Deferred[None]:
        keys.give_up()
        return certified.stop()

    return RegistrationAuthorityServices(
        authorities=authorities,
        keys=keys,
        jobs=(Job(name="scep-renew-registration-authorities", schedule=schedule, run=certified.renew),),
        operations=RegistrationAuthorityOperations(entries, keys=keys, certified=certified).operations(),
        start=certified.start,
        stop=stop,
    )


def _wanted_by(entry: RegistrationAuthorityConfig) -> Iterator[tuple[str, Wanted]]:
    for role, profile in entry.profiles.items():
        terms = CertificateTerms(
            ca=CAReference.parse(entry.ca),
            profile=profile,
            subject=entry.subject,
            role="SCEP RA",
            key_type=entry.key_type,
            keys=entry.keys,
            decrypts=role.opens_envelopes,
        )
        yield (
            holder_of(entry.ca, role),
            Wanted(
                terms=terms,
                successor_at=lambda key: key.successor_due(entry.renew_before),
                grace=entry.grace,
                settling=SETTLING,
                follows_ca_key=True,
            ),
        )


def _find_faults(
    holder: str, certificate: x509.Certificate, chain: Sequence[x509.Certificate], now: datetime
) -> Sequence[str]:
    _, role = role_of(holder)
    return find_faults(certificate, role, now)


__all__ = ["DEFAULT_SCHEDULE", "RegistrationAuthorityServices", "build_registration_authorities"]
