"""Builds EST from ``[protocols.est]`` and the shared services."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from cspd.authentication.certificates import ClientCertificates
from cspd.authentication.several import FirstOf
from cspd.authority.client_keys import ClientKeys
from cspd.authority.key_links import KeyLinks
from cspd.keys.threads import ThreadPool
from cspd.plugin import EnrollmentURL, ProtocolService, Services
from cspd.refusals import NotFound
from protocols.est.authentication import Authentication
from protocols.est.cmc_endpoint import FullCMC
from protocols.est.cmc_service import CMCService
from protocols.est.config import ESTConfig
from protocols.est.encrypted_keys import EncryptedKeys
from protocols.est.endpoint import ESTEndpoint
from protocols.est.labels import Labels
from protocols.est.service import ESTService

_KEY_THREADS = 2
_KEYS_WAITING = 64
"""A key of RSA with 4096 bits takes seconds: who asks while so many wait is told to come again."""
_MAKE_REQUEST = (
    "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=device"
    " -keyout device.key -out request.pem"
)


def build(configuration: ESTConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`."""
    pool = ThreadPool("est-keys", _KEY_THREADS, call_from_thread=_call_from_thread(services), limit=_KEYS_WAITING)
    client_keys = ClientKeys(keys=services.keys, random_bytes=services.random.randbytes, pool=pool)
    authentication = Authentication(
        clock=services.clock,
        authorities=services.authorities,
        certificates=services.certificates,
        users=_users(configuration, services),
        secrets=services.enrollment_secrets,
        client_certificates=ClientCertificates(certificates=services.certificates, status=services.status),
    )
    service = ESTService(
        authentication=authentication,
        authorities=services.authorities,
        issuance=services.issuance,
        approvals=services.approvals,
        revocation=services.revocation,
        publication=services.publication,
        key_links=KeyLinks(clock=services.clock, database=services.database),
        profiles=services.profiles,
        generate_key=client_keys.generate,
        encrypted_keys=EncryptedKeys(
            clock=services.clock,
            authorities=services.authorities,
            certificates=services.certificates,
            secrets=services.enrollment_secrets,
            client_keys=client_keys,
        ),
    )
    cmc = CMCService(
        clock=services.clock,
        random=services.random,
        keys=services.keys,
        authorities=services.authorities,
        issuance=services.issuance,
        revocation=services.revocation,
        certificates=services.certificates,
        approvals=services.approvals,
        secrets=services.enrollment_secrets,
    )
    endpoint = ESTEndpoint(
        service=service,
        full_cmc=FullCMC(cmc, authentication),
        labels=Labels(configuration, tenants=services.tenants, folder=services.folder),
        random=services.random,
        realm=configuration.realm,
    )
    return ProtocolService(
        routes=endpoint.routes(),
        start=pool.start,
        stop=pool.stop,
        enrollment_urls=_enrollment_urls(configuration, services),
    )


def _call_from_thread(services: Services) -> Callable[[Callable[[], Any]], Any]:
    return lambda work: services.reactor.callFromThread(work)


def _users(configuration: ESTConfig, services: Services) -> FirstOf:
    missing = [name for name in configuration.users if name not in services.password_checks]
    if missing:
        raise NotFound(f"users: there is no [authentication.{missing[0]}]")
    return FirstOf([services.password_checks[name] for name in configuration.users])


def _enrollment_urls(configuration: ESTConfig, services: Services) -> tuple[EnrollmentURL, ...]:
    anchor = services.public.trust_anchor
    trust = "" if anchor is None else f"--cacert {shlex.quote(str(anchor))} "
    urls = []
    for label in configuration.labels:
        url = f"{services.public.https}/.well-known/est/{label.id}"
        user = "demo" if services.demo else "USER"
        command = (
            f"{_MAKE_REQUEST} && curl {trust}-u {user} -H 'Content-Type: application/pkcs10'"
            f" -H 'Accept: application/pem-certificate-chain' --data-binary @request.pem {url}/simpleenroll"
        )
        urls.append(EnrollmentURL(what=f"EST, {label.id}, curl", url=url, command=command))
    return tuple(urls)
