"""Enrollment policies made from the templates of a Samba domain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.xcep_client import Answer, get_policies
from tests.support.daemon import Daemon
from tests.support.kerberos_client import negotiate, token
from tests.support.samba_ad import PASSWORD, SambaAD

pytestmark = pytest.mark.interop

BOTH = ("true", "true")


@pytest.fixture(scope="module")
def daemon(samba: SambaAD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    domain = samba.domain_settings(ca_file="ad-ca.pem", password={"env": "LDAP_PASSWORD"})
    changes = {
        "authentication.windows.kind": "active-directory",
        "authentication.windows.settings.domains": [domain],
        "authentication.windows.settings.cache": "1s",
        "protocols.wstep": {
            "users": ["windows"],
            "services": [{"ca": "demo~issuing", "enrollment_services": ["CSPD WSTEP"]}],
            "policy": {},
            "kerberos": {
                "keytab": str(samba.keytab()),
                "principal": f"HTTP/{samba.service}",
                "replay_cache": "replays",
            },
        },
    }
    folder = tmp_path_factory.mktemp("xcep")
    environment = {"LDAP_PASSWORD": PASSWORD, "KRB5_CONFIG": str(samba.krb5_conf)}
    with Daemon(folder, changes=changes, environment=environment, start=False) as running:
        (running.folder / "ad-ca.pem").write_bytes(samba.ca_file.read_bytes())
        running.start()
        yield running


def ask(daemon: Daemon, user: str, password: str = PASSWORD) -> Answer:
    url = f"{daemon.https_url}/wstep/usertoken/policy/demo"
    return get_policies(url, Path(daemon.root_pem), user=(user, password))


@pytest.mark.requirement("R-CEGI-046")
@pytest.mark.requirement("R-CEGI-045")
def test_accounts_are_told_what_their_groups_may(daemon: Daemon) -> None:
    everybody = {"User": BOTH, "WSTEPSign": BOTH, "WSTEPEncrypt": BOTH}
    assert ask(daemon, "CSPD\\bob").permissions == everybody
    alice = ask(daemon, "alice@cspd.test")
    assert alice.permissions == {**everybody, "WSTEPUser": BOTH, "WSTEPMachine": BOTH}
    assert alice.texts("cA/enrollPermission") == ["true"]
    assert alice.texts("response/nextUpdateHours") == ["8"]
    for user, password in (("alice", "wrong"), ("disabled", PASSWORD)):
        assert ask(daemon, user, password).texts("Subcode/Value")[0].endswith(":FailedAuthentication")


def test_a_ticket_of_a_machine(daemon: Daemon, samba: SambaAD, tmp_path: Path) -> None:
    url = f"{daemon.https_url}/wstep/kerberos/policy/demo"
    assert get_policies(url, Path(daemon.root_pem)).status == 401
    machine = samba.kinit("WS1$", tmp_path / "cache", keytab="ws1")
    header = "Authorization: " + negotiate(token(f"HTTP/{samba.service}@{samba.realm}", machine))
    told = get_policies(url, Path(daemon.root_pem), "--header", header)
    assert told.status == 200
    assert {"User", "WSTEPSign", "WSTEPEncrypt"} <= set(told.permissions)
    assert told.texts("cAURI/clientAuthentication") == ["4", "2"]
    assert told.texts("cAURI/uri")[1] == f"{daemon.https_url}/wstep/kerberos/services/demo/demo~issuing"
