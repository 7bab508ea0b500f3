"""Enrollment policies of a Samba domain's templates: who is told of which, and that what is told enrolls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.interop.wstep_site import directory_daemon
from tests.support import microsoft_requests as requests
from tests.support.daemon import Daemon
from tests.support.kerberos_client import negotiate, token
from tests.support.samba_ad import PASSWORD, SambaAD
from tests.support.samba_templates import TEMPLATE_OIDS
from tests.support.wstep_client import WSTEPClient
from tests.support.xcep_client import Policies, XCEPClient

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def daemon(samba: SambaAD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with directory_daemon(tmp_path_factory.mktemp("xcep"), samba) as running:
        running.start()
        yield running


def told(daemon: Daemon, user: str) -> Policies:
    url = f"{daemon.https_url}/wstep/usertoken/policy/demo"
    return XCEPClient(url, daemon.root_pem, user=user, password=PASSWORD).policies()


def may_enroll(policies: Policies) -> set[str]:
    return {name for name, policy in policies.policies.items() if policy.may_enroll}


def test_everybody_is_told_of_the_templates_that_they_may_use(daemon: Daemon) -> None:
    everybody, group = {"User", "WSTEPSign", "WSTEPEncrypt"}, {"WSTEPUser", "WSTEPMachine"}
    assert may_enroll(told(daemon, "bob")) == everybody
    assert may_enroll(told(daemon, "alice")) == everybody | group
    assert may_enroll(told(daemon, "CSPD\\WS1$")) == everybody | group


def test_a_user_enrolls_as_the_policy_says(daemon: Daemon) -> None:
    policies = told(daemon, "alice")
    policy = policies.policies["WSTEPUser"]
    assert policy.oid == TEMPLATE_OIDS["WSTEPUser"]
    assert policy.extensions[requests.TEMPLATE] == requests.template_by_oid(policy.oid).value
    ca = policies.cas[policy.cas[0]]
    assert {authentication for authentication, _ in ca.servers} == {2, 4}
    url = next(url for authentication, url in ca.servers if authentication == 4)
    key = rsa.generate_private_key(65537, policy.minimal_key_length)
    asked = [requests.Extension(oid, value) for oid, value in policy.extensions.items()]
    who = WSTEPClient(url, daemon.root_pem, user="alice", password=PASSWORD)
    issued = who.enroll(requests.pkcs10(key, *asked))
    issued.certificate.verify_directly_issued_by(ca.certificate)


def test_a_machine_asks_with_its_ticket(samba: SambaAD, daemon: Daemon, tmp_path: Path) -> None:
    machine = samba.kinit("WS1$", tmp_path / "ws1", keytab="ws1")
    ticket = token(f"HTTP/ca.{samba.domain}@{samba.realm}", machine)
    asking = XCEPClient(f"{daemon.https_url}/wstep/kerberos/policy/demo", daemon.root_pem)
    assert "WSTEPMachine" in may_enroll(asking.policies(headers={"Authorization": negotiate(ticket)}))
