"""Builds Windows enrollment from ``[protocols.wstep]`` and the shared services."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cspd.authentication.interfaces import PasswordCheck
from cspd.authentication.negotiate import Acceptor, Negotiation
from cspd.directory.interfaces import HasDirectory
from cspd.http.soap import WSSE
from cspd.http.soap12 import ADDRESSING, SOAP_12
from cspd.jobs.values import Job
from cspd.keys.threads import ThreadPool
from cspd.plugin import EnrollmentURL, ProtocolService, Services
from cspd.refusals import Conflict, NotFound, Unavailable
from protocols.wstep.ad_operations import DirectoryOperations
from protocols.wstep.audit import RefusalAudit
from protocols.wstep.authentication import Tickets, UserNames
from protocols.wstep.client_certificates import OurCertificates
from protocols.wstep.codec import REQUEST_ACTION, TRUST
from protocols.wstep.config import KerberosConfig, WSTEPConfig
from protocols.wstep.endpoint import WSTEPEndpoint
from protocols.wstep.messages import RequestType
from protocols.wstep.metrics import AnsweredRequests
from protocols.wstep.places import Places
from protocols.wstep.policy_assembly import build_policy_endpoint, directories_of
from protocols.wstep.renewal import Renewals
from protocols.wstep.request_ids import RequestIDs
from protocols.wstep.responses import Responder
from protocols.wstep.service import WSTEPService

T = TypeVar("T")

_TICKET_THREADS = 2
_TICKETS_WAITING = 256
_DAILY = "20 50 2 * * *"
_MAKE_REQUEST = (
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj / "
    "-addext keyUsage=digitalSignature -keyout user.key -outform DER -out request.der"
)
_MESSAGE = (
    f'<s:Envelope xmlns:s="{SOAP_12}" xmlns:a="{ADDRESSING}" xmlns:o="{WSSE}"><s:Header>'
    f"<a:Action>{REQUEST_ACTION}</a:Action><a:MessageID>urn:uuid:1</a:MessageID>"
    "<o:Security><o:UsernameToken><o:Username>%s</o:Username><o:Password>%s</o:Password></o:UsernameToken>"
    f'</o:Security></s:Header><s:Body><RequestSecurityToken xmlns="{TRUST}">'
    f"<RequestType>{RequestType.ISSUE.value}</RequestType>"
    "<o:BinarySecurityToken>%s</o:BinarySecurityToken></RequestSecurityToken></s:Body></s:Envelope>"
)
"""For printf: user name, password, and the request in base64."""


def build(configuration: WSTEPConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`."""
    checks = _checks(configuration, services)
    pool = ThreadPool(
        "wstep-tickets", _TICKET_THREADS, call_from_thread=_call_from_thread(services), limit=_TICKETS_WAITING
    )
    request_ids = RequestIDs(clock=services.clock, random=services.random, database=services.database)
    service = WSTEPService(
        clock=services.clock,
        authorities=services.authorities,
        issuance=services.issuance,
        certificates=services.certificates,
        profiles=services.profiles,
        request_ids=request_ids,
        renewals=Renewals(clock=services.clock, certificates=services.certificates),
        responder=Responder(services.keys),
    )
    tickets = _tickets(configuration, services, checks, pool)
    audit = RefusalAudit(services.audit)
    answered = AnsweredRequests()
    served = configuration.terms()
    certificates = OurCertificates(
        clock=services.clock,
        authorities=services.authorities,
        certificates=services.certificates,
        cas=[terms.ca for terms in served],
        directories=directories_of(checks),
    )
    endpoint = WSTEPEndpoint(
        service=service,
        user_names=UserNames(checks),
        tickets=tickets,
        certificates=certificates if any(terms.certificate_renewal for terms in served) else None,
        places=Places(configuration, tenants=services.tenants),
        audit=audit,
        answered=answered,
        max_message_bytes=configuration.max_message_bytes,
    )
    policies = build_policy_endpoint(
        configuration, services, checks=checks, tickets=tickets, certificates=certificates, audit=audit
    )
    return ProtocolService(
        routes=[*endpoint.routes(), *(() if policies is None else policies.routes())],
        jobs=(Job(name="wstep-delete-expired-requests", schedule=_DAILY, run=request_ids.delete_expired),),
        metrics=(answered,),
        start=pool.start,
        stop=pool.stop,
        enrollment_urls=_enrollment_urls(configuration, services),
        operations=DirectoryOperations(
            served,
            authorities=services.authorities,
            profiles=services.profiles,
            directories=directories_of(checks),
            tenants=services.tenants,
            public_https=services.public.https,
            kerberos=tickets is not None,
        ).operations(),
    )


def _call_from_thread(services: Services) -> Callable[[Callable[[], Any]], Any]:
    return lambda work: services.reactor.callFromThread(work)


def _checks(configuration: WSTEPConfig, services: Services) -> Mapping[str, PasswordCheck]:
    missing = [name for name in configuration.users if name not in services.password_checks]
    if missing:
        raise NotFound(f"users: there is no [authentication.{missing[0]}]")
    return {name: services.password_checks[name] for name in configuration.users}


def _tickets(
    configuration: WSTEPConfig, services: Services, checks: Mapping[str, PasswordCheck], pool: ThreadPool
) -> Tickets | None:
    kerberos = configuration.kerberos
    if kerberos is None:
        return None
    directories = [check.directory for check in checks.values() if isinstance(check, HasDirectory)]
    if not directories:
        raise Conflict("kerberos: needs the account of a ticket, and no section of users is a directory")
    negotiation = Negotiation(
        _acceptor(kerberos, services),
        threads=_TicketThreads(pool),
        seconds=services.reactor.seconds,
        allow_deprecated=kerberos.allow_deprecated,
    )
    return Tickets(negotiation, directories)


class _TicketThreads:
    """Implements :class:`cspd.authentication.negotiate.Threads`."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool

    async def run(self, work: Callable[[], T]) -> T:
        """See :class:`cspd.authentication.negotiate.Threads`."""
        return await self._pool.run(work)


def _acceptor(kerberos: KerberosConfig, services: Services) -> Acceptor:
    try:
        from cspd.authentication.kerberos import KeytabAcceptor
    except ImportError as error:
        raise Unavailable('Kerberos needs the package gssapi: pip install "cspd[kerberos]"') from error
    replay_cache = None if kerberos.replay_cache is None else services.folder / kerberos.replay_cache
    return KeytabAcceptor(services.folder / kerberos.keytab, principal=kerberos.principal, replay_cache=replay_cache)


def _enrollment_urls(configuration: WSTEPConfig, services: Services) -> tuple[EnrollmentURL, ...]:
    anchor = services.public.trust_anchor
    trust = "" if anchor is None else f"--cacert {shlex.quote(str(anchor))} "
    user = "demo" if services.demo else "USER"
    urls = []
    for tenant in sorted(services.tenants):
        for service in configuration.services:
            url = f"{services.public.https}/wstep/usertoken/services/{tenant}/{service.ca}"
            command = (
                f"{_MAKE_REQUEST} && read -r -p 'Password: ' PASSWORD && printf {shlex.quote(_MESSAGE)} "
                f'{user} "$PASSWORD" "$(base64 -w0 request.der)" | '
                f"curl {trust}-H 'Content-Type: application/soap+xml; charset=utf-8' --data-binary @- {url}"
            )
            urls.append(EnrollmentURL(what=f"WSTEP, {service.ca}, curl", url=url, command=command))
    return tuple(urls)
