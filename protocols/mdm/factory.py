"""Builds the web service from ``[protocols.mdm]``, ``[digital_ids]`` and the shared services."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import cache
from typing import Any

from twisted.internet.defer import DeferredList
from twisted.logger import Logger

from cspd.authentication.basic import basic_challenge
from cspd.authentication.several import FirstOf
from cspd.authority.client_keys import ClientKeys
from cspd.digital_ids.service import DigitalIDs
from cspd.http.wsgi import ReactorCalls, WSGIAdapter
from cspd.keys.threads import SigningPool, ThreadPool
from cspd.plugin import EnrollmentURL, ProtocolService, Services
from cspd.refusals import NotFound
from protocols.mdm.config import MDMConfig
from protocols.mdm.endpoint import MDMEndpoint
from protocols.mdm.held_certificates import HeldCertificates
from protocols.mdm.openapi import openapi_document
from protocols.mdm.orders import Orders
from protocols.mdm.service import MDMService
from protocols.mdm.soap_application import build_application, build_wsdl
from protocols.mdm.soap_endpoint import SOAPEndpoint

_KEY_THREADS = 2
_KEYS_WAITING = 64
_CALLS_WAITING = 256
_log = Logger()


def build(configuration: MDMConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`; without digital IDs nothing is served (R-CEG-024, R-CEG-097)."""
    if services.digital_ids is None:
        _log.info("the MDM web service is not served: there is no [digital_ids], or it is switched off")
        return ProtocolService(routes=())
    key_pool = _pool("mdm-keys", _KEY_THREADS, services, limit=_KEYS_WAITING)
    call_pool = _pool("mdm-soap", configuration.soap_threads, services, limit=_CALLS_WAITING)
    service = _service(configuration, services, services.digital_ids, key_pool)
    challenge = basic_challenge(configuration.realm)
    application = build_application(service.answer, ReactorCalls(services.reactor, configuration.soap_timeout))
    endpoint = MDMEndpoint(
        service,
        SOAPEndpoint(service, WSGIAdapter(application, call_pool), challenge=challenge),
        wsdl=build_wsdl,
        openapi=cache(openapi_document),
        public_https=services.public.https,
        challenge=challenge,
    )

    def start() -> None:
        key_pool.start()
        call_pool.start()

    return ProtocolService(
        routes=endpoint.routes(),
        start=start,
        stop=lambda: DeferredList([call_pool.stop(), key_pool.stop()]),
        enrollment_urls=_enrollment_urls(services, services.digital_ids),
    )


def _service(
    configuration: MDMConfig, services: Services, digital_ids: DigitalIDs, key_pool: SigningPool
) -> MDMService:
    held = HeldCertificates(
        clock=services.clock,
        digital_ids=digital_ids,
        authorities=services.authorities,
        revocation=services.revocation,
    )
    orders = Orders(
        digital_ids=digital_ids,
        authorities=services.authorities,
        issuance=services.issuance,
        held=held,
        client_keys=ClientKeys(keys=services.keys, random_bytes=services.random.randbytes, pool=key_pool),
        pool=key_pool,
        random=services.random,
        public=services.public,
        legacy_pkcs12=configuration.legacy_pkcs12,
    )
    return MDMService(
        users=_users(configuration, services),
        audit=services.audit,
        tenants=services.tenants,
        digital_ids=digital_ids,
        authorities=services.authorities,
        orders=orders,
        held=held,
    )


def _pool(name: str, size: int, services: Services, *, limit: int) -> ThreadPool:
    def call(work: Callable[[], Any]) -> Any:
        return services.reactor.callFromThread(work)

    return ThreadPool(name, size, call_from_thread=call, limit=limit)


def _users(configuration: MDMConfig, services: Services) -> FirstOf:
    missing = [name for name in configuration.users if name not in services.password_checks]
    if missing:
        raise NotFound(f"users: there is no [authentication.{missing[0]}]")
    return FirstOf([services.password_checks[name] for name in configuration.users])


def _enrollment_urls(services: Services, digital_ids: DigitalIDs) -> tuple[EnrollmentURL, ...]:
    anchor = services.public.trust_anchor
    trust = "" if anchor is None else f"--cacert {shlex.quote(str(anchor))} "
    user = "demo" if services.demo else "USER"
    urls = []
    for tenant in sorted(services.tenants):
        url = f"{services.public.https}/mdm/services/{tenant}"
        command = f"curl {trust}-u {user} --json '{{}}' {url}/v11/ListDigitalIDs"
        urls.append(EnrollmentURL(what=f"MDM web service, {tenant}, curl", url=url, command=command))
    return tuple(urls)
