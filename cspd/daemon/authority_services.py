"""The services that change organizations and CAs, wired to the core: for administrators and for the demonstration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cspd.authority.certification import CACertifier
from cspd.authority.creation import AuthorityCreation
from cspd.authority.external import ExternalRoots
from cspd.authority.management import AuthorityManagement
from cspd.authority.organizations import Organizations
from cspd.authority.profile_values import Profile
from cspd.authority.renewal import AuthorityRenewal
from cspd.daemon.core import Core


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityServices:
    """One of each."""

    organizations: Organizations
    creation: AuthorityCreation
    external: ExternalRoots
    management: AuthorityManagement
    renewal: AuthorityRenewal


def build_authority_services(
    core: Core, profiles: Mapping[str, Profile], *, is_tenant: Callable[[str], bool]
) -> AuthorityServices:
    """Build them for these profiles; ``is_tenant`` knows who may administer (R-CA-015)."""
    clock, database, keys, registry, audit = core.clock, core.database, core.keys, core.authorities, core.audit
    certifier = CACertifier(clock=clock, random=core.random, keys=keys, profiles=profiles, urls=core.urls)
    return AuthorityServices(
        organizations=Organizations(clock=clock, database=database, audit=audit, is_tenant=is_tenant),
        creation=AuthorityCreation(
            clock=clock,
            database=database,
            keys=keys,
            certifier=certifier,
            registry=registry,
            profiles=profiles,
            audit=audit,
        ),
        external=ExternalRoots(
            clock=clock, database=database, keys=keys, certifier=certifier, registry=registry, audit=audit
        ),
        management=AuthorityManagement(
            clock=clock,
            database=database,
            keys=keys,
            registry=registry,
            revocation=core.revocation,
            profiles=profiles,
            audit=audit,
        ),
        renewal=AuthorityRenewal(database=database, keys=keys, certifier=certifier, registry=registry, audit=audit),
    )
