"""Enrollment policies for users of the configuration, by a client made from [MS-XCEP]; then what they say is done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.interop.wstep_site import STATIC_PASSWORD, client, static_daemon
from tests.support import microsoft_requests as requests
from tests.support.daemon import Daemon
from tests.support.wstep_client import WSSE, WSTEPClient, envelope, read_fault, username_token
from tests.support.xcep_client import ACTION, XCEPClient, get_policies

pytestmark = pytest.mark.interop

POLICY_URL = "/wstep/usertoken/policy/demo"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    policy = {"protocols.wstep.policy": {}}
    with static_daemon(tmp_path_factory.mktemp("xcep"), policy) as running:
        running.start()
        yield running


def asking(daemon: Daemon, user: str | None = "alice", password: str = STATIC_PASSWORD) -> XCEPClient:
    return XCEPClient(daemon.https_url + POLICY_URL, daemon.root_pem, user=user, password=password)


def test_what_a_policy_says_is_what_enrolls(daemon: Daemon) -> None:
    found = asking(daemon).policies()
    policy = found.policies["Mapped"]
    assert policy.may_enroll
    (ca,) = (found.cas[reference] for reference in policy.cas)
    url = next(url for authentication, url in ca.servers if authentication == 4)
    key = rsa.generate_private_key(65537, max(2048, policy.minimal_key_length))
    asked = [requests.Extension(oid, value) for oid, value in policy.extensions.items()]
    who = WSTEPClient(url, daemon.root_pem, user="alice", password=STATIC_PASSWORD)
    issued = who.enroll(requests.pkcs10(key, *asked))
    issued.certificate.verify_directly_issued_by(ca.certificate)


def test_policies_are_filtered_by_object_identifier(daemon: Daemon) -> None:
    everything = asking(daemon).policies()
    oid = everything.policies["Mapped"].oid
    assert set(asking(daemon).policies(oids=[oid]).policies) == {"Mapped"}
    assert not asking(daemon).policies(oids=["1.2.3"]).policies


def test_what_has_not_changed_is_not_said_again(daemon: Daemon) -> None:
    first = asking(daemon).policies()
    assert not first.is_unchanged
    # The server allows for clocks that differ by five minutes, so that only such a one has it at once.
    last_update = datetime.now(UTC) + timedelta(minutes=5)  # noqa: TID251  # the daemon has the real time
    second = asking(daemon).policies(last_update=last_update.isoformat())
    assert second.is_unchanged
    assert second.id == first.id
    assert not asking(daemon).policies(last_update="2000-01-01T00:00:00Z").is_unchanged


def test_who_is_not_known_is_told_nothing(daemon: Daemon) -> None:
    for user, password in (("alice", "wrong"), (None, ""), ("", STATIC_PASSWORD)):
        security = "" if user is None else username_token(user, password)
        fault = read_fault(asking(daemon, None).post(envelope(get_policies(), action=ACTION, security=security)))
        assert (fault.code, fault.subcode) == ("Sender", (WSSE, "FailedAuthentication"))


@pytest.mark.parametrize("client_element", ["", '<client xsi:nil="true"/>', "<client/>"])
def test_a_client_has_to_say_what_it_has(daemon: Daemon, client_element: str) -> None:
    security = username_token("alice", STATIC_PASSWORD)
    message = envelope(get_policies(client=client_element), action=ACTION, security=security)
    assert read_fault(asking(daemon).post(message)).code == "Sender"


def test_enrollment_is_not_asked_of_the_policy_service(daemon: Daemon) -> None:
    security = username_token("alice", STATIC_PASSWORD)
    message = envelope(get_policies(), security=security)
    assert read_fault(asking(daemon).post(message)).code == "Sender"
    assert read_fault(client(daemon).post(envelope(get_policies(), action=ACTION, security=security))).code == "Sender"
