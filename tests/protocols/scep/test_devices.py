"""What devices of Apple, Cisco, Google and Microsoft send, as :mod:`tests.support.scep_devices` rebuilds it.

Each does its whole conversation over plain HTTP, and is answered in its own algorithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509.cms.enveloped import read_enveloped_data
from cspd.x509.signatures import hash_of
from protocols.scep.ca_certificates import decode_ca_certificates, encode_ca_certificates
from protocols.scep.codec import decode
from protocols.scep.messages import CertsOnly, FailInfo, IssuerAndSerialNumber, MessageType, PKIMessage, PKIStatus
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig
from tests.protocols.scep.bad_messages import issuer_name
from tests.protocols.scep.registration_authorities import SEPARATE, Node, installed
from tests.protocols.scep.world import PASSWORD, PATH, World, header, rsa_key
from tests.support.authorities import ALICE, ISSUING
from tests.support.scep_client import ScepClient
from tests.support.scep_devices import Device, Sent, apple, apple_by_get, chromeos, cisco, old_apple, windows


def ask(world: World, sent: Sent) -> Any:
    """The response of HTTP."""
    response = world.ask(sent.query, sent.body, path=f"{PATH}{sent.path}")
    assert response.status == 200, response.body
    return response


def talk(world: World, device: Device, sent: Sent) -> tuple[PKIMessage, Any]:
    """The CertRep as the device reads it: signed by the registration authority, in digest and cipher of the device."""
    body = ask(world, sent).body
    signer = ScepClient(
        key=device.signer or device.key, certificate=device.own_certificate, ra_certificate=device.ra_certificate
    )
    answer = decode(body)
    assert hash_of(answer.signer_info.digest_algorithm).name == device.dialect.digest
    if answer.message.pkcs_pki_envelope is not None:
        assert read_enveloped_data(answer.message.pkcs_pki_envelope).cipher is device.dialect.cipher
    assert answer.message.transaction_id == device.transaction_id
    return signer.read(body)


def enroll(world: World, device: Device, challenge: str | None = PASSWORD) -> x509.Certificate:
    """The certificate that a device gets."""
    message, data = talk(world, device, device.enroll(challenge))
    assert message.pki_status is PKIStatus.SUCCESS, message
    assert isinstance(data, CertsOnly)
    [certificate_der] = data.certificates_der
    return x509.load_der_x509_certificate(certificate_der)


def approve(world: World) -> None:
    """Let the request that waits become a certificate."""
    [waiting] = world.house.run(world.approvals.list())
    world.house.run(world.approvals.approve(waiting.id, ALICE))


def names_of(certificate: x509.Certificate) -> Sequence[x509.GeneralName]:
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


@pytest.mark.requirement("R-CEG-073")
@pytest.mark.requirement("R-CEGI-090")
@pytest.mark.requirement("R-CEGI-095")
@pytest.mark.parametrize("make", [apple, apple_by_get])
def test_apple_devices_enroll(make: Any) -> None:
    """Key usage is the profile's, though the device asks for more."""
    world = World()
    device = make(rsa_key(1), world.authority.certificate)
    certificates = ask(world, device.operation("GetCACert"))
    media_type = header(certificates, b"content-type")
    assert media_type == b"application/x-x509-ca-ra-cert"
    # The first that may sign and decrypt is who messages are for.
    assert decode_ca_certificates(media_type.decode(), certificates.body)[0] == device.ra_certificate.public_bytes(
        Encoding.DER
    )
    capabilities = ask(world, device.operation("GetCACaps")).body.split(b"\n")
    assert {b"AES", b"SHA-512", b"POSTPKIOperation"} <= set(capabilities)
    certificate = enroll(world, device)
    assert certificate.subject.rfc4514_string() == "CN=Ann's iPhone,O=Example"
    assert names_of(certificate) == [x509.RFC822Name("ann@example.org")]
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, False)


def test_apple_devices_find_two_certificates_of_a_registration_authority() -> None:
    """They take the first certificate with each key usage among those with an issuer, and CAs may sign too."""
    separate = RegistrationAuthorityConfig(ca=str(ISSUING), signing_profile=SEPARATE[0], encryption_profile=SEPARATE[1])
    authority = Node(installed(), separate).of()
    found = [
        x509.load_der_x509_certificate(each)
        for each in decode_ca_certificates(*encode_ca_certificates(authority.certificates_der))
    ]
    issued = [each for each in found if each.issuer != each.subject]

    def first(*, signs: bool, decrypts: bool) -> x509.Certificate:
        usages = [each.extensions.get_extension_for_class(x509.KeyUsage).value for each in issued]
        fits = [(usage.digital_signature, usage.key_encipherment) == (signs, decrypts) for usage in usages]
        return issued[fits.index(True)]

    assert first(signs=True, decrypts=False).public_bytes(Encoding.DER) == authority.signing_certificate_der
    assert first(signs=False, decrypts=True) == authority.recipients[0].certificate


