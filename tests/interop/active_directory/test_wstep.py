"""Windows enrollment of accounts of a Samba domain by user name and password, through the real daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.interop.wstep_site import client, directory_daemon
from tests.support import microsoft_requests as requests
from tests.support.daemon import Daemon
from tests.support.samba_ad import SambaAD
from tests.support.samba_templates import TEMPLATE_OIDS
from tests.support.wstep_client import PKCS7, WSSE, Issued

pytestmark = pytest.mark.interop

SID_EXTENSION = x509.ObjectIdentifier(requests.NTDS_CA_SECURITY)


@pytest.fixture(scope="module")
def daemon(samba: SambaAD, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with directory_daemon(tmp_path_factory.mktemp("wstep"), samba, keytab=None) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def request(key: requests.Key, template: str = "WSTEPSign", **more: object) -> bytes:
    return requests.pkcs10(key, requests.template_by_oid(TEMPLATE_OIDS[template]), **more)  # type: ignore[arg-type]


def extension(issued: Issued, oid: x509.ObjectIdentifier) -> bytes:
    """The octets of an extension, as the certificate has them."""
    found = issued.certificate.extensions.get_extension_for_oid(oid)
    assert not found.critical
    return found.value.public_bytes()


def common_name(issued: Issued) -> str:
    (found,) = issued.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found.value)


@pytest.mark.requirement("R-CEG-144")
def test_a_user_is_certified_with_the_sid_and_the_name_of_the_account(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey
) -> None:
    issued = client(daemon, "alice").enroll(request(key, "WSTEPUser", subject="Administrator"))
    assert common_name(issued) == "Alice Adams"
    assert extension(issued, SID_EXTENSION) == requests.security_identifier(samba.sid_of("alice")).value
    names = extension(issued, x509.SubjectAlternativeName.oid)
    principal = requests.alternative_names(principal="alice@cspd.test").value
    assert principal[2:] in names
    template = extension(issued, x509.ObjectIdentifier(requests.TEMPLATE))
    assert template == requests.template_by_oid(TEMPLATE_OIDS["WSTEPUser"]).value


def test_a_machine_is_certified_with_its_host_name(samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    issued = client(daemon, "CSPD\\WS1$").enroll(request(key, "WSTEPMachine"))
    assert common_name(issued) == "ws1.cspd.test"
    names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["ws1.cspd.test"]
    assert extension(issued, SID_EXTENSION) == requests.security_identifier(samba.sid_of("WS1$")).value


@pytest.mark.requirement("R-CEG-128")
@pytest.mark.parametrize("name", ["alice", "CSPD\\alice", "alice@CSPD", "cspd.test\\alice", "alice@cspd.test"])
def test_user_names_have_five_forms(daemon: Daemon, key: rsa.RSAPrivateKey, name: str) -> None:
    assert common_name(client(daemon, name).enroll(request(key, "WSTEPUser"))) == "Alice Adams"


def test_principal_names_of_another_suffix_and_with_umlauts(
    samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey
) -> None:
    issued = client(daemon, "dave.dunn@corp.example").enroll(request(key))
    assert common_name(issued) == "Dave Dunn"
    principal = requests.alternative_names(principal="dave.dunn@corp.example").value
    assert principal[2:] in extension(issued, x509.SubjectAlternativeName.oid)
    assert extension(issued, SID_EXTENSION) == requests.security_identifier(samba.sid_of("dave")).value
    assert common_name(client(daemon, "uml").enroll(request(key))) == "Jörg Müller, X"


def test_templates_of_version_1_go_by_their_name(daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    for asked in (requests.template_by_name("User"), requests.template_by_documented_name("User")):
        issued = client(daemon, "bob").enroll(requests.pkcs10(key, asked))
        assert issued.certificate.subject.rfc4514_string() == "CN=Bob Brown,CN=Users,DC=cspd,DC=test"
        assert (
            extension(issued, x509.ObjectIdentifier(requests.TEMPLATE_NAME)) == requests.template_by_name("User").value
        )


@pytest.mark.parametrize("user", ["disabled", "expired", "locked", "nobody", "CSPD\\nobody", "alice@other.test", "*"])
def test_accounts_that_may_not_log_on(daemon: Daemon, key: rsa.RSAPrivateKey, user: str) -> None:
    fault = client(daemon, user).refused(request(key))
    assert (fault.code, fault.subcode, fault.error_code) == ("Sender", (WSSE, "FailedAuthentication"), 0x80070005)
    assert fault.reason == client(daemon, "").refused(request(key)).reason


@pytest.mark.parametrize("password", ["", "wrong", " "])
def test_wrong_passwords(daemon: Daemon, key: rsa.RSAPrivateKey, password: str) -> None:
    # Of an account that no other test needs: the domain locks it after five.
    assert client(daemon, "svc-other", password).refused(request(key)).subcode == (WSSE, "FailedAuthentication")


@pytest.mark.parametrize(
    ("user", "template", "error_code"),
    [
        ("bob", "WSTEPUser", 0x80094012),
        ("bob", "WSTEPMachine", 0x80094012),
        ("alice", "WSTEPSupply", 0x80094012),
        ("nomail", "User", 0x80094812),
    ],
)
def test_who_may_not_enroll_by_a_template(
    daemon: Daemon, key: rsa.RSAPrivateKey, user: str, template: str, error_code: int
) -> None:
    fault = client(daemon, user).refused(request(key, template))
    assert (fault.code, fault.error_code, fault.is_invalid_request) == ("Receiver", error_code, True)


def test_templates_that_are_not_there(daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    alice = client(daemon, "alice")
    for asked in (
        requests.template_by_oid("1.3.6.1.4.1.311.21.8.1.2.3"),
        requests.template_by_name("Nothing"),
        requests.template_by_name("*"),
    ):
        assert alice.refused(requests.pkcs10(key, asked)).error_code == 0x80094800
    assert alice.refused(requests.pkcs10(key)).error_code == 0x80094801
    small = rsa.generate_private_key(65537, 1024)
    assert alice.refused(request(small)).error_code == 0x80094811


def test_nobody_gets_names_of_others(samba: SambaAD, daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    """Certificates that are asked for with the names of an administrator are certificates of the account."""
    administrator = f"{samba.sid}-500"
    asked = requests.pkcs10(
        key,
        requests.template_by_oid(TEMPLATE_OIDS["WSTEPSign"]),
        requests.alternative_names(principal="administrator@cspd.test", dns="dc1.cspd.test"),
        requests.security_identifier(administrator),
        subject="Administrator",
    )
    issued = client(daemon, "bob").enroll(asked)
    names = extension(issued, x509.SubjectAlternativeName.oid)
    assert b"administrator" not in names
    assert b"dc1" not in names
    assert extension(issued, SID_EXTENSION) == requests.security_identifier(samba.sid_of("bob")).value
    assert common_name(issued) == "Bob Brown"


def test_renewals_are_of_the_account_of_the_certificate(daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    old = client(daemon, "alice").enroll(request(key)).certificate
    new_key = ec.generate_private_key(ec.SECP256R1())
    inner = request(new_key, attributes=[requests.renewal_attribute(old)])
    for token in (requests.cms_renewal(inner, old, key), requests.cmc(inner, [(old, key)])):
        renewed = client(daemon, "alice@cspd.test").enroll(token, value_type=PKCS7)
        assert renewed.certificate.public_key() == new_key.public_key()
        assert client(daemon, "bob").refused(token).error_code == 0x8009400E


def test_requests_are_asked_about_by_their_account(daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    issued = client(daemon, "alice").enroll(request(key))
    assert client(daemon, "CSPD\\alice").query(issued.request_id).certificate == issued.certificate
    with pytest.raises(AssertionError):
        client(daemon, "bob").query(issued.request_id)
