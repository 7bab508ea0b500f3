"""Every operation, and every way to be told no, with the exact status."""

from __future__ import annotations

import base64
import email
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from twisted.logger import LogLevel, capturedLogs

from cspd.authority.approvals import RequestState
from cspd.authority.values import RevocationReason
from cspd.http.router import MethodNotAllowed, NoRoute
from cspd.x509.cms.signed import read_signed_data
from tests.protocols.est.world import BASE, LABEL, World, certificates_of, header, only_certificate
from tests.support.authorities import ALICE, ISSUING
from tests.support.issuing import common_name, make_csr
from tests.support.running import result_of

ALICE_S = "alice:se:cret"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.requirement("R-CEG-152")
def test_cacerts_has_the_ca_and_those_above_it(world: World) -> None:
    authority = world.house.get(ISSUING)
    expected = {authority.certificate_der, *authority.chain_der}
    for path in (
        BASE,
        f"{BASE}/devices",
        f"{BASE}/demo/demo~issuing/tls-client",
        f"{BASE}/demo_demo~issuing_tls-client",
    ):
        assert set(certificates_of(world.ask("cacerts", path=path))) == expected


def test_cacerts_has_the_earlier_certificates_of_the_ca(world: World) -> None:
    former = world.house.get(ISSUING).certificate_der
    result_of(world.house.renewal.rekey(ISSUING, ALICE))
    latest = world.house.get(ISSUING).certificate_der
    assert latest != former
    assert {former, latest} < set(certificates_of(world.ask("cacerts")))


def test_cacerts_in_pem(world: World) -> None:
    response = world.ask("cacerts", accept="application/x-pem-file")
    authority = world.house.get(ISSUING)
    found = [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(response.body)]
    assert found == [authority.certificate_der, *authority.chain_der]


def test_a_user_gets_a_certificate_for_its_request(world: World) -> None:
    certificate = x509.load_der_x509_certificate(world.enroll())
    assert certificate.subject == common_name("a.example")
    assert certificate.public_key() == world.key.public_key()
    [event] = world.house.audited("certificate-issued")
    assert event["request_id"] == "r-9"


@pytest.mark.parametrize("form", ["base64", "lines", "pem", "new-pem", "der"])
def test_requests_come_in_all_forms(world: World, form: str) -> None:
    csr_der = world.csr()
    pem = x509.load_der_x509_csr(csr_der).public_bytes(Encoding.PEM)
    body = {
        "base64": base64.b64encode(csr_der),
        "lines": base64.encodebytes(csr_der).replace(b"\n", b"\r\n"),
        "pem": pem,
        "new-pem": pem.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"),
        "der": csr_der,
    }[form]
    only_certificate(world.ask("simpleenroll", body, user=ALICE_S))
    only_certificate(world.ask("simpleenroll", body, user=ALICE_S, content_transfer_encoding="base64"))


def test_certificates_come_in_the_form_that_is_asked_for(world: World) -> None:
    pem = world.ask("simpleenroll", world.csr(), user=ALICE_S, accept="application/pem-certificate-chain")
    assert len(x509.load_pem_x509_certificates(pem.body)) == 3
    der = world.ask("simpleenroll", world.csr(), user=ALICE_S, accept="text/html, application/pkix-cert;q=0.5")
    assert x509.load_der_x509_certificate(der.body).subject == common_name("a.example")
    assert header(der, b"content-type") == b"application/pkix-cert"


@pytest.mark.requirement("R-PLAT-078")
@pytest.mark.requirement("R-CEG-150")
@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen"])
def test_the_first_attempt_is_asked_for_a_password_and_is_no_failure(tmp_path: Path, operation: str) -> None:
    world = World(tmp_path, server_key_generation=True)
    with capturedLogs() as events:
        response = world.ask(operation, world.csr())
    assert response.status == 401
    assert header(response, b"www-authenticate") == b'Basic realm="cspd EST", charset="UTF-8"'
    assert response.body == b"", "Bouncy Castle would stumble over one"
    assert not [each for each in events if each["log_level"] >= LogLevel.info]
    assert not world.house.audited("certificate-refused")


