"""From the conf section to routes and a job, as the daemon builds it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from cryptography.x509 import ocsp

from cspd.config.connectors import find_connector
from cspd.http.message import Request
from cspd.http.router import Router
from cspd.jobs.cron import Cron
from cspd.plugin import PublicAddress, Services
from cspd.refusals import NotFound
from plugins.ocsp import ocsp as declaration
from protocols.ocsp.config import OCSPConfig
from protocols.ocsp.factory import build
from tests.protocols.ocsp.world import PROFILES, World, request_for
from tests.support.running import result_of


def services_of(world: World, profiles: Any = PROFILES) -> Services:
    unused = cast(Any, None)
    return Services(
        reactor=unused,
        clock=world.clock,
        random=world.random,
        database=world.database,
        keys=world.keys,
        authorities=world.authorities,
        issuance=unused,
        approvals=unused,
        revocation=unused,
        status=world.status,
        publication=unused,
        certificates=unused,
        profiles=profiles,
        audit=world.audit,
        public=PublicAddress(http="http://pki.example", https="https://pki.example"),
        tenants=frozenset(),
        connector=find_connector,
        password_checks={},
        enrollment_secrets=unused,
        process="process-1",
        monitor=unused,
    )


def test_the_daemons_ocsp_answers_at_the_url_of_its_certificates() -> None:
    world = World()
    authority = world.add_ca()
    world.set_status(authority, 5)
    built = build(OCSPConfig(), services_of(world))
    match = Router(built.routes).resolve("POST", "/ocsp/demo/issuing")
    request = Request(
        method="POST",
        target=b"/ocsp/demo/issuing",
        path="/ocsp/demo/issuing",
        query="",
        headers=((b"content-type", b"application/ocsp-request"),),
        body=request_for(authority, 5),
        parameters=match.parameters,
    )
    response = result_of(cast(Any, match.route.handler(request)))
    assert ocsp.load_der_ocsp_response(response.body).certificate_status is ocsp.OCSPCertStatus.GOOD
    (job,) = built.jobs
    assert job.name == "ocsp-renew-responders"
    Cron.parse(job.schedule)
    result_of(cast(Any, job.run()))
    assert built.stop is not None
    assert built.stop().called


def test_without_the_profile_it_does_not_start() -> None:
    with pytest.raises(NotFound, match="basic-ocsp"):
        build(OCSPConfig(), services_of(World(), {}))


def test_it_is_declared_for_plain_http() -> None:
    """On a listener of its own choosing, with whatever else that serves: its routes collide with nobody's."""
    assert declaration.plain_http
    assert declaration.configuration == "protocols.ocsp.config:OCSPConfig"
    assert all(route.path.startswith("/ocsp/") for route in build(OCSPConfig(), services_of(World())).routes)
