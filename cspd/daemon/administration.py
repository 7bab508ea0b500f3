"""What an administrator can do, wired to the core: for the daemon's socket and for ``cspctl`` without a daemon."""

from __future__ import annotations

import pwd
from collections.abc import Iterable, Mapping
from datetime import timedelta
from random import Random
from typing import Any

from cspd.admin.endpoint import AdminEndpoint
from cspd.admin.operations.audit import AuditOperations
from cspd.admin.operations.authorities import AuthorityOperations
from cspd.admin.operations.certificates import CertificateOperations
from cspd.admin.operations.daemon import Daemon, DaemonOperations
from cspd.admin.operations.enrollment_secrets import EnrollmentSecretOperations
from cspd.admin.operations.keys import KeyOperations
from cspd.admin.operations.organizations import OrganizationOperations
from cspd.admin.operations.profiles import ProfileOperations
from cspd.admin.operations.records import CommandRecords
from cspd.admin.operations.requests import RequestOperations
from cspd.admin.operations.signing_keys import SigningKeyOperations
from cspd.admin.operations.values import Operation, Operations
from cspd.authority.profile_values import Profile
from cspd.clock import Clock
from cspd.config.configuration import Configuration
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.authority_services import build_authority_services
from cspd.daemon.core import Core
from cspd.daemon.deployment import Deployment
from cspd.daemon.listeners import Wanted
from cspd.daemon.serving import Serving
from cspd.http.config import Limits
from cspd.http.router import Router
from cspd.http.server import HTTPFactory
from cspd.keys.administration import KeyAdministration

LISTENER = "administration"
# A key of RSA 4096 on a slow token takes minutes.
_LIMITS = Limits(write_timeout=timedelta(minutes=10), max_body_bytes=1 << 20)


def core_operations(core: Core, profiles: Mapping[str, Profile]) -> Iterable[Operation]:
    """All operations that need no running daemon."""
    services = build_authority_services(core, profiles, is_tenant=is_user_of_this_machine)
    authorities = AuthorityOperations(
        clock=core.clock,
        authorities=core.authorities,
        creation=services.creation,
        external=services.external,
        management=services.management,
        renewal=services.renewal,
        publication=core.publication,
        urls=core.urls,
    )
    issuance = core.issuance(profiles)
    certificates = CertificateOperations(
        clock=core.clock,
        authorities=core.authorities,
        certificates=core.certificates,
        issuance=issuance,
        revocation=core.revocation,
    )
    keys = KeyOperations(core.keys, core.authorities)
    signing_keys = SigningKeyOperations(KeyAdministration(core.keys, core.keys.inspection), keys.owners)
    return (
        *OrganizationOperations(services.organizations).operations(),
        *authorities.operations(),
        *certificates.operations(),
        *RequestOperations(core.approvals(issuance)).operations(),
        *EnrollmentSecretOperations(core.enrollment_secrets, core.authorities).operations(),
        *ProfileOperations(lambda: profiles).operations(),
        *keys.operations(),
        *signing_keys.operations(),
        *AuditOperations(core.database).operations(),
        *CommandRecords(core.audit).operations(),
    )


def administration_listener(configuration: Configuration) -> Wanted:
    """The Unix socket of ``cspctl``."""
    return Wanted(name=LISTENER, address=configuration.admin_socket)


def administration_serving(
    deployment: Deployment, core: Core, daemon: Daemon, *, reactor: Any, clock: Clock, random: Random
) -> tuple[Wanted, Serving]:
    """What answers on that socket; raises ConfigurationRefused if two operations have one name."""
    configuration = deployment.configuration
    of_daemon = DaemonOperations(
        daemon=daemon,
        clock=clock,
        authorities=core.authorities,
        certificates=core.certificates,
        monitor=core.monitoring.monitor,
    )
    ours = (*core_operations(core, configuration.profiles), *of_daemon.operations())
    try:
        operations = Operations((*ours, *deployment.operations), core.audit)
    except ValueError as error:  # two have one name
        raise ConfigurationRefused([Problem(what=str(error), file=configuration.path)]) from error
    router = Router(AdminEndpoint(operations).routes())
    http = HTTPFactory(router, _LIMITS, reactor=reactor, clock=clock, random=random, name=LISTENER)
    return administration_listener(configuration), Serving(http, tls=None, folder=configuration.folder, reactor=reactor)


def is_user_of_this_machine(name: str) -> bool:
    """Whether the operating system knows the user: those are who may administer (R-CA-015)."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
