"""Who sees what of health and metrics."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from cspd.health import Health, HealthState
from cspd.http.message import Request, Response
from cspd.http.router import Router
from cspd.plugin import PublicAddress, Services
from plugins.monitoring import monitoring as declaration
from protocols.monitoring.config import MonitoringConfig
from protocols.monitoring.factory import build
from tests.support.monitoring import StillMonitor
from tests.support.running import result_of

OK = Health(part="store", state=HealthState.OK)
DEGRADED = Health(part="keys-token", state=HealthState.DEGRADED, reason="no answer for 2 seconds")
FAILED = Health(part="keys-software", state=HealthState.FAILED, reason="gone")


class Page:
    """The protocol as the daemon builds it, over a monitor that says what it is told."""

    def __init__(self, *parts: Health, demo: bool = False, **settings: Any) -> None:
        self.monitor = StillMonitor(*parts)
        services = SimpleNamespace(
            monitor=self.monitor,
            public=PublicAddress(http="http://pki.example", https="https://pki.example"),
            demo=demo,
        )
        self.built = build(MonitoringConfig.model_validate(settings), cast(Services, services))
        self.router = Router(self.built.routes)

    def get(
        self, path: str, *, peer: str = "127.0.0.1", certificate: bytes | None = None, accept: str = ""
    ) -> Response:
        match = self.router.resolve("GET", path)
        headers = ((b"accept", accept.encode()),) if accept else ()
        request = Request(
            method="GET",
            target=path.encode(),
            path=path,
            query="",
            headers=headers,
            body=b"",
            peer=peer,
            client_certificate=certificate,
            parameters=match.parameters,
        )
        return result_of(cast(Any, match.route.handler(request)))


def seen(response: Response) -> tuple[int, Any]:
    assert dict(response.headers)[b"content-type"] == b"application/json"
    assert dict(response.headers)[b"cache-control"] == b"no-store"
    return response.status, json.loads(response.body)


@pytest.mark.requirement("R-PLAT-087")
@pytest.mark.parametrize(
    ("parts", "status", "state"),
    [
        ((OK,), 200, "ok"),
        ((OK, DEGRADED), 200, "degraded"),
        ((OK, DEGRADED, FAILED), 503, "failed"),
    ],
)
def test_health_is_503_once_a_part_has_failed(parts: tuple[Health, ...], status: int, state: str) -> None:
    answered, body = seen(Page(*parts).get("/health"))
    assert (answered, body["state"]) == (status, state)
    assert [each["part"] for each in body["parts"]] == [each.part for each in parts]


def test_reasons_are_told_where_there_are_any() -> None:
    _, body = seen(Page(OK, FAILED).get("/health"))
    assert body["parts"] == [
        {"part": "store", "state": "ok"},
        {"part": "keys-software", "state": "failed", "reason": "gone"},
    ]


@pytest.mark.requirement("R-PLAT-087")
def test_each_system_has_its_own_health() -> None:
    page = Page(OK, DEGRADED, FAILED)
    assert seen(page.get("/health/store"))[0] == 200
    assert seen(page.get("/health/keys-token"))[1]["state"] == "degraded"
    assert seen(page.get("/health/keys"))[0] == 503
    assert page.get("/health/nothing").status == 404


def test_the_process_lives_whatever_its_parts_do() -> None:
    assert seen(Page(FAILED).get("/health/live", peer="192.0.2.1")) == (200, {"state": "ok"})


def test_metrics_by_what_the_client_accepts() -> None:
    page = Page()
    response = page.get("/metrics", accept="application/openmetrics-text")
    assert (response.status, response.body) == (200, b"cspd_page 1.0\n")
    assert page.monitor.accepted == ["application/openmetrics-text"]


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db8::1", "uid:0", ""])
@pytest.mark.parametrize("certificate", [None, b"DER"])
def test_strangers_see_the_state_alone(peer: str, certificate: bytes | None) -> None:
    page = Page(OK, FAILED)
    assert seen(page.get("/health", peer=peer, certificate=certificate)) == (503, {"state": "failed"})
    assert page.get("/health/store", peer=peer, certificate=certificate).status == 404
    assert page.get("/metrics", peer=peer, certificate=certificate).status == 403
    assert page.monitor.accepted == []


@pytest.mark.parametrize(
    ("settings", "peer", "certificate"),
    [
        ({}, "127.0.0.9", None),
        ({}, "::1", None),
        ({"trusted": ["192.0.2.0/24"]}, "192.0.2.1", None),
        ({"trusted": [], "trust_client_certificates": True}, "203.0.113.1", b"DER"),
    ],
)
def test_who_is_trusted_is_configured(settings: dict[str, Any], peer: str, certificate: bytes | None) -> None:
    page = Page(OK, **settings)
    assert "parts" in seen(page.get("/health", peer=peer, certificate=certificate))[1]
    assert page.get("/health/store", peer=peer, certificate=certificate).status == 200
    assert page.get("/metrics", peer=peer, certificate=certificate).status == 200


def test_loopback_is_a_stranger_where_conf_says_so() -> None:
    assert Page(trusted=["192.0.2.0/24"]).get("/metrics").status == 403


@pytest.mark.parametrize("settings", [{"trusted": ["192.0.2.1/24"]}, {"trusted": ["host"]}, {"details": True}])
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MonitoringConfig.model_validate(settings)


def test_it_is_declared_for_plain_http_and_stays_below_its_paths() -> None:
    assert declaration.plain_http
    assert declaration.factory == "protocols.monitoring.factory:build"
    assert {route.path.split("/")[1] for route in Page().built.routes} == {"health", "metrics"}


def test_only_the_demonstration_shows_its_url() -> None:
    assert Page().built.enrollment_urls == ()
    assert [each.url for each in Page(demo=True).built.enrollment_urls] == ["http://pki.example/health"]
