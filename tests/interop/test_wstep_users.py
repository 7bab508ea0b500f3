"""Windows enrollment of users whom the configuration names, by a client made from Microsoft's documents."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.interop.wstep_site import ALIAS, CA, STATIC_PASSWORD, USER_URL, client, static_daemon
from tests.support import microsoft_requests as requests
from tests.support.daemon import Daemon
from tests.support.wstep_client import (
    ISSUE,
    KET,
    KET_ACTION,
    PKCS7,
    PKCS10,
    QUERY,
    WSSE,
    WST,
    A,
    Fault,
    Issued,
    S,
    WSTEPClient,
    envelope,
    request_security_token,
    username_token,
)
from tests.unit.http.certificates import make

pytestmark = pytest.mark.interop

SIGNING, BOTH = requests.key_usage(0x80), requests.key_usage(0xA0)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with static_daemon(tmp_path_factory.mktemp("wstep")) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def alice(daemon: Daemon) -> WSTEPClient:
    return client(daemon, "alice", STATIC_PASSWORD)


@pytest.fixture(scope="module")
def held(daemon: Daemon, key: rsa.RSAPrivateKey) -> Issued:
    """A certificate of alice's, to be renewed and asked for again."""
    return client(daemon, "alice", STATIC_PASSWORD).enroll(requests.pkcs10(key, SIGNING))


def common_name(certificate: x509.Certificate) -> str:
    (found,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found.value)


@pytest.mark.requirement("R-CEG-143")
@pytest.mark.requirement("R-CEG-146")
def test_a_user_is_issued_a_certificate_at_once(alice: WSTEPClient, key: rsa.RSAPrivateKey) -> None:
    issued = alice.enroll(requests.pkcs10(key, BOTH, subject="administrator"))
    assert common_name(issued.certificate) == "alice"
    usage = issued.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment
    client_auth = issued.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(client_auth) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert issued.certificate.public_key() == key.public_key()


def test_the_attribute_that_microsoft_had_first_holds_extensions_too(alice: WSTEPClient) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issued = alice.enroll(requests.pkcs10(key, SIGNING, microsoft=True))
    assert issued.certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature


@pytest.mark.requirement("R-CEG-136")
@pytest.mark.parametrize(
    "asked",
    [
        lambda key: requests.pkcs10(key, requests.template_by_name("Mapped")),
        lambda key: requests.pkcs10(key, requests.template_by_documented_name("mapped")),
    ],
    ids=["BMPString", "UTF8String in a SEQUENCE"],
)
def test_a_mapped_template_decides_about_the_profile(alice: WSTEPClient, key: rsa.RSAPrivateKey, asked) -> None:  # type: ignore[no-untyped-def]
    usage = alice.enroll(asked(key)).certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_encipherment
    assert not usage.digital_signature


def test_a_template_may_stand_beside_the_request(alice: WSTEPClient, key: rsa.RSAPrivateKey) -> None:
    issued = alice.enroll(requests.pkcs10(key), context={"CertificateTemplate": "Mapped", "ccm": "ws1.example.com"})
    assert issued.certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment


def test_value_types_say_nothing(alice: WSTEPClient, key: rsa.RSAPrivateKey) -> None:
    alice.enroll(requests.pkcs10(key, SIGNING), value_type=PKCS7)
    alice.enroll(requests.cmc_of_new_key(requests.pkcs10(key, SIGNING), key), value_type=PKCS10)


