"""Enrollment policies of the demonstration's daemon, and what an administrator is told for Active Directory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.xcep_client import Answer, get_policies
from tests.support.daemon import Daemon

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    changes = {"protocols.wstep.policy": {"friendly_name": "Interop", "next_update_hours": 2, "anonymous": True}}
    with Daemon(tmp_path_factory.mktemp("xcep"), changes=changes) as running:
        yield running


def ask(daemon: Daemon, path: str = "/wstep/usertoken/policy/demo", user: tuple[str, str] | None = None) -> Answer:
    return get_policies(daemon.https_url + path, Path(daemon.root_pem), user=user)


def demo_user(daemon: Daemon) -> tuple[str, str]:
    told = (daemon.folder / "demo.toml").read_text()
    user, password = (re.search(rf'^wstep_{name} = "(.*)"$', told, re.MULTILINE) for name in ("user", "password"))
    assert user
    assert password
    return user[1], password[1]


@pytest.mark.requirement("R-CEGI-046")
def test_a_static_user_is_told_the_map_of_conf(daemon: Daemon) -> None:
    for path in ("/wstep/usertoken/policy/demo", "/ADPolicyProvider_CEP_UsernamePassword/service.svc/CEP"):
        answer = ask(daemon, path, demo_user(daemon))
        assert answer.status == 200
        assert answer.permissions == {"WSTEPUser": ("true", "true")}
        assert answer.texts("response/policyFriendlyName") == ["Interop"]
        assert answer.texts("response/nextUpdateHours") == ["2"]
        assert answer.texts("cAURI/uri") == [f"{daemon.https_url}/wstep/usertoken/services/demo/demo~issuing"]


def test_who_has_no_password_is_told_nothing(daemon: Daemon) -> None:
    for user in (None, (demo_user(daemon)[0], "wrong")):
        answer = ask(daemon, user=user)
        assert answer.status == 500
        assert answer.texts("Subcode/Value")[0].endswith(":FailedAuthentication")
    assert ask(daemon, "/wstep/kerberos/policy/demo").status == 404
    assert ask(daemon, "/wstep/certificate/policy/demo").status == 404


def test_anybody_where_conf_says_so(daemon: Daemon) -> None:
    assert list(ask(daemon, "/wstep/anonymous/policy/demo").permissions) == ["WSTEPUser"]


@pytest.mark.requirement("R-CEGI-044")
def test_what_an_administrator_is_told(daemon: Daemon) -> None:
    url = f"{daemon.https_url}/wstep/usertoken/services/demo/demo~issuing"
    (row,) = daemon.cspctl_json("wstep", "servers")
    assert row["value"] == f"1\n4\n0\n{url}\n0"
    told = daemon.cspctl_json("wstep", "ad-objects", "demo~issuing", "--forest", "example.com", "--template", "Badge")
    ldif = told["ldif"].replace("\n ", "")
    assert ldif.startswith("version: 1\n\ndn: CN=cspd demo issuing,CN=Enrollment Services,CN=Public Key Services,")
    assert "certificateTemplates: Badge\ncertificateTemplates: WSTEPUser\n" in ldif
