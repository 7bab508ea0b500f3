"""Puts certified keys together for the factory of a protocol, out of the services that all share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from cspd.certified_keys.following import CertifiedKeys, KeyUser
from cspd.certified_keys.making import FindFaults, KeyCertification
from cspd.certified_keys.records import CertifiedKeyRecords
from cspd.certified_keys.values import Wanted, Words
from cspd.plugin import Services


def build_certified_keys(
    wanted: Mapping[str, Wanted],
    services: Services,
    *,
    records: CertifiedKeyRecords,
    user: KeyUser,
    words: Words,
    find_faults: FindFaults,
    grace: timedelta,
) -> CertifiedKeys:
    """``wanted`` by holder, ``records`` is the protocol's table, ``user`` hears of every change.

    ``grace`` is for the keys of holders that are wanted no more, from the end of their certificates.
    """
    return CertifiedKeys(
        wanted,
        clock=services.clock,
        database=services.database,
        records=records,
        keys=services.keys,
        authorities=services.authorities,
        status=services.status,
        audit=services.audit,
        certification=KeyCertification(
            clock=services.clock,
            random_bytes=services.random.randbytes,
            database=services.database,
            records=records,
            keys=services.keys,
            authorities=services.authorities,
            issuance=services.issuance,
            audit=services.audit,
            process=services.process,
            words=words,
            find_faults=find_faults,
        ),
        user=user,
        timers=services.reactor,
        words=words,
        grace=grace,
    )