def test_urls_as_microsoft_calls_them(daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    client(daemon, "bob@example.com", STATIC_PASSWORD, path=ALIAS).enroll(requests.pkcs10(key, SIGNING))


@pytest.mark.requirement("R-CEG-142")
@pytest.mark.parametrize("form", ["CMS", "CMC"])
def test_a_certificate_is_renewed_with_the_signature_of_its_key(
    alice: WSTEPClient, held: Issued, key: rsa.RSAPrivateKey, form: str
) -> None:
    new_key = ec.generate_private_key(ec.SECP256R1())
    inner = requests.pkcs10(new_key, SIGNING, attributes=[requests.renewal_attribute(held.certificate)])
    signers = [(held.certificate, key)]
    token = requests.cms_renewal(inner, held.certificate, key) if form == "CMS" else requests.cmc(inner, signers)
    renewed = alice.enroll(token, value_type=PKCS7)
    assert renewed.certificate.public_key() == new_key.public_key()
    assert renewed.certificate.subject == held.certificate.subject
    assert renewed.request_id != held.request_id


def test_renewals_that_are_none(alice: WSTEPClient, daemon: Daemon, held: Issued, key: rsa.RSAPrivateKey) -> None:
    def inner(old: x509.Certificate) -> bytes:
        return requests.pkcs10(new_key, SIGNING, attributes=[requests.renewal_attribute(old)])

    new_key = ec.generate_private_key(ec.SECP256R1())
    other_key = rsa.generate_private_key(65537, 2048)
    own, bad_renewal = held.certificate, 0x8009400E
    stranger = make("alice", key=other_key).certificate
    bob = client(daemon, "bob@example.com", STATIC_PASSWORD)
    cases: list[tuple[WSTEPClient, bytes, int]] = [
        (alice, requests.cms_renewal(inner(stranger), stranger, other_key), bad_renewal),
        (bob, requests.cms_renewal(inner(own), own, key), bad_renewal),
        (alice, inner(own), bad_renewal),
        (alice, requests.cmc_of_new_key(inner(own), new_key), bad_renewal),
        (alice, requests.cms_renewal(inner(own), own, other_key), 0x80090006),
        (alice, requests.cms_renewal(inner(own), own, key, broken=True), 0x80090006),
        (alice, requests.cmc(inner(own), [(own, key)], broken=True), 0x80090006),
    ]
    for number, (who, token, error_code) in enumerate(cases):
        fault = who.refused(token)
        assert (fault.error_code, fault.is_invalid_request) == (error_code, True), (number, fault)
    for values in ([], [b"\x05\x00"]):
        attribute = requests.attribute(requests.RENEWAL_CERTIFICATE, *values)
        token = requests.cms_renewal(requests.pkcs10(new_key, SIGNING, attributes=[attribute]), own, key)
        assert alice.refused(token).error_code == bad_renewal


def test_a_revoked_certificate_is_not_renewed(alice: WSTEPClient, daemon: Daemon) -> None:
    key = rsa.generate_private_key(65537, 2048)
    old = alice.enroll(requests.pkcs10(key, SIGNING)).certificate
    daemon.cspctl("cert", "revoke", CA, f"{old.serial_number:x}", "--reason", "superseded", "--yes")
    inner = requests.pkcs10(key, SIGNING, attributes=[requests.renewal_attribute(old)])
    assert alice.refused(requests.cms_renewal(inner, old, key)).error_code == 0x8009400E


@pytest.mark.requirement("R-CEG-142")
def test_enrollment_for_others_and_archival_are_refused(
    alice: WSTEPClient, held: Issued, key: rsa.RSAPrivateKey
) -> None:
    new_key = rsa.generate_private_key(65537, 2048)
    plain = requests.pkcs10(new_key, SIGNING)
    archived = requests.pkcs10(
        new_key, SIGNING, attributes=[requests.attribute(requests.ARCHIVED_KEY, requests.der(4, bytes(300)))]
    )
    agent = [(held.certificate, key)]
    for token in (requests.cmc(plain, agent), requests.cms_renewal(plain, held.certificate, key), archived):
        fault = alice.refused(token)
        assert fault.code in ("Receiver", "Sender")
        assert fault.is_invalid_request
        assert fault.error_code == 0x80094014
    assert alice.refused(requests.cmc(plain, agent, more=[plain])).error_code == 0x8007000D


def test_requests_that_prove_nothing(alice: WSTEPClient, key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(65537, 2048)
    assert alice.refused(requests.pkcs10(key, SIGNING, signed_by=other)).error_code == 0x80090006
    assert alice.refused(b"\x30\x03\x02\x01\x00").error_code == 0x8007000D
    assert alice.refused(requests.pkcs10(key, requests.key_usage(0x04))).error_code == 0x80094014


def test_a_request_is_asked_about_again_by_whoever_made_it(alice: WSTEPClient, daemon: Daemon, held: Issued) -> None:
    assert alice.query(held.request_id).certificate == held.certificate

    def fault(request_id: str | None, who: WSTEPClient = alice) -> Fault:
        body = request_security_token(None, request_type=QUERY, request_id=request_id)
        return who.refused(body=body)

    unknown = fault("1" if held.request_id != "1" else "2")
    assert unknown.error_code == 0x80094004
    bob = client(daemon, "bob@example.com", STATIC_PASSWORD)
    with pytest.raises(AssertionError):
        bob.query(held.request_id)
    for bad in (None, "", "x", "0", "99999999999999999999", "-1"):
        assert fault(bad).code == "Sender", bad


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "wrong"),
        ("alice", STATIC_PASSWORD + " "),
        ("alice", ""),
        ("", STATIC_PASSWORD),
        ("nobody", STATIC_PASSWORD),
        (None, ""),
    ],
)
def test_who_is_not_known_gets_one_fault(
    daemon: Daemon, key: rsa.RSAPrivateKey, user: str | None, password: str
) -> None:
    fault = client(daemon, user, password).refused(requests.pkcs10(key, SIGNING))
    assert (fault.code, fault.subcode) == ("Sender", (WSSE, "FailedAuthentication"))
    assert fault.error_code == 0x80070005
    assert fault.reason == client(daemon, "alice", "wrong").refused(requests.pkcs10(key, SIGNING)).reason


