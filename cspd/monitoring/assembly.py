"""The monitor of the core, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cspd.authority.interfaces import Authorities
from cspd.clock import Clock
from cspd.monitoring.authorities import AuthoritySource
from cspd.monitoring.interfaces import Source
from cspd.monitoring.issuance import IssuanceCounters
from cspd.monitoring.keys import KeySource, WatchedKeys
from cspd.monitoring.process import ProcessSource
from cspd.monitoring.requests import RequestCounters
from cspd.monitoring.service import MonitoringService
from cspd.monitoring.store import StoreSource
from cspd.store.interfaces import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """The monitor, and the counters that others feed."""

    monitor: MonitoringService
    issued: IssuanceCounters
    requests: RequestCounters


def build_monitoring(
    *, reactor: Any, clock: Clock, database: Database, keys: WatchedKeys, authorities: Authorities
) -> Monitoring:
    """Watch the core; ``reactor`` gives the timers only (IReactorTime)."""
    store, signing = StoreSource(database, reactor), KeySource(keys, reactor)
    served = AuthoritySource(authorities, database, clock=clock, reactor=reactor)
    issued, requests = IssuanceCounters(), RequestCounters()
    sources: dict[str, Source] = {
        "process": ProcessSource(),
        "store": store,
        "keys": signing,
        "authorities": served,
        "issuance": issued,
        "http": requests,
    }
    monitor = MonitoringService(sources, probes=(store.probe, signing.probe, served.probe))
    return Monitoring(monitor=monitor, issued=issued, requests=requests)
