"""The half of the daemon that a reload replaces: protocols, their routes and jobs, by one configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger

from cspd.admin.operations.values import Operation
from cspd.authentication.assembly import build_password_check
from cspd.authentication.interfaces import PasswordCheck, Stoppable
from cspd.config.configuration import Configuration
from cspd.config.connectors import find_connector
from cspd.config.problems import ConfigurationRefused, Problem
from cspd.daemon.core import Core
from cspd.digital_ids.assembly import build_digital_ids
from cspd.digital_ids.service import DigitalIDs
from cspd.http.message import Route
from cspd.http.outbound.client import HTTPClient, build_client
from cspd.jobs.cron import Cron, CronError
from cspd.jobs.values import Job
from cspd.plugin import EnrollmentURL, ProtocolService, PublicAddress, Services
from cspd.refusals import Refused


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deployment:
    """Protocols that were built by a configuration."""

    configuration: Configuration
    protocols: Mapping[str, ProtocolService]
    password_checks: Mapping[str, PasswordCheck] = field(default_factory=dict)
    core_jobs: Sequence[Job] = ()
    withdrawn: frozenset[str] = frozenset()
    """Protocols that no listener serves (:mod:`cspd.daemon.withdrawn`)."""

    _log: ClassVar[Logger] = Logger()

    def routes(self, listener: str) -> Sequence[Route]:
        """What the listener of that name serves."""
        names = self.configuration.root.listeners[listener].protocols
        return [
            replace(route, protocol=name)
            for name in names
            if name not in self.withdrawn
            for route in self.protocols[name].routes
        ]

    @property
    def jobs(self) -> Sequence[Job]:
        """The jobs of the core and of all protocols."""
        return [*self.core_jobs, *(job for protocol in self.protocols.values() for job in protocol.jobs)]

    @property
    def enrollment_urls(self) -> Sequence[EnrollmentURL]:
        """Where clients go, with commands to try (R-CEG-017)."""
        return [url for protocol in self.protocols.values() for url in protocol.enrollment_urls]

    @property
    def operations(self) -> Sequence[Operation]:
        """What ``cspctl`` may ask of the protocols."""
        return [operation for protocol in self.protocols.values() for operation in protocol.operations]

    def start(self) -> None:
        """Call before requests arrive. A protocol that does not start is logged; the others go on (R-PLAT-009)."""
        for name, protocol in self.protocols.items():
            if protocol.start is not None:
                try:
                    protocol.start()
                except Exception:
                    self._log.failure("protocol {protocol} did not start", protocol=name)

    async def stop(self) -> None:
        """Call when no request arrives any more."""
        for name, protocol in self.protocols.items():
            if protocol.stop is not None:
                try:
                    await maybeDeferred(protocol.stop)
                except Exception:
                    self._log.failure("protocol {protocol} did not stop", protocol=name)
        for check in self.password_checks.values():
            if isinstance(check, Stoppable):
                check.stop()


def build_deployment(
    configuration: Configuration, core: Core, *, withdrawn: frozenset[str] = frozenset()
) -> Deployment:
    """Build every protocol, also those that are withdrawn.

    Raises :class:`ConfigurationRefused`, which names all that cannot be built.
    """
    password_checks = build_password_checks(configuration, core)
    services = _services(configuration, core, password_checks)
    built: dict[str, ProtocolService] = {}
    problems: list[Problem] = []
    for name, protocol in configuration.protocols.items():
        key = ("protocols", name)
        try:
            built[name] = protocol.factory(protocol.settings, services)
        except Refused as error:
            problems.append(Problem(what=str(error), key=key, file=configuration.path))
            continue
        faults = _operation_faults(protocol.declaration.typed_name, built[name].operations)
        problems += [Problem(what=each, key=key, file=configuration.path) for each in faults]
    deployment = Deployment(
        configuration=configuration,
        protocols=built,
        password_checks=password_checks,
        core_jobs=[*core.jobs, *(() if services.digital_ids is None else services.digital_ids.jobs())],
        withdrawn=withdrawn & built.keys(),
    )
    problems += [Problem(what=each, file=configuration.path) for each in _job_faults(deployment.jobs)]
    if problems:
        raise ConfigurationRefused(problems)
    return deployment


def build_operations(configuration: Configuration, core: Core, operation: str) -> Sequence[Operation]:
    """The named operation of an enabled protocol, without a daemon; nothing if none has it.

    Builds that protocol alone: what another one lacks holds up nobody. Raises the refusal of its factory.
    """
    for enabled in configuration.protocols.values():
        typed_name = enabled.declaration.typed_name
        if operation.startswith(f"{typed_name}-"):
            services = _services(configuration, core, build_password_checks(configuration, core))
            operations = enabled.factory(enabled.settings, services).operations
            found = [each for each in operations if each.name == operation]
            if found:
                return found
    return ()


def _operation_faults(typed_name: str, operations: Iterable[Operation]) -> Iterator[str]:
    for operation in operations:
        if not operation.name.startswith(f"{typed_name}-"):
            yield f'the operation {operation.name} does not begin with "{typed_name}-"'


def _job_faults(jobs: Sequence[Job]) -> Iterator[str]:
    names: set[str] = set()
    for job in jobs:
        if job.name in names:
            yield f"two jobs are named {job.name}"
        names.add(job.name)
        try:
            Cron.parse(job.schedule)
        except CronError as error:
            yield f"the schedule of the job {job.name} is not one: {error}"


def build_password_checks(configuration: Configuration, core: Core) -> Mapping[str, PasswordCheck]:
    """One for each ``[authentication.NAME]``; raises :class:`ConfigurationRefused`, which names all that cannot be."""
    built: dict[str, PasswordCheck] = {}
    problems: list[Problem] = []
    for name, section in configuration.root.authentication.items():
        try:
            built[name] = build_password_check(
                name,
                section,
                connector=find_connector,
                reactor=core.reactor,
                secret=configuration.secrets.resolve,
                folder=configuration.folder,
            )
        except Refused as error:
            problems.append(Problem(what=str(error), key=("authentication", name), file=configuration.path))
    if problems:
        raise ConfigurationRefused(problems)
    return built


def _services(configuration: Configuration, core: Core, password_checks: Mapping[str, PasswordCheck]) -> Services:
    server = configuration.root.server
    issuance = core.issuance(configuration.profiles)
    return Services(
        reactor=core.reactor,
        clock=core.clock,
        random=core.random,
        database=core.database,
        keys=core.keys,
        authorities=core.authorities,
        issuance=issuance,
        approvals=core.approvals(issuance),
        revocation=core.revocation,
        status=core.status,
        publication=core.publication,
        certificates=core.certificates,
        profiles=configuration.profiles,
        audit=core.audit,
        public=PublicAddress(http=server.http_url, https=server.https_url, trust_anchor=configuration.trust_anchor),
        tenants=frozenset(configuration.root.tenants.ids),
        connector=find_connector,
        password_checks=password_checks,
        enrollment_secrets=core.enrollment_secrets,
        process=core.process,
        monitor=core.monitoring.monitor,
        folder=configuration.folder,
        secret=configuration.secrets.resolve,
        outbound=_outbound(configuration, core),
        digital_ids=_digital_ids(configuration, core),
        node=server.node_name,
        demo=configuration.is_demo,
    )


def _outbound(configuration: Configuration, core: Core) -> HTTPClient:
    section, folder = configuration.root.outbound, configuration.folder
    try:
        return build_client(section, reactor=core.reactor, secret=configuration.secrets.resolve, folder=folder)
    except ValueError as error:
        raise ConfigurationRefused([Problem(what=str(error), key=("outbound",), file=configuration.path)]) from error


def _digital_ids(configuration: Configuration, core: Core) -> DigitalIDs | None:
    section = configuration.root.digital_ids
    if section is None or not section.enabled:
        return None
    return build_digital_ids(
        section,
        clock=core.clock,
        random=core.random,
        database=core.database,
        audit=core.audit,
        profiles=configuration.profiles,
    )