@pytest.mark.parametrize("user", ["alice:wrong", "alice:", "bob:se:cret", "ALICE:se:cret", "# people:x", ":"])
def test_wrong_credentials_get_401_and_a_line_in_the_log(world: World, user: str) -> None:
    with capturedLogs() as events:
        response = world.ask("simpleenroll", world.csr(), user=user)
    assert response.status == 401
    assert header(response, b"www-authenticate") is not None
    [event] = [each for each in events if each.get("event") == "est-refused"]
    assert (event["code"], event["request_id"]) == ("unauthorized", "r-9")


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "no base64": ({"body": b"MI!!"}, 400),
    "half a quantum": ({"body": b"MIIBa"}, 400),
    "nothing": ({"body": b""}, 400),
    "spaces": ({"body": b" \r\n"}, 400),
    "base64 of no request": ({"body": base64.b64encode(b"hello")}, 400),
    "DER of no request": ({"body": b"\x30\x03\x02\x01\x00"}, 400),
    "a certificate in PEM": ({"body": b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}, 400),
    "too large": ({"body": b"A" * 70_000}, 400),
    "another media type": ({"content_type": "application/pkcs7-mime"}, 415),
    "no media type": ({"content_type": ""}, 415),
    "media type of forms": ({"content_type": "application/x-www-form-urlencoded"}, 415),
    "Digest": ({"user": None, "authorization": 'Digest username="alice"'}, 401),
    "Bearer": ({"user": None, "authorization": "Bearer abc"}, 401),
    "Basic that is no base64": ({"user": None, "authorization": "Basic !!"}, 400),
    "Basic without a colon": ({"user": None, "authorization": "Basic YWxpY2U="}, 400),
    "Basic that is no UTF-8": ({"user": None, "authorization": "Basic /zo="}, 400),
    "Basic that is too long": ({"user": None, "authorization": "Basic " + "YTph" * 2000}, 400),
    "unknown label": ({"path": f"{BASE}/others"}, 404),
    "unknown tenant": ({"path": f"{BASE}/other/demo~issuing/tls-client"}, 404),
    "profile that is not served": ({"path": f"{BASE}/demo/demo~issuing/tls-server"}, 404),
    "unknown CA": ({"path": f"{BASE}/demo/demo~other/tls-client"}, 404),
    "CA without organization": ({"path": f"{BASE}/demo/issuing/tls-client"}, 400),
    "label of four parts": ({"path": f"{BASE}/demo_demo~issuing_tls_client"}, 404),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_get_their_status_and_a_sentence(world: World, name: str) -> None:
    changes, status = BAD[name]
    response = world.ask("simpleenroll", **{"body": world.csr(), "user": ALICE_S, **changes})
    assert response.status == status
    if status != 401:
        assert header(response, b"content-type") == b"text/plain; charset=utf-8"
        assert response.body.decode().strip()
    assert not world.house.audited("certificate-issued")


def test_a_request_that_its_key_did_not_sign_is_refused(world: World) -> None:
    csr_der = bytearray(world.csr())
    csr_der[-1] ^= 1
    response = world.ask("simpleenroll", bytes(csr_der), user=ALICE_S)
    assert response.status == 400
    assert b"sign" in response.body


def test_paths_and_methods_that_are_not_there(world: World) -> None:
    for path in (f"{BASE}/certs", f"{BASE}/devices/certs", f"{BASE}/devices/x/cacerts", BASE):
        with pytest.raises(NoRoute):
            world.router.resolve("POST", path)
    with pytest.raises(MethodNotAllowed):
        world.router.resolve("GET", f"{BASE}/simpleenroll")
    with pytest.raises(MethodNotAllowed):
        world.router.resolve("POST", f"{BASE}/devices/cacerts")


def test_without_a_default_label_there_is_none(tmp_path: Path) -> None:
    assert World(tmp_path, default_label=None).ask("cacerts", path=BASE).status == 404


def test_a_certificate_gets_its_successor(world: World) -> None:
    current = world.enroll()
    response = world.ask("simplereenroll", world.csr(), certificate=current)
    successor = x509.load_der_x509_certificate(only_certificate(response))
    assert successor.serial_number != x509.load_der_x509_certificate(current).serial_number
    assert world.house.changes == []