def test_apple_devices_of_2014_need_the_switches() -> None:
    world = World()
    device = old_apple(rsa_key(1), world.authority.certificate)
    body = ask(world, device.enroll(PASSWORD)).body
    assert decode(body).message.fail_info is FailInfo.BAD_ALG
    assert world.certificate_count == 0
    world = World(allow_sha1=True, allow_des3=True)
    device = old_apple(rsa_key(1), world.authority.certificate)
    capabilities = ask(world, device.operation("GetCACaps")).body.split(b"\n")
    assert {b"DES3", b"SHA-1"} <= set(capabilities)
    assert enroll(world, device).subject.rfc4514_string() == "CN=Ann's iPhone,O=Example"


def test_an_apple_device_polls() -> None:
    """It names the registration authority as issuer, and nothing but what the answer told it."""
    world = World(service={"approval": True})
    device = apple(rsa_key(1), world.authority.certificate)
    message, _ = talk(world, device, device.enroll(PASSWORD))
    assert message.pki_status is PKIStatus.PENDING
    message, _ = talk(world, device, device.poll())
    assert message.pki_status is PKIStatus.PENDING
    approve(world)
    message, data = talk(world, device, device.poll())
    assert message.pki_status is PKIStatus.SUCCESS
    assert len(data.certificates_der) == 1


@pytest.mark.requirement("R-CEG-011")
@pytest.mark.requirement("R-CEG-061")
def test_a_cisco_router_enrolls_polls_and_asks_for_the_crl() -> None:
    world = World(service={"approval": True})
    router = cisco(rsa_key(1), world.authority.certificate, issuer_name(world))
    assert header(ask(world, router.operation("GetCACert")), b"content-type") == b"application/x-x509-ca-ra-cert"
    message, _ = talk(world, router, router.enroll(PASSWORD))
    assert message.pki_status is PKIStatus.PENDING
    approve(world)
    message, data = talk(world, router, router.poll())
    assert message.pki_status is PKIStatus.SUCCESS
    certificate = x509.load_der_x509_certificate(data.certificates_der[0])
    assert names_of(certificate) == [x509.DNSName("r1.example.org")]
    asked = IssuerAndSerialNumber(issuer_name(world), certificate.serial_number)
    _, data = talk(world, router, router.ask(MessageType.GET_CRL, asked))
    [crl_der] = data.crls_der
    assert x509.load_der_x509_crl(crl_der).issuer == certificate.issuer


@pytest.mark.parametrize("switches", [{}, {"allow_sha1": True, "allow_des3": True, "allow_des": True}])
def test_a_router_that_knows_md5_alone_is_told_so(switches: dict[str, bool]) -> None:
    """No switch lets MD5 in."""
    world = World(**switches)
    router = cisco(rsa_key(1), world.authority.certificate, issuer_name(world), is_old=True)
    message = decode(ask(world, router.enroll(PASSWORD)).body).message
    assert (message.fail_info, message.fail_info_text) == (
        FailInfo.BAD_ALG,
        "the hash 1.2.840.113549.2.5 is not known",
    )
    assert world.certificate_count == 0


def test_windows_enrolls_and_renews() -> None:
    """Names in BMPString, attributes that are not known here, a path that ends as that of NDES."""
    world = World(service={"renewal_without_challenge": True})
    machine = windows(rsa_key(1), world.authority.certificate)
    first = enroll(world, machine)
    [name] = first.subject
    assert name.value == "Jürgens Rechner"
    purposes = first.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [purpose.dotted_string for purpose in purposes] == ["1.3.6.1.5.5.7.3.2"]
    renewal = windows(rsa_key(2), world.authority.certificate, replaces=(rsa_key(1), first))
    second = enroll(world, renewal, challenge=None)
    assert (second.subject, second.public_key()) == (first.subject, rsa_key(2).public_key())
    assert second.serial_number != first.serial_number


def test_a_connector_may_hand_on_requests_where_that_is_allowed() -> None:
    """Its own key signs, and opens the answer; the one of the request never leaves the Chromebook."""
    world = World()
    connector = chromeos(rsa_key(1), world.authority.certificate, rsa_key(2))
    message, _ = talk(world, connector, connector.enroll(PASSWORD))
    assert (message.fail_info, message.fail_info_text) == (
        FailInfo.BAD_MESSAGE_CHECK,
        "the message is signed with another key than that of its request",
    )
    world = World(service={"signed_by_others": True})
    connector = chromeos(rsa_key(1), world.authority.certificate, rsa_key(2))
    assert enroll(world, connector).public_key() == rsa_key(1).public_key()
    other = chromeos(rsa_key(3), world.authority.certificate, rsa_key(2))
    message, _ = talk(world, other, other.enroll("guessed"))
    assert message.fail_info is FailInfo.BAD_MESSAGE_CHECK
    assert world.certificate_count == 1
