"""Windows enrollment by Kerberos tickets of a Samba domain, through the real daemon."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.interop.wstep_site import KERBEROS_URL, client, directory_daemon
from tests.support import microsoft_requests as requests
from tests.support.daemon import Daemon
from tests.support.kerberos_client import KERBEROS, SPNEGO, negotiate, token
from tests.support.samba_ad import PASSWORD, SambaAD
from tests.support.samba_templates import TEMPLATE_OIDS
from tests.support.wstep_client import (
    Answer,
    Issued,
    WSTEPClient,
    envelope,
    read_fault,
    request_security_token,
    username_token,
)

pytestmark = pytest.mark.interop

_NTLM = b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2" + bytes(16)
_NTLM_IN_SPNEGO = requests.der(
    0x60,
    requests.oid("1.3.6.1.5.5.2"),
    requests.der(
        0xA0,
        requests.sequence(
            requests.der(0xA0, requests.sequence(requests.oid("1.3.6.1.4.1.311.2.2.10"))),
            requests.der(0xA2, requests.der(4, _NTLM)),
        ),
    ),
)
"""RFC 4178, 4.2.1."""


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def daemon(samba: SambaAD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with directory_daemon(tmp_path_factory.mktemp("wstep"), samba) as running:
        running.start()
        yield running


@pytest.fixture
def alice(samba: SambaAD, tmp_path: Path) -> Mapping[str, str]:
    return samba.kinit("alice", tmp_path / "alice")


def service(samba: SambaAD, host: str = "ca") -> str:
    return f"HTTP/{host}.{samba.domain}@{samba.realm}"


def with_ticket(ticket: bytes) -> Mapping[str, str]:
    return {"Authorization": negotiate(ticket)}


def visitor(daemon: Daemon) -> WSTEPClient:
    return client(daemon, path=KERBEROS_URL)


def body(key: requests.Key, template: str = "WSTEPUser") -> str:
    return request_security_token(requests.pkcs10(key, requests.template_by_oid(TEMPLATE_OIDS[template])))


def challenge(answer: Answer) -> str:
    """Of an answer that asks for a ticket and tells nothing else."""
    assert answer.status == 401
    assert answer.body == b""
    return answer.headers["www-authenticate"]


@pytest.mark.requirement("R-CEG-126")
@pytest.mark.parametrize("mechanism", [SPNEGO, KERBEROS], ids=["SPNEGO", "Kerberos alone"])
def test_a_user_enrolls_with_a_ticket(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey, alice: Mapping[str, str], mechanism: str
) -> None:
    who, message_id = visitor(daemon), f"urn:uuid:{uuid.uuid4()}"
    message = envelope(body(key), message_id=message_id)
    assert challenge(who.post(message)) == "Negotiate"
    answer = who.post(message, headers=with_ticket(token(service(samba), alice, mechanism=mechanism)))
    issued = who.issued(answer, message_id)
    assert "CN=Alice Adams" in issued.certificate.subject.rfc4514_string()
    scheme, _, proof = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Negotiate"
    assert base64.b64decode(proof, validate=True), "the server's part of mutual authentication"


def test_a_machine_enrolls_with_its_ticket(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    machine = samba.kinit("WS1$", tmp_path / "ws1", keytab="ws1")
    asked = requests.pkcs10(key, requests.template_by_oid(TEMPLATE_OIDS["WSTEPMachine"]))
    issued: Issued = visitor(daemon).enroll(asked, headers=with_ticket(token(service(samba), machine)))
    names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ws1.cspd.test"]
    sid = issued.certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(requests.NTDS_CA_SECURITY))
    assert sid.value.public_bytes() == requests.security_identifier(samba.sid_of("WS1$")).value


def test_a_ticket_does_not_give_the_templates_of_others(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    bob = samba.kinit("bob", tmp_path / "bob")
    answer = visitor(daemon).post(envelope(body(key)), headers=with_ticket(token(service(samba), bob)))
    assert read_fault(answer).error_code == 0x80094012


@pytest.mark.requirement("R-CEG-122")
@pytest.mark.parametrize("ticket", [_NTLM, _NTLM_IN_SPNEGO, b"", b"\x60\x03\x02\x01\x00", bytes(5000)])
def test_ntlm_and_rubbish_are_no_tickets(daemon: Daemon, key: rsa.RSAPrivateKey, ticket: bytes) -> None:
    answer = visitor(daemon).post(envelope(body(key)), headers=with_ticket(ticket))
    assert challenge(answer) == "Negotiate"


@pytest.mark.requirement("R-CEG-123")
def test_each_url_has_one_way_to_authenticate(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey, alice: Mapping[str, str]
) -> None:
    with_password = envelope(body(key), security=username_token("alice", PASSWORD))
    assert challenge(visitor(daemon).post(with_password)) == "Negotiate"
    ticket = token(service(samba), alice)
    fault = read_fault(client(daemon).post(envelope(body(key)), headers=with_ticket(ticket)))
    assert fault.subcode is not None
    assert fault.subcode[1] == "FailedAuthentication"


def test_a_ticket_is_good_once(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey, alice: Mapping[str, str]
) -> None:
    ticket = with_ticket(token(service(samba), alice))
    assert visitor(daemon).post(envelope(body(key)), headers=ticket).status == 200
    assert challenge(visitor(daemon).post(envelope(body(key)), headers=ticket)) == "Negotiate"


@pytest.mark.requirement("R-CEG-126")
def test_tickets_for_other_services_are_refused(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey, alice: Mapping[str, str]
) -> None:
    for host in ("other", "rc4"):
        ticket = with_ticket(token(service(samba, host), alice))
        assert challenge(visitor(daemon).post(envelope(body(key)), headers=ticket)) == "Negotiate"


@pytest.mark.requirement("R-CEG-125")
def test_tickets_with_rc4_are_refused_unless_the_switch_is_on(
    samba: SambaAD, key: rsa.RSAPrivateKey, alice: Mapping[str, str], tmp_path: Path
) -> None:
    with directory_daemon(tmp_path, samba, keytab="rc4", host="rc4") as daemon:
        daemon.start()
        ticket = with_ticket(token(service(samba, "rc4"), alice))
        assert challenge(visitor(daemon).post(envelope(body(key)), headers=ticket)) == "Negotiate"
        ticket = with_ticket(token(service(samba), alice))
        assert challenge(visitor(daemon).post(envelope(body(key)), headers=ticket)) == "Negotiate"  # wrong keytab
        daemon.change({"protocols.wstep.kerberos.allow_deprecated": True})
        daemon.stop()
        daemon.start()
        ticket = with_ticket(token(service(samba, "rc4"), alice))
        assert visitor(daemon).post(envelope(body(key)), headers=ticket).status == 200
