"""Builds SCEP from ``[protocols.scep]`` and the shared services."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from cspd.authority.values import CAReference
from cspd.jobs.values import Job
from cspd.keys.threads import ThreadPool
from cspd.plugin import ProtocolService, Services
from protocols.scep.assembly import assemble
from protocols.scep.challenge_assembly import challenge_routes
from protocols.scep.challenge_config import challenge_authorizer
from protocols.scep.config import SCEPConfig, ServiceConfig
from protocols.scep.digital_ids import DigitalIDPlaces
from protocols.scep.endpoint import SCEPEndpoint
from protocols.scep.enrollment_urls import enrollment_urls
from protocols.scep.interfaces import Authorizer
from protocols.scep.intune import assembly as intune_assembly
from protocols.scep.places import PlainPlaces
from protocols.scep.registration_authority_assembly import build_registration_authorities

_PASSWORD_THREADS = 1
_PASSWORDS_WAITING = 50
_EVERY_MINUTE = "40 * * * * *"


def build(configuration: SCEPConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`."""
    passwords = ThreadPool(
        "scep-passwords",
        _PASSWORD_THREADS,
        call_from_thread=lambda work: services.reactor.callFromThread(work),
        limit=_PASSWORDS_WAITING,
    )
    registration_authorities = build_registration_authorities(
        configuration.registration_authorities, services, schedule=configuration.renew_registration_authorities
    )
    assembled = assemble(
        configuration,
        services,
        registration_authorities=registration_authorities.authorities,
        in_thread=passwords.run,
    )

    intune = intune_assembly.assemble(configuration.intune, services)

    def authorizer(service: ServiceConfig) -> Authorizer:
        return challenge_authorizer(
            service, secret=services.secret, secrets=services.enrollment_secrets, audit=services.audit
        )

    plain = PlainPlaces(configuration, tenants=services.tenants, authorizer=authorizer)
    endpoint = SCEPEndpoint(
        service=assembled.service,
        information=assembled.information,
        plain=plain,
        intune=intune.places,
        mdm=DigitalIDPlaces(services.digital_ids, tenants=services.tenants, policy=configuration.policy()),
        limits=assembled.limits,
    )
    handing_out = challenge_routes(
        {CAReference.parse(service.ca): service for service in configuration.services}, places=plain, services=services
    )

    def start() -> None:
        passwords.start()
        registration_authorities.start()
        intune.start()

    async def drain() -> None:
        await intune.stop()  # first: what still waits for Intune's word is not going to be issued
        await assembled.service.drain()

    def stop() -> Any:
        return DeferredList([Deferred.fromCoroutine(drain()), passwords.stop(), registration_authorities.stop()])

    return ProtocolService(
        routes=(*endpoint.routes(), *handing_out),
        jobs=(
            Job(name="scep-transactions", schedule=_EVERY_MINUTE, run=assembled.replacement.run),
            *registration_authorities.jobs,
            *intune.jobs,
        ),
        start=start,
        stop=stop,
        operations=registration_authorities.operations,
        health=lambda: [*registration_authorities.keys.health(), *intune.health()],
        metrics=(registration_authorities.keys,),
        enrollment_urls=tuple(enrollment_urls(configuration, services)),
    )
