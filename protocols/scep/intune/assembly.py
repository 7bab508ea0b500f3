"""Builds what serves Intune's devices from ``[[protocols.scep.intune]]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred

from cspd.authority.values import CAReference
from cspd.health import Health
from cspd.jobs.values import Job
from cspd.plugin import Services
from protocols.scep.intune.authorizer import IntuneAuthorizer
from protocols.scep.intune.config import IntuneConfig
from protocols.scep.intune.interfaces import CONNECTOR_KIND, IntuneService, IntuneServiceFactory
from protocols.scep.intune.notifications import Notifications
from protocols.scep.intune.places import IntunePlaces
from protocols.scep.intune.revocations import Revocations

EVERY_HALF_MINUTE = "0/30 * * * * *"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What SCEP needs of it."""

    places: IntunePlaces
    jobs: Sequence[Job]
    health: Callable[[], Sequence[Health]]
    start: Callable[[], None]
    stop: Callable[[], Any]


def assemble(configurations: Sequence[IntuneConfig], services: Services) -> Assembled:
    """Build it; with no configuration there are no places and no jobs. Raises what the connector's factory raises."""
    connected = {each.ca: _connect(each, services) for each in configurations}
    notifications = Notifications(
        clock=services.clock,
        random=services.random,
        database=services.database,
        audit=services.audit,
        authorities=services.authorities,
        certificates=services.certificates,
        services=connected,
    )
    authorizers = {
        ca: IntuneAuthorizer(service=service, notifications=notifications) for ca, service in connected.items()
    }
    jobs = [
        Job(
            name=f"scep-intune-revocations-{each.ca}",
            schedule=each.revocation_schedule,
            run=_revocations(each, configurations, connected[each.ca], services).run,
        )
        for each in configurations
    ]
    if configurations:
        jobs.append(Job(name="scep-intune-notifications", schedule=EVERY_HALF_MINUTE, run=notifications.run))

    def health() -> Sequence[Health]:
        if not configurations:
            return ()
        return [*(service.health() for service in connected.values()), notifications.health()]

    def start() -> None:
        for service in connected.values():
            service.start()

    def stop() -> Any:
        stopping = [notifications.stop(), *(maybeDeferred(service.stop) for service in connected.values())]
        return DeferredList(stopping)

    places = IntunePlaces(configurations, tenants=services.tenants, authorizers=authorizers)
    return Assembled(places=places, jobs=jobs, health=health, start=start, stop=stop)


def _connect(configuration: IntuneConfig, services: Services) -> IntuneService:
    factory: IntuneServiceFactory = services.connector(CONNECTOR_KIND, "intune")
    return factory(
        configuration,
        reactor=services.reactor,
        clock=services.clock,
        random=services.random,
        outbound=services.outbound,
        secret=services.secret,
        folder=services.folder,
    )


def _revocations(
    configuration: IntuneConfig,
    all_of_them: Sequence[IntuneConfig],
    service: IntuneService,
    services: Services,
) -> Revocations:
    application = (configuration.azure_tenant, configuration.azure_application_id)
    return Revocations(
        service=service,
        authorities=services.authorities,
        revocation=services.revocation,
        ca=CAReference.parse(configuration.ca),
        siblings=[
            CAReference.parse(each.ca)
            for each in all_of_them
            if (each.azure_tenant, each.azure_application_id) == application
        ],
        identity=configuration.azure_tenant,
        limit=configuration.revocation_batch,
    )