def test_the_replaced_certificate_is_revoked_where_that_is_wanted(tmp_path: Path) -> None:
    world = World(tmp_path, revoke_replaced=True)
    current = world.enroll()
    only_certificate(world.ask("simplereenroll", world.csr(), certificate=current))
    [change] = world.house.changes
    assert change.serial == x509.load_der_x509_certificate(current).serial_number
    assert change.status.reason is RevocationReason.SUPERSEDED
    assert world.ask("simplereenroll", world.csr(), certificate=current).status == 403


def test_a_certificate_gets_no_other_names(world: World) -> None:
    current = world.enroll()
    others = (
        world.csr("b.example"),
        world.csr(subject=common_name("b.example")),
        make_csr(world.key),
        make_csr(world.key, names=[x509.DNSName("a.example"), x509.DNSName("b.example")]),
    )
    for csr_der in others:
        assert world.ask("simplereenroll", csr_der, certificate=current).status == 400
    # Nor does it count for a first certificate: the client is asked for its password.
    assert world.ask("simpleenroll", world.csr("b.example"), certificate=current).status == 401


def test_certificates_that_cannot_be_renewed(world: World) -> None:
    revoked, of_another = world.enroll(), World.csr(world)
    serial = x509.load_der_x509_certificate(revoked).serial_number
    world.house.revoke(world.house.get(ISSUING), serial)
    authority = world.house.get(ISSUING)
    for certificate in (revoked, authority.certificate_der, of_another):
        assert world.ask("simplereenroll", world.csr(), certificate=certificate).status == 403
    assert world.ask("simplereenroll", world.csr(), user=ALICE_S).status == 403


def test_an_expired_certificate_cannot_be_renewed(world: World) -> None:
    current = world.enroll()
    end = x509.load_der_x509_certificate(current).not_valid_after_utc
    world.house.clock.advance(end - world.house.clock.now())
    assert world.ask("simplereenroll", world.csr(), certificate=current).status == 403


def test_a_certificate_of_another_profile_cannot_be_renewed_here(tmp_path: Path) -> None:
    labels = [LABEL, {"id": "servers", "ca": "demo~issuing", "profile": "tls-server"}]
    world = World(tmp_path, labels=labels)
    current = world.enroll()
    response = world.ask("simplereenroll", world.csr(), certificate=current, path=f"{BASE}/servers")
    assert response.status == 403


def test_where_certificates_do_not_authenticate_a_password_is_needed_too(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["basic"])
    current = world.enroll()
    assert world.ask("simplereenroll", world.csr(), certificate=current).status == 401
    only_certificate(world.ask("simplereenroll", world.csr(), certificate=current, user=ALICE_S))


def test_where_passwords_do_not_count_there_is_no_first_certificate(tmp_path: Path) -> None:
    world = World(tmp_path, authentication=["certificate"])
    assert world.ask("simpleenroll", world.csr(), user=ALICE_S).status == 403
    assert world.ask("simplereenroll", world.csr(), user=ALICE_S).status == 403


def test_a_request_waits_for_its_approval(tmp_path: Path) -> None:
    world = World(tmp_path, approval=True, approval_retry="90s")
    csr_der = world.csr()
    response = world.ask("simpleenroll", csr_der, user=ALICE_S)
    assert (response.status, header(response, b"retry-after")) == (202, b"90")
    assert world.ask("simpleenroll", base64.b64encode(csr_der), user=ALICE_S).status == 202
    [kept] = result_of(world.approvals.list(state=RequestState.WAITING))
    result_of(world.approvals.approve(kept.id, ALICE))
    first = only_certificate(world.ask("simpleenroll", csr_der, user=ALICE_S))
    assert only_certificate(world.ask("simpleenroll", csr_der, user=ALICE_S)) == first


def test_a_denied_request_is_forbidden_with_the_reason(tmp_path: Path) -> None:
    world = World(tmp_path, approval=True)
    csr_der = world.csr()
    world.ask("simpleenroll", csr_der, user=ALICE_S)
    [kept] = result_of(world.approvals.list())
    result_of(world.approvals.deny(kept.id, ALICE, "not in the inventory"))
    response = world.ask("simpleenroll", csr_der, user=ALICE_S)
    assert (response.status, response.body) == (403, b"not in the inventory\n")


