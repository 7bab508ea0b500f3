"""From conf to routes, as the daemon builds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from cspd.authentication.static import StaticUsers
from cspd.http.message import Request, Response
from cspd.http.router import NoRoute, Router
from cspd.plugin import Services
from cspd.refusals import Conflict, NotFound, Unavailable
from plugins.wstep import wstep as declaration
from protocols.wstep.config import WSTEPConfig
from protocols.wstep.enrollment_servers import enrollment_servers
from protocols.wstep.factory import build
from tests.protocols.tsp.test_unit_assembly import services_of
from tests.protocols.wstep.directory import DirectoryCheck, MemoryDirectory
from tests.protocols.wstep.world import CERTIFICATE, KERBEROS, USER_TOKEN, message
from tests.support.authorities import Installation
from tests.support.running import result_of

KEYTAB = {"keytab": "http.keytab", "principal": "HTTP/ca.example.com"}


def section(**values: Any) -> dict[str, Any]:
    return {"users": ["people"], "services": [{"ca": "demo~issuing"}], **values}


def services(tmp_path: Path, **values: Any) -> Services:
    given: dict[str, Any] = {
        "tenants": frozenset({"demo"}),
        "password_checks": {"people": StaticUsers("people", {"demo": b"one"})},
        **values,
    }
    return replace(services_of(Installation(), tmp_path), **given)


def test_what_is_served(tmp_path: Path) -> None:
    built = build(WSTEPConfig.model_validate(section()), services(tmp_path))
    router = Router(built.routes)
    router.resolve("POST", USER_TOKEN)
    with pytest.raises(NoRoute):
        router.resolve("POST", KERBEROS)
    assert [job.name for job in built.jobs] == ["wstep-delete-expired-requests"]
    assert [family.name for each in built.metrics for family in each.collect()] == ["cspd_wstep_requests"]
    [shown] = built.enrollment_urls
    assert shown.url == f"https://pki.example{USER_TOKEN}"
    assert shown.command.endswith(shown.url)


@pytest.mark.requirement("R-CEG-010")
def test_it_is_never_served_without_tls() -> None:
    assert not declaration.plain_http


@pytest.mark.parametrize(
    ("values", "own", "expected"),
    [
        ({}, {}, False),
        ({}, {"certificate_renewal": True}, True),
        ({"certificate_renewal": True}, {}, True),
        ({"certificate_renewal": True}, {"certificate_renewal": False}, False),
    ],
)
@pytest.mark.requirement("R-CEG-010")
def test_renewal_by_certificate_is_switched_on_for_all_or_for_one(
    tmp_path: Path, values: dict[str, Any], own: dict[str, Any], expected: bool
) -> None:
    conf = WSTEPConfig.model_validate(section(**values, services=[{"ca": "demo~issuing", **own}]))
    paths = [route.path for route in build(conf, services(tmp_path)).routes]
    assert ("/wstep/certificate/services/{tenant}/{ca}" in paths) is expected


@pytest.mark.requirement("R-CEG-010")
@pytest.mark.requirement("R-CEGI-024")
def test_a_ca_without_renewal_by_certificate_has_no_such_url_beside_one_that_has(tmp_path: Path) -> None:
    cas = [{"ca": "demo~issuing", "certificate_renewal": True}, {"ca": "demo~other"}]
    router = Router(build(WSTEPConfig.model_validate(section(services=cas)), services(tmp_path)).routes)
    for path, expected in (
        (CERTIFICATE, 415),
        ("/demo~issuing_CES_Certificate/service.svc/CES", 415),
        (CERTIFICATE.replace("issuing", "other"), 404),
        ("/demo~other_CES_Certificate/service.svc/CES", 404),
    ):
        match = router.resolve("POST", path)
        request = Request(
            method="POST",
            target=path.encode(),
            path=path,
            query="",
            headers=(),
            body=message(),
            parameters=match.parameters,
        )
        response: Response = result_of(cast(Any, match.route.handler(request)))
        assert response.status == expected


def test_users_that_nobody_knows_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"users: there is no \[authentication\.people\]"):
        build(WSTEPConfig.model_validate(section()), services(tmp_path, password_checks={}))


def test_kerberos_needs_a_directory_and_a_keytab(tmp_path: Path) -> None:
    configuration = WSTEPConfig.model_validate(section(kerberos=KEYTAB))
    with pytest.raises(Conflict, match="no section of users is a directory"):
        build(configuration, services(tmp_path))
    pytest.importorskip("gssapi")
    with pytest.raises(Unavailable, match=r"http\.keytab does not exist"):
        build(configuration, services(tmp_path, password_checks={"people": DirectoryCheck(MemoryDirectory())}))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"users": []}, "users"),
        ({"services": [{"ca": "demo~issuing"}, {"ca": "demo~issuing"}]}, "stands there twice"),
        ({"services": [{"ca": "issuing"}]}, "ca"),
        ({"services": [{"ca": "demo~issuing", "parent_dn": "no name"}]}, "parent_dn"),
        ({"services": [{"ca": "demo~issuing", "templates": {"Web Server": "x"}}]}, "templates"),
        ({"kerberos": {**KEYTAB, "principal": "host/ca.example.com"}}, "principal"),
    ],
)
def test_wrong_sections_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        WSTEPConfig.model_validate(section(**values))


@pytest.mark.requirement("R-CEG-147")
def test_what_the_directory_is_told_is_served(tmp_path: Path) -> None:
    built = build(WSTEPConfig.model_validate(section()), services(tmp_path))
    for server in enrollment_servers("ca.example.com", "demo", "demo~issuing", kerberos=False):
        path = server.url.removeprefix("https://ca.example.com:443")
        assert Router(built.routes).resolve("POST", path).parameters == {"tenant": "demo", "ca": "demo~issuing"}


@pytest.mark.requirement("R-CEG-147")
def test_with_kerberos_both_urls_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kerberos = pytest.importorskip("cspd.authentication.kerberos")
    monkeypatch.setattr(kerberos.KeytabAcceptor, "_read_keytab", lambda self: None)
    (tmp_path / "http.keytab").write_bytes(b"")
    configuration = WSTEPConfig.model_validate(section(kerberos=KEYTAB))
    built = build(configuration, services(tmp_path, password_checks={"people": DirectoryCheck(MemoryDirectory())}))
    for server in enrollment_servers("ca.example.com", "demo", "demo~issuing", kerberos=True):
        Router(built.routes).resolve("POST", server.url.removeprefix("https://ca.example.com:443"))
