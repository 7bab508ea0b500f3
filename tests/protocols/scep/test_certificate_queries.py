"""GetCert and GetCRL (RFC 8894, 3.3.4 and 3.3.5)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509.certificate_fields import fields_of
from protocols.scep.interfaces import Place, Terms
from protocols.scep.messages import CertsOnly, FailInfo, IssuerAndSerialNumber, MessageType, PKIMessage, PKIStatus
from tests.protocols.scep.world import PROFILE, World, header
from tests.support.authorities import ALICE, ISSUING
from tests.support.scep_client import name_of


@pytest.fixture
def world() -> World:
    return World()


def ask(
    world: World, message_type: MessageType, serial: int, issuer: bytes | None = None, path: str = ""
) -> tuple[PKIMessage, Any]:
    device = world.device(key=3)
    certificate_der = world.house.get(ISSUING).certificate_der
    assert certificate_der is not None
    names = IssuerAndSerialNumber(issuer or fields_of(certificate_der).subject, serial)
    return world.answer(device, device.ask(message_type, names), **({"path": path} if path else {}))


@pytest.mark.requirement("R-CEG-061")
def test_a_certificate_is_found_by_its_serial_number(world: World) -> None:
    certificate = world.enrolled().certificate
    message, data = ask(world, MessageType.GET_CERT, certificate.serial_number)
    assert message.pki_status is PKIStatus.SUCCESS
    assert data == CertsOnly((certificate.public_bytes(Encoding.DER),))


def test_what_the_ca_has_not_issued_is_badcertid(world: World) -> None:
    message, _ = ask(world, MessageType.GET_CERT, 4711)
    assert (message.fail_info, message.fail_info_text) == (
        FailInfo.BAD_CERT_ID,
        "the CA has not issued such a certificate",
    )


@pytest.mark.parametrize("message_type", [MessageType.GET_CERT, MessageType.GET_CRL])
def test_another_issuer_is_badcertid(world: World, message_type: MessageType) -> None:
    certificate = world.enrolled().certificate
    message, _ = ask(world, message_type, certificate.serial_number, name_of("another").public_bytes())
    assert (message.fail_info, message.fail_info_text) == (FailInfo.BAD_CERT_ID, "the issuer is another CA")


@pytest.mark.requirement("R-CEG-061", "R-CEG-072")
def test_the_crl_tells_of_a_revoked_certificate(world: World) -> None:
    certificate = world.enrolled().certificate
    authority = world.house.get(ISSUING)
    world.house.revoke(authority, certificate.serial_number)
    _, data = ask(world, MessageType.GET_CRL, certificate.serial_number)
    [crl_der] = data.crls_der
    crl = x509.load_der_x509_crl(crl_der)
    assert crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
    assert authority.certificate is not None
    assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]  # P-256


def test_after_a_new_key_the_crl_is_that_of_the_key_that_signed(world: World) -> None:
    certificate = world.enrolled().certificate
    old = world.house.get(ISSUING)
    world.house.run(world.house.renewal.rekey(ISSUING, ALICE))
    assert world.house.get(ISSUING).key_index == 1
    _, data = ask(world, MessageType.GET_CRL, certificate.serial_number)
    crl = x509.load_der_x509_crl(data.crls_der[0])
    assert old.certificate is not None
    assert crl.is_signature_valid(old.certificate.public_key())  # type: ignore[arg-type]  # P-256


@pytest.mark.requirement("R-CEG-072")
def test_where_crls_are_not_given_the_answer_is_badrequest(world: World) -> None:
    class WithoutCRLs:
        async def find(self, tenant: str, *names: str) -> Place:
            return Place(
                terms=Terms(ca=ISSUING, profile=PROFILE, gives_crls=False),
                authorizer=world.authorizer,
            )

    world = World(shares=world, intune=WithoutCRLs())
    path = f"/scep/demo/demo~issuing/{PROFILE}/intune/"
    message, _ = ask(world, MessageType.GET_CRL, 1, path=path)
    assert message.fail_info is FailInfo.BAD_REQUEST
    assert world.ask("operation=GetNextCACert", path=path).status == 404
    assert header(world.ask("operation=GetCACaps", path=path), b"content-type") == b"text/plain"


def test_a_certrep_is_no_request(world: World) -> None:
    device = world.device()
    message, _ = world.answer(device, world.send(device.enrollment(world.csr())))
    assert (message.fail_info, message.fail_info_text) == (FailInfo.BAD_REQUEST, "a CertRep is no request")
