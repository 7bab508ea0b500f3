"""Puts the units of all issuers together for the factory of the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from cspd.jobs.values import Job
from cspd.plugin import Services
from cspd.refusals import Rejected
from protocols.tsp.config import TSPConfig
from protocols.tsp.unit_files import BadUnitFiles, UnitFiles, read_unit_files
from protocols.tsp.unit_keys import UnitKeys
from protocols.tsp.units import Units


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
    units = Units([issuer.id for issuer in configuration.issuers], clock=services.clock)
    keys = UnitKeys(_read_files(configuration, services), keys=services.keys, units=units, timers=services.reactor)
    return UnitServices(units=units, jobs=(), start=keys.start, stop=keys.stop)


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