def test_passwords_need_not_say_what_they_are_but_no_digest(daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    token = request_security_token(requests.pkcs10(key, SIGNING))
    anybody = client(daemon)
    typeless = username_token("alice", STATIC_PASSWORD, declared_type=None)
    assert anybody.post(envelope(token, security=typeless)).status == 200
    digest = username_token("alice", "x", declared_type="urn:x#PasswordDigest")
    fault = anybody.refused(message=envelope(token, security=digest))
    assert fault.subcode == (WSSE, "UnsupportedSecurityToken")


@pytest.mark.parametrize(
    "asked",
    [None, "", KET, f"{WST}/Renew", "http://example.com/Issue"],
    ids=["absent", "empty", "KET", "Renew", "unknown"],
)
def test_request_types_that_are_none(alice: WSTEPClient, key: rsa.RSAPrivateKey, asked: str | None) -> None:
    fault = alice.refused(body=request_security_token(requests.pkcs10(key, SIGNING), request_type=asked))
    assert (fault.code, fault.subcode) == ("Sender", (WST, "InvalidRequest"))


def test_issue_without_a_token_and_without_an_action(alice: WSTEPClient, daemon: Daemon) -> None:
    assert alice.refused(body=request_security_token(None, request_type=ISSUE)).code == "Sender"
    security = username_token("alice", STATIC_PASSWORD)
    body = request_security_token(None)
    cases = {
        None: (A, "MessageAddressingHeaderRequired"),
        "urn:other": (A, "ActionNotSupported"),
        KET_ACTION: (WST, "InvalidRequest"),
    }
    for action, subcode in cases.items():
        fault = client(daemon).refused(message=envelope(body, action=action, security=security))
        assert (fault.code, fault.subcode) == ("Sender", subcode)


def test_headers_that_have_to_be_understood(alice: WSTEPClient, daemon: Daemon, key: rsa.RSAPrivateKey) -> None:
    body = request_security_token(requests.pkcs10(key, SIGNING))
    security = username_token("alice", STATIC_PASSWORD)
    block = '<x:Route xmlns:x="urn:x" s:mustUnderstand="{}" s:role="{}"/>'

    def message(must: str, role: str) -> bytes:
        return envelope(body, security=security, more=block.format(must, role))

    for role in (f"{S}/role/next", f"{S}/role/ultimateReceiver"):
        assert alice.refused(message=message("true", role)).code == "MustUnderstand"
    for must, role in (("0", f"{S}/role/next"), ("1", "urn:somebody-else")):
        assert alice.post(message(must, role)).status == 200


def test_places_and_media_types_that_are_not_served(daemon: Daemon) -> None:
    for path in (USER_URL + "x", USER_URL.replace("demo/", "other/"), USER_URL.replace("usertoken", "kerberos")):
        assert client(daemon, "alice", STATIC_PASSWORD, path=path).post(b"").status == 404
    message = envelope(request_security_token(None), security=username_token("alice", STATIC_PASSWORD))
    assert client(daemon).post(message, headers={"Content-Type": "text/xml"}).status == 415


def test_three_megabytes_are_refused_before_they_are_sent(daemon: Daemon) -> None:
    head = (
        f"POST {USER_URL} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/soap+xml\r\n"
        f"Content-Length: {3 << 20}\r\n\r\n"
    )
    context = ssl.create_default_context(cafile=daemon.root_pem)
    with (
        socket.create_connection(("localhost", daemon.https_port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")
