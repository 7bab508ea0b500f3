"""Puts the units of all issuers together for the factory of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.internet.defer import Deferred, DeferredList

from cspd.authority.profile_values import ExtendedKeyUsageMode, ExtendedKeyUsageRules, Profile
from cspd.certified_keys.assembly import build_certified_keys
from cspd.jobs.values import Job
from cspd.plugin import Services
from cspd.refusals import Rejected
from protocols.tsp.certified_units import GRACE, WORDS, CertifiedUnits, unit_faults, wanted_by
from protocols.tsp.config import CertificationConfig, TSPConfig
from protocols.tsp.unit_files import BadUnitFiles, UnitFiles, read_unit_files
from protocols.tsp.unit_keys import UnitKeys
from protocols.tsp.unit_tables import RECORDS
from protocols.tsp.units import Units

_TIME_STAMPING_ALONE = ExtendedKeyUsageRules(
    mode=ExtendedKeyUsageMode.FIXED, values=(ExtendedKeyUsageOID.TIME_STAMPING.dotted_string,), critical=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitServices:
    """The units, and what keeps them up."""

    units: Units
    """Their ``health`` and the collector of their metrics as well."""
    jobs: Sequence[Job]
    start: Callable[[], None]
    stop: Callable[[], Deferred[None]]


def build_units(configuration: TSPConfig, services: Services) -> UnitServices:
    """Read and check all certificate files; raises Rejected, which names every fault of every issuer."""
    certified = {each.id: each.certification for each in configuration.issuers if each.certification is not None}
    _check_profiles(certified, services.profiles)
    files = _read_files(configuration, services)
    units = Units([issuer.id for issuer in configuration.issuers], clock=services.clock)
    search = UnitKeys(files, keys=services.keys, units=units, timers=services.reactor)
    own = build_certified_keys(
        {issuer: wanted_by(certification) for issuer, certification in certified.items()},
        services,
        records=RECORDS,
        user=CertifiedUnits(units),
        words=WORDS,
        find_faults=unit_faults,
        grace=GRACE,
    )

    def start() -> None:
        search.start()
        own.start()

    def stop() -> Deferred[None]:
        return DeferredList([search.stop(), own.stop()]).addCallback(lambda _: None)

    renewal = Job(name="tsp-renew-certificates", schedule=configuration.renew_certificates, run=own.renew)
    return UnitServices(units=units, jobs=(renewal,), start=start, stop=stop)


def _check_profiles(certified: Mapping[str, CertificationConfig], profiles: Mapping[str, Profile]) -> None:
    """A certificate by a wrong profile would be found unfit each time it is made."""
    for issuer, config in certified.items():
        profile = profiles.get(config.profile)
        if profile is None:
            raise Rejected(f"issuer {issuer}: there is no profile {config.profile}")
        rules = profile.extended_key_usage
        if rules != _TIME_STAMPING_ALONE:
            raise Rejected(
                f"issuer {issuer}: profile {config.profile} is not for time-stamp units: its extended_key_usage has to "
                'be { mode = "fixed", values = ["timeStamping"], critical = true }'
            )


def _read_files(configuration: TSPConfig, services: Services) -> dict[str, UnitFiles]:
    files: dict[str, UnitFiles] = {}
    faults: list[str] = []
    for issuer in configuration.issuers:
        if issuer.certificate is None:
            continue
        try:
            files[issuer.id] = read_unit_files(
                issuer.certificate, issuer.ca_chain, folder=services.folder, now=services.clock.now()
            )
        except BadUnitFiles as error:
            faults.append(f"issuer {issuer.id}: {error}")
    if faults:
        raise Rejected("; ".join(faults))
    return files


__all__ = ["UnitServices", "build_units"]
