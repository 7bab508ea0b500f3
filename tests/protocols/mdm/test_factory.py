"""From conf to routes, as the daemon builds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cspd.authentication.static import StaticUsers
from cspd.http.router import Router
from cspd.plugin import Services
from cspd.refusals import NotFound
from plugins.mdm import mdm as declaration
from protocols.mdm.config import MDMConfig
from protocols.mdm.factory import build
from protocols.mdm.messages import OPERATIONS
from tests.protocols.mdm.world import BASE
from tests.protocols.tsp.test_unit_assembly import services_of
from tests.unit.digital_ids.office import Office

CONFIGURATION = MDMConfig(users=("products",))


def services(tmp_path: Path, **values: Any) -> Services:
    office = Office()
    given: dict[str, Any] = {
        "tenants": frozenset({"demo"}),
        "password_checks": {"products": StaticUsers("products", {"workspace": b"one"})},
        "digital_ids": office.digital_ids,
        **values,
    }
    return replace(services_of(office.house, tmp_path), **given)


def test_every_operation_has_its_routes(tmp_path: Path) -> None:
    built = build(CONFIGURATION, services(tmp_path))
    router = Router(built.routes)
    router.resolve("POST", BASE)
    router.resolve("POST", f"{BASE}/AdminServiceV9")
    router.resolve("GET", f"{BASE}/openapi.json")
    for operation in OPERATIONS:
        router.resolve("POST", f"{BASE}/v11/{operation.name}")
    [shown] = built.enrollment_urls
    assert shown.url == "https://pki.example/mdm/services/demo"


@pytest.mark.requirement("R-CEG-024")
@pytest.mark.requirement("R-CEG-097")
@pytest.mark.requirement("R-CEGI-079")
def test_without_digital_ids_nothing_is_served(tmp_path: Path) -> None:
    built = build(CONFIGURATION, services(tmp_path, digital_ids=None))
    assert (built.routes, built.enrollment_urls, built.jobs) == ((), (), ())


def test_users_that_nobody_knows_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"users: there is no \[authentication\.products\]"):
        build(CONFIGURATION, services(tmp_path, password_checks={}))


@pytest.mark.requirement("R-CEG-084")
def test_it_has_users() -> None:
    with pytest.raises(ValidationError):
        MDMConfig(users=())


@pytest.mark.requirement("R-CEG-009")
def test_it_is_never_served_without_tls() -> None:
    assert not declaration.plain_http
