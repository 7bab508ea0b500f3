"""serverkeygen with a key that is encrypted beyond TLS, from the request to the parts of the answer (RFC 7030, 4.4)."""

from __future__ import annotations

import email
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type  # the only way to an attribute that is no text

from cspd.http.message import Response
from cspd.x509 import tlv
from cspd.x509.cms.signed import read_signed_data
from cspd.x509.cms.values import ENVELOPED_DATA
from cspd.x509.cursor import Cursor
from protocols.est.encrypted_keys import ASYMMETRIC_DECRYPT_KEY_ID, DECRYPT_KEY_ID, PURPOSE
from tests.protocols.est.world import World, header
from tests.support.authorities import ALICE, ISSUING
from tests.support.enveloped import Envelope, opened_key_package, private_key_of
from tests.support.issuing import common_name
from tests.support.running import result_of

USER = "alice:se:cret"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, server_key_generation=True)


def asking(world: World, oid: str, identifier: bytes) -> bytes:
    """A request that names a key to encrypt with, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(common_name("a.example"))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
    builder = builder.add_attribute(x509.ObjectIdentifier(oid), identifier, _tag=_ASN1Type.OctetString)
    return builder.sign(world.key, hashes.SHA256()).public_bytes(Encoding.DER)


def certificates_issued(world: World) -> int:
    return sum(each.event == "certificate-issued" for each in world.house.audit.events)


def envelope_and_certificate(response: Response) -> tuple[Envelope, x509.Certificate]:
    assert response.status == 200, response.body
    head = b"Content-Type: " + (header(response, b"content-type") or b"") + b"\r\n\r\n"
    message = email.message_from_bytes(head + response.body)
    key_part, certificate_part = message.get_payload()
    assert key_part["content-type"] == "application/pkcs7-mime; smime-type=server-generated-key"
    info = Cursor.over(key_part.get_payload(decode=True)).enter(tlv.SEQUENCE)
    assert info.object_identifier() == ENVELOPED_DATA
    [certificate_der] = read_signed_data(certificate_part.get_payload(decode=True)).certificates_der
    return Envelope.of(info.enter(0xA0).element()), x509.load_der_x509_certificate(certificate_der)


def check_key(world: World, signed_der: bytes, certificate: x509.Certificate) -> None:
    signer = world.house.get(ISSUING).certificate
    assert signer is not None
    assert private_key_of(opened_key_package(signed_der, signer)).public_key() == certificate.public_key()


def test_a_shared_secret_opens_one_key(world: World) -> None:
    """It is used up together with the certificate."""
    made = result_of(world.secrets.create(purpose=PURPOSE, identity="alice", lifetime=timedelta(days=1), by=ALICE))
    csr_der = asking(world, DECRYPT_KEY_ID, made.terms.reference.encode())
    envelope, certificate = envelope_and_certificate(world.ask("serverkeygen", csr_der, user=USER))
    _, signed_der = envelope.for_shared_key(sha256(made.secret.encode()).digest())
    check_key(world, signed_der, certificate)
    assert certificates_issued(world) == 1
    assert world.ask("serverkeygen", csr_der, user=USER).status == 400
    assert certificates_issued(world) == 1


def test_the_key_of_the_tls_certificate_opens_it(world: World) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(common_name("device")).issuer_name(common_name("maker"))
    builder = builder.add_extension(x509.SubjectKeyIdentifier(b"device's key"), critical=False)
    now = world.house.clock.now()
    builder = builder.public_key(key.public_key()).serial_number(1).not_valid_before(now)
    certificate_der = (
        builder.not_valid_after(now + timedelta(days=9)).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    )
    csr_der = asking(world, ASYMMETRIC_DECRYPT_KEY_ID, b"device's key")
    response = world.ask("serverkeygen", csr_der, user=USER, certificate=certificate_der)
    envelope, certificate = envelope_and_certificate(response)
    check_key(world, envelope.for_ec(key)[1], certificate)


@pytest.mark.parametrize("oid", [DECRYPT_KEY_ID, ASYMMETRIC_DECRYPT_KEY_ID])
def test_a_key_that_cannot_be_encrypted_is_not_made(world: World, oid: str) -> None:
    """RFC 7030, 4.4.1.1 and 4.4.1.2: an unknown identifier ends the request with an error."""
    response = world.ask("serverkeygen", asking(world, oid, b"unknown"), user=USER)
    assert (response.status, response.body) == (400, b"there is no key of yours with that decrypt key identifier\n")
    assert certificates_issued(world) == 0


def test_two_one_time_secrets_are_used_up_together(tmp_path: Path) -> None:
    """One that lets the client in, and one that its key is encrypted with."""
    world = World(tmp_path, server_key_generation=True, authentication=["secret"], users=[])
    lets_in, opens = (
        result_of(world.secrets.create(purpose=purpose, identity="device 7", lifetime=timedelta(days=1), by=ALICE))
        for purpose in ("est", PURPOSE)
    )
    csr_der = asking(world, DECRYPT_KEY_ID, opens.terms.reference.encode())
    user = f"{lets_in.terms.reference}:{lets_in.secret}"
    envelope, certificate = envelope_and_certificate(world.ask("serverkeygen", csr_der, user=user))
    check_key(world, envelope.for_shared_key(sha256(opens.secret.encode()).digest())[1], certificate)
    states = {each.purpose: each.state for each in result_of(world.secrets.list())}
    assert states == {"est": "used", PURPOSE: "used"}
