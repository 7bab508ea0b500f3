"""From the conf section to routes, jobs, health and metrics, as the daemon builds it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from asn1crypto import tsp
from prometheus_client import CollectorRegistry, generate_latest

from cspd.config.connectors import find_connector
from cspd.health import HealthState
from cspd.http.message import Request
from cspd.http.router import Router
from cspd.jobs.cron import Cron
from cspd.plugin import ProtocolService
from cspd.refusals import NotFound
from plugins.tsp import tsp as declaration
from protocols.tsp import codec
from protocols.tsp.config import TSPConfig
from protocols.tsp.factory import build
from tests.protocols.tsp.authority import request_for
from tests.protocols.tsp.test_unit_assembly import FROM_OUR_CA, services_of
from tests.support.authorities import Installation
from tests.support.running import result_of
from tests.support.timekeeping import SYNCHRONISED, FakeSource

CONFIG = TSPConfig.model_validate(
    {
        # Wide: the wall clock stands still in tests, and the monotonic clock that it is compared with does not.
        "clock": {"poll_interval": "10s", "max_error": "1h"},
        "issuers": [{**FROM_OUR_CA, "id": "own", "log_tokens": True}],
    }
)


@pytest.fixture
def installation() -> Installation:
    installation = Installation()
    installation.make_hierarchy(profiles=("timestamping",))
    return installation


def connector_of(source: FakeSource) -> Callable[[str, str], Any]:
    def find(kind: str, name: str) -> Any:
        assert (kind, name) == ("time-source", "chrony")
        return lambda address, *, timeout, reactor, random: source

    return find


def started(installation: Installation, folder: Path, source: FakeSource | None = None) -> ProtocolService:
    source = source or FakeSource(replace(SYNCHRONISED, reference_time=installation.clock.now()))
    built = build(CONFIG, replace(services_of(installation, folder), connector=connector_of(source)))
    assert built.start is not None
    built.start()
    return built


def test_daemon_s_authority_answers_and_stops(installation: Installation, tmp_path: Path) -> None:
    built = started(installation, tmp_path)
    match = Router(built.routes).resolve("POST", "/tsa/own")
    request = Request(
        method="POST",
        target=b"/tsa/own",
        path="/tsa/own",
        query="",
        headers=((b"content-type", b"application/timestamp-query"),),
        body=codec.encode_request(request_for()),
        parameters=match.parameters,
    )
    response = result_of(cast(Any, match.route.handler(request)))
    assert tsp.TimeStampResp.load(response.body)["status"]["status"].native == "granted"
    for job in built.jobs:
        Cron.parse(job.schedule)
        result_of(cast(Any, job.run()))
    assert built.stop is not None
    assert built.stop().called


def test_health_tells_of_the_clock_and_of_each_unit(installation: Installation, tmp_path: Path) -> None:
    source = FakeSource(replace(SYNCHRONISED, reference_time=installation.clock.now(), offset=7200.0))
    built = started(installation, tmp_path, source)
    assert built.health is not None
    states = {each.part: each.state for each in built.health()}
    assert states == {"tsp-clock": HealthState.FAILED, "tsp-unit-own": HealthState.OK}


def test_metrics_can_be_collected_together(installation: Installation, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    for collector in started(installation, tmp_path).metrics:
        registry.register(collector)
    text = generate_latest(registry).decode()
    assert 'cspd_tsp_requests_total{issuer="own",outcome="granted"} 0.0' in text
    assert 'cspd_tsp_signing_seconds_count{issuer="own"} 0.0' in text
    assert "cspd_tsp_certificate_not_after_seconds" in text
    assert "cspd_clock_trusted" in text


def test_command_that_tries_an_issuer_has_its_url_and_trust_anchor(installation: Installation, tmp_path: Path) -> None:
    services = services_of(installation, tmp_path)
    public = replace(services.public, trust_anchor=tmp_path / "root.pem")
    services = replace(services, public=public, connector=connector_of(FakeSource()))
    [url] = build(CONFIG, services).enrollment_urls
    assert url.url == "http://pki.example/tsa/own"
    words = shlex.split(url.command)
    assert url.url in words
    assert words[-2:] == ["-CAfile", str(tmp_path / "root.pem")]


def test_time_source_that_there_is_not_is_refused_by_name(installation: Installation, tmp_path: Path) -> None:
    clock = {"source": "sundial", "poll_interval": "10s", "max_error": "1s"}
    config = TSPConfig.model_validate({"clock": clock, "issuers": [FROM_OUR_CA]})
    with pytest.raises(NotFound, match=r'there is no time-source "sundial"; there is: .*chrony.*system'):
        build(config, replace(services_of(installation, tmp_path), connector=find_connector))


def test_it_is_declared_for_plain_http() -> None:
    assert declaration.plain_http
    assert declaration.configuration == "protocols.tsp.config:TSPConfig"