def parts_of(response: Any) -> list[tuple[str, bytes]]:
    assert response.status == 200, response.body
    head = b"Content-Type: " + (header(response, b"content-type") or b"") + b"\r\n\r\n"
    message = email.message_from_bytes(head + response.body)
    assert message.get_content_type() == "multipart/mixed"
    return [(part.get_content_type(), part.get_payload(decode=True)) for part in message.get_payload()]


def test_a_key_made_here_and_its_certificate(tmp_path: Path) -> None:
    """The key is the request's kind and another one; the request needs no valid signature (RFC 7030, 4.4.1)."""
    world = World(tmp_path, server_key_generation=True)
    csr_der = bytearray(world.csr())
    csr_der[-1] ^= 1
    [(key_type, key_der), (certificate_type, cms)] = parts_of(world.ask("serverkeygen", bytes(csr_der), user=ALICE_S))
    assert (key_type, certificate_type) == ("application/pkcs8", "application/pkcs7-mime")
    response_key = load_der_private_key(key_der, None)
    [certificate_der] = read_signed_data(cms).certificates_der
    certificate = x509.load_der_x509_certificate(certificate_der)
    assert certificate.public_key() == response_key.public_key()  # type: ignore[union-attr]  # an EC key
    assert certificate.public_key() != world.key.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example"]


def test_keys_are_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    assert World(tmp_path).ask("serverkeygen", b"", user=ALICE_S).status == 404
    waiting = World(tmp_path, server_key_generation=True, approval=True)
    assert waiting.ask("serverkeygen", waiting.csr(), user=ALICE_S).status == 403


@pytest.mark.parametrize("oid", ["1.2.840.113549.1.9.16.2.37", "1.2.840.113549.1.9.16.2.54"])
def test_a_key_that_is_to_be_encrypted_is_not_sent_in_the_clear(tmp_path: Path, oid: str) -> None:
    world = World(tmp_path, server_key_generation=True)
    builder = x509.CertificateSigningRequestBuilder().subject_name(common_name("a.example"))
    builder = builder.add_attribute(x509.ObjectIdentifier(oid), b"key-1")
    csr_der = builder.sign(world.key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert world.ask("serverkeygen", csr_der, user=ALICE_S).status == 400


def test_keys_that_are_not_ours_to_make_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path, server_key_generation=True)
    csr_der = make_csr(rsa.generate_private_key(65537, 1024))
    assert world.ask("serverkeygen", csr_der, user=ALICE_S).status == 400


def test_a_holder_revokes_its_certificate(world: World) -> None:
    form = "application/x-www-form-urlencoded"
    current = world.enroll()
    serial = x509.load_der_x509_certificate(current).serial_number
    assert world.ask("revoke", b"").status == 401
    assert world.ask("revoke", b"", user=ALICE_S).status == 403
    assert world.ask("revoke", b"reason=1", certificate=current, content_type=form).status == 400
    assert world.ask("revoke", b"reason=cACompromise", certificate=current, content_type=form).status == 400
    assert world.ask("revoke", b"reason=superseded", certificate=current, content_type="text/plain").status == 415
    assert world.house.changes == []
    assert world.ask("revoke", b"reason=keyCompromise", certificate=current, content_type=form).status == 200
    [change] = world.house.changes
    assert (change.serial, change.status.reason) == (serial, RevocationReason.KEY_COMPROMISE)
    assert world.ask("revoke", b"", certificate=current).status == 403


def test_the_current_crl(world: World) -> None:
    serial = x509.load_der_x509_certificate(world.enroll()).serial_number
    world.house.revoke(world.house.get(ISSUING), serial)
    response = world.ask("crl")
    assert header(response, b"content-type") == b"application/pkix-crl"
    crl = x509.load_der_x509_crl(response.body)
    authority = world.house.get(ISSUING)
    assert authority.certificate is not None
    assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]  # an EC key
    assert crl.get_revoked_certificate_by_serial_number(serial) is not None
