"""From the conf section to routes and URLs, as the daemon builds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cspd.authentication.static import StaticUsers
from cspd.http.router import Router
from cspd.refusals import NotFound
from plugins.est import est as declaration
from protocols.est.factory import build
from tests.protocols.est.world import BASE, configuration
from tests.protocols.tsp.test_unit_assembly import services_of
from tests.support.authorities import Installation


def test_every_operation_has_its_route_below_every_form_of_path(tmp_path: Path) -> None:
    people = {"people": StaticUsers("people", {"alice": b"secret"})}
    services = replace(services_of(Installation(), tmp_path), tenants=frozenset({"demo"}), password_checks=people)
    built = build(configuration(), services)
    router = Router(built.routes)
    for path in (BASE, f"{BASE}/devices", f"{BASE}/demo/demo~issuing/tls-client"):
        for operation in ("cacerts", "csrattrs", "crl"):
            router.resolve("GET", f"{path}/{operation}")
        for operation in ("simpleenroll", "simplereenroll", "serverkeygen", "revoke"):
            router.resolve("POST", f"{path}/{operation}")
    [shown] = built.enrollment_urls
    assert shown.url == "https://pki.example/.well-known/est/devices"
    assert shown.command.endswith(f"{shown.url}/simpleenroll")


def test_users_that_nobody_knows_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"users: there is no \[authentication\.people\]"):
        build(configuration(), services_of(Installation(), tmp_path))


def test_it_is_never_served_without_tls() -> None:
    assert not declaration.plain_http
