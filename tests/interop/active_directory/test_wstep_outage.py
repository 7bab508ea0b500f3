"""Windows enrollment while the domain controller is silent, gone, or somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.interop.wstep_site import KERBEROS_URL, client, directory_daemon
from tests.support import microsoft_requests as requests
from tests.support.daemon import Daemon
from tests.support.kerberos_client import negotiate, token
from tests.support.processes import wait_until
from tests.support.samba_ad import SambaAD
from tests.support.samba_templates import TEMPLATE_OIDS
from tests.support.wstep_client import (
    Answer,
    Fault,
    envelope,
    read_fault,
    request_security_token,
    username_token,
)
from tests.unit.http.certificates import make

pytestmark = pytest.mark.interop

UNAVAILABLE = 0x800706BA
SERVER_SECONDS, CLIENT_SECONDS = "2s", 25
"""The server gives up before the client does; its default would be 30 s."""


@pytest.fixture(scope="module")
def daemon(samba: SambaAD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    limits = {"connect_timeout": SERVER_SECONDS, "read_timeout": SERVER_SECONDS}
    with directory_daemon(tmp_path_factory.mktemp("wstep"), samba, domain=limits) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def message() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return request_security_token(requests.pkcs10(key, requests.template_by_oid(TEMPLATE_OIDS["WSTEPUser"])))


def by_password(daemon: Daemon, message: str) -> Answer:
    security = username_token("alice", "Us3r.Passw0rd")
    return client(daemon).post(envelope(message, security=security), seconds=CLIENT_SECONDS)


def check_unavailable(fault: Fault) -> None:
    assert (fault.code, fault.error_code, fault.is_invalid_request) == ("Receiver", UNAVAILABLE, False)


@pytest.mark.requirement("R-CEG-132")
def test_a_silent_domain_controller_is_told_in_time_and_forgotten_when_it_speaks(
    samba: SambaAD, daemon: Daemon, message: str, tmp_path: Path
) -> None:
    alice = samba.kinit("alice", tmp_path / "alice")
    service = f"HTTP/ca.{samba.domain}@{samba.realm}"
    assert by_password(daemon, message).status == 200
    headers = {"Authorization": negotiate(token(service, alice))}
    samba.pause()
    try:
        check_unavailable(read_fault(by_password(daemon, message)))
        answer = client(daemon, path=KERBEROS_URL).post(envelope(message), headers=headers, seconds=CLIENT_SECONDS)
        check_unavailable(read_fault(answer))
    finally:
        samba.resume()
    wait_until(lambda: by_password(daemon, message).status == 200, what="enrollment", seconds=60)


@pytest.mark.requirement("R-CEG-132")
def test_a_domain_controller_that_is_gone_comes_back(samba: SambaAD, daemon: Daemon, message: str) -> None:
    assert by_password(daemon, message).status == 200
    samba.stop()
    try:
        check_unavailable(read_fault(by_password(daemon, message)))
    finally:
        samba.start()
    wait_until(lambda: by_password(daemon, message).status == 200, what="enrollment", seconds=60)


@pytest.mark.requirement("R-CEG-130")
def test_nobody_else_is_taken_for_the_domain_controller(
    samba: SambaAD, daemon: Daemon, message: str, tmp_path: Path
) -> None:
    strangers = tmp_path / "strangers.pem"
    strangers.write_bytes(make("strangers", is_ca=True).pem)
    settings = "authentication.windows.settings.domains"
    for ca_file in (strangers, samba.ca_file):
        daemon.change({settings: [samba.domain_settings(ca_file=str(ca_file))]})
        daemon.stop()
        daemon.start()
        answer = by_password(daemon, message)
        if ca_file == strangers:
            check_unavailable(read_fault(answer))
        else:
            assert answer.status == 200
