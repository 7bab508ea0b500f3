"""What a protocol has to be, so that conf can switch it on.

A declaration is an instance of :class:`ProtocolDeclaration` at the top level of a module in a ``plugins`` package. It
is a few strings and imports nothing heavy: ``twistd --help`` reads all of them. ``cspd.app`` imports the named model
and factory only when conf asks for the protocol, and a declaration that conf asks for and is not found fails the start
by name (``twisted.plugin.getPlugins`` silently leaves out a module that does not import).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from prometheus_client.registry import Collector
from twisted.plugin import IPlugin
from zope.interface import Interface, implementer

from cspd.admin.operations.values import Operation
from cspd.audit.events import AuditLog
from cspd.authentication.interfaces import PasswordCheck
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.authority.approvals import Approvals
from cspd.authority.interfaces import Authorities, CertificateStore, Issuance, Publication, Revocation, Status
from cspd.authority.profile_values import Profile
from cspd.clock import Clock
from cspd.config.values import SecretReference
from cspd.digital_ids.service import DigitalIDs
from cspd.health import Health
from cspd.http.message import Route
from cspd.http.outbound.values import NoOutbound, Outbound
from cspd.jobs.values import Job
from cspd.keys.interfaces import Keys
from cspd.monitoring.interfaces import Monitor
from cspd.store.interfaces import Database


def no_secrets(reference: SecretReference) -> bytes:
    """For :attr:`Services.secret` where there are none."""
    raise ValueError("there are no secrets here")


class IProtocolDeclaration(Interface):  # type: ignore[misc]  # zope.interface carries no types
    """Marks declarations for ``getPlugins``."""


@implementer(IPlugin, IProtocolDeclaration)
@dataclass(frozen=True, kw_only=True)
class ProtocolDeclaration:
    """Declares a protocol."""

    name: str
    """Becomes ``[protocols.NAME]`` and the name that listeners list: lower-case letters and digits."""
    summary: str
    """One line for ``cspctl`` and ``--help``."""
    configuration: str
    """``module:Class`` of the pydantic model of ``[protocols.NAME]`` (a :class:`cspd.config.values.Section`).

    A model that names files, or may be insecure, checks that: :class:`cspd.config.inspection.Inspected`.
    """
    factory: str
    """``module:function`` with the signature of :class:`ProtocolFactory`."""
    plain_http: bool
    """Whether a listener without TLS may serve it (OCSP, CRL, SCEP, TSA) or the start is refused (ACME, EST)."""
    commands: str = ""
    """``module:group``, a click group that ``cspctl`` offers; imported only when somebody types its name."""
    command_name: str = ""
    """What to type, if it is not ``name``."""

    @property
    def typed_name(self) -> str:
        """What to type behind ``cspctl``, and what the names of the protocol's operations begin with."""
        return self.command_name or self.name


class IConnectorDeclaration(Interface):  # type: ignore[misc]  # zope.interface carries no types
    """Marks declarations of connectors for ``getPlugins``."""


@implementer(IPlugin, IConnectorDeclaration)
@dataclass(frozen=True, kw_only=True)
class ConnectorDeclaration:
    """Declares something that connects to somebody else's system: as light as :class:`ProtocolDeclaration`."""

    kind: str
    """What it can do: ``time-source`` (:class:`cspd.timekeeping.interfaces.TimeSource`), ``password-check``
    (:class:`cspd.authentication.interfaces.PasswordCheck`)."""
    name: str
    """What conf files say: lower-case letters, digits and hyphens; unique within its kind."""
    summary: str
    factory: str
    """``module:callable``; its signature belongs to the kind and is said at the kind's interface."""
    configuration: str = ""
    """``module:Class`` of the pydantic model of its ``settings``, for ``cspctl config check``; as for a protocol."""


@dataclass(frozen=True, kw_only=True)
class PublicAddress:
    """How clients reach the server, maybe through a balancer; without trailing slash."""

    http: str
    https: str
    trust_anchor: Path | None = None
    """The root, PEM, that a client has to be given; None if clients trust ``https`` anyway."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """What a factory may hand to the objects it builds; nobody keeps this as a whole."""

    reactor: Any
    """IReactorTime, IReactorTCP, IReactorUDP, IReactorThreads."""
    clock: Clock
    random: Random
    """Cryptographically strong (``random.SystemRandom``) in the daemon, seeded in tests."""
    database: Database
    keys: Keys
    authorities: Authorities
    issuance: Issuance
    approvals: Approvals
    revocation: Revocation
    status: Status
    publication: Publication
    certificates: CertificateStore
    profiles: Mapping[str, Profile]
    """Every profile by its id, authority templates among them."""
    audit: AuditLog
    public: PublicAddress
    tenants: frozenset[str]
    connector: Callable[[str, str], Callable[..., Any]]
    """The factory of a connector by kind and name; raises NotFound, with the names that there are."""
    password_checks: Mapping[str, PasswordCheck]
    """Who knows passwords, by the name of its ``[authentication.NAME]``."""
    enrollment_secrets: EnrollmentSecrets
    process: str
    """Names this process in leases, unlike any other that shares the store, now or earlier; a reload keeps it."""
    monitor: Monitor
    """Health and metrics of the whole server, whichever protocols are active when it is asked."""
    folder: Path = Path()
    """Where the relative paths of conf files start."""
    secret: Callable[[SecretReference], bytes] = no_secrets
    """What a reference of conf stands for, read once by each configuration; raises ValueError, which says why not."""
    outbound: Outbound = field(default_factory=NoOutbound)
    """Sends requests to other people's HTTP servers, as ``[outbound]`` says."""
    digital_ids: DigitalIDs | None = None
    """What ``[digital_ids]`` describes; None without the section, or where it is switched off."""
    node: str = "node"
    """Names this machine among several on one store, as ``server.node`` of conf does."""
    demo: bool = False


@dataclass(frozen=True, kw_only=True)
class ProtocolService:
    """A protocol that runs."""

    routes: Sequence[Route]
    jobs: Sequence[Job] = ()
    start: Callable[[], None] | None = None
    """Called once the reactor runs and before requests arrive (warm caches); must not block."""
    stop: Callable[[], Any] | None = None
    """Called at shutdown or when a reload replaced this instance; may return a Deferred."""
    enrollment_urls: Sequence[EnrollmentURL] = field(default=())
    operations: Sequence[Operation] = field(default=())
    """What ``cspctl`` may ask of it, with the daemon and without one; names begin with what one types: ``tsa-...``."""
    health: Callable[[], Sequence[Health]] | None = None
    """How its parts are, from what is known now; must not wait."""
    metrics: Sequence[Collector] = field(default=())
    """Collectors of prometheus-client; names begin with ``cspd_`` and the protocol."""


@dataclass(frozen=True, kw_only=True)
class EnrollmentURL:
    """A URL to show to people (``make run``, ``cspctl status``), with a command that tries it (R-CEG-017).

    ``{ca}`` in its texts stands for every issuing CA that is active, only those with ``profile`` if one is given; which
    CAs there are is known to the store and not when a protocol is built.
    """

    what: str
    url: str
    command: str = ""
    profile: str = ""


class ProtocolFactory(Protocol):
    """Builds the protocol's objects from its conf section; raises ``cspd.refusals.Refused`` if it cannot run."""

    def __call__(self, configuration: Any, services: Services) -> ProtocolService:
        """Give the routes and jobs; does no I/O but reading files that the section names."""
        ...
