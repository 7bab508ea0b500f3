"""Builds SCEP from ``[protocols.scep]`` and the shared services."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from cspd.authority.values import CAReference
from cspd.health import Health
from cspd.jobs.values import Job
from cspd.keys.threads import ThreadPool
from cspd.plugin import EnrollmentURL, ProtocolService, Services
from protocols.scep.assembly import assemble
from protocols.scep.challenge_assembly import challenge_routes
from protocols.scep.challenge_config import challenge_authorizer
from protocols.scep.config import SCEPConfig, ServiceConfig
from protocols.scep.digital_ids import DigitalIDPlaces
from protocols.scep.endpoint import SCEPEndpoint
from protocols.scep.interfaces import Authorizer
from protocols.scep.intune.assembly import assemble as assemble_intune
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

    def authorizer(service: ServiceConfig) -> Authorizer:
        return challenge_authorizer(
            service, secret=services.secret, secrets=services.enrollment_secrets, audit=services.audit
        )

    intune = assemble_intune(configuration.intune, services)
    plain = PlainPlaces(configuration, tenants=services.tenants, authorizer=authorizer)
    endpoint = SCEPEndpoint(
        service=assembled.service,
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
        await assembled.service.drain()  # what is being issued still asks Intune
        await intune.stop()

    def stop() -> Any:
        return DeferredList([Deferred.fromCoroutine(drain()), passwords.stop(), registration_authorities.stop()])

    def health() -> Sequence[Health]:
        return [*registration_authorities.keys.health(), *intune.health()]

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
        health=health,
        metrics=(registration_authorities.keys,),
        enrollment_urls=_enrollment_urls(configuration, services),
    )


def _enrollment_urls(configuration: SCEPConfig, services: Services) -> tuple[EnrollmentURL, ...]:
    urls = []
    password = _password(services)
    for tenant in sorted(services.tenants):
        for service in configuration.services:
            for profile in configuration.profiles_of(service):
                url = f"{services.public.http}/scep/{tenant}/{service.ca}/{profile}/"
                where = shlex.quote(url)
                command = (
                    f"pki --scepca --url {where} --caout ca.pem --raout ra.pem --outform pem --force && "
                    "pki --gen --type rsa --size 2048 --outform pem > device.key && "
                    f"pki --scep --url {where} --in device.key --dn CN=device --password {password}"
                    " --cacert-enc ra.pem --cacert-sig ra.pem --cacert ca.pem --outform pem > device.pem"
                )
                urls.append(EnrollmentURL(what=f"SCEP, {service.ca}, {profile}, strongSwan", url=url, command=command))
    return tuple(urls)


def _password(services: Services) -> str:
    """Which challenge a client takes: that of the demonstration works at once."""
    file = services.folder / "scep-challenge"
    if services.demo and file.exists():
        return f'"$(cat {shlex.quote(str(file.absolute()))})"'
    return "CHALLENGE"
