"""Puts OCSP together for the daemon."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from cspd.authority.responder_issuance import ResponderIssuance
from cspd.authority.responders import PROFILE, Responders
from cspd.authority.urls import StatusURLs
from cspd.jobs.values import Job
from cspd.plugin import ProtocolService, Services
from cspd.refusals import NotFound
from protocols.ocsp.config import OCSPConfig
from protocols.ocsp.endpoint import OCSPEndpoint
from protocols.ocsp.service import OCSPService


def build(configuration: OCSPConfig, services: Services) -> ProtocolService:
    """Build OCSP for all CAs of the server; raises NotFound without the profile ``basic-ocsp``."""
    profile = services.profiles.get(PROFILE)
    if profile is None:
        raise NotFound(f"the profile {PROFILE} is missing: no responder certificates can be made")
    issuance = ResponderIssuance(
        clock=services.clock,
        random_bytes=services.random.randbytes,
        database=services.database,
        keys=services.keys,
        profile=profile,
        urls=StatusURLs(services.public.http),
        audit=services.audit,
    )
    responders = Responders(
        clock=services.clock,
        database=services.database,
        keys=services.keys,
        authorities=services.authorities,
        issuance=issuance,
    )
    service = OCSPService(
        clock=services.clock,
        authorities=services.authorities,
        status=services.status,
        responders=responders,
        keys=services.keys,
        config=configuration,
    )
    endpoint = OCSPEndpoint(service=service, clock=services.clock, config=configuration)
    renewal = Job(name="ocsp-renew-responders", schedule=configuration.renew_responders, run=responders.renew)
    return ProtocolService(
        routes=endpoint.routes(), jobs=(renewal,), stop=lambda: Deferred.fromCoroutine(responders.drain())
    )
