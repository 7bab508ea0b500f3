"""What is wrong with a request, and the exact answer: a status of HTTP, or a CertRep with failInfo and its text.

All rows go through the service as the daemon assembles it; nothing is issued.
"""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.x509.cms.content_encryption import ContentCipher
from protocols.scep.codec import decode
from protocols.scep.limits import DEFAULT_LIMITS
from protocols.scep.messages import (
    CertsOnly,
    FailInfo,
    IssuerAndSerialNumber,
    IssuerAndSubject,
    MessageType,
    PKIStatus,
)
from tests.protocols.scep import bad_messages as bad
from tests.protocols.scep.vectors import indefinite
from tests.protocols.scep.world import OTHER_PROFILE, PATH, World, rsa_key
from tests.support.authorities import ISSUING
from tests.support.cms_dialects import PRINTABLE_STRING, text
from tests.support.scep_client import ScepClient

Refusal = tuple[FailInfo, str]

OPERATION = "operation=PKIOperation"
NO_MESSAGE = "There is no pkiMessage in it: "
ATTRIBUTE_IS_MISSING = f"{NO_MESSAGE}without messageType, transactionID or senderNonce"
OPERATIONS = "operation: one of GetCACaps, GetCACert, GetNextCACert, PKIOperation"
NOT_THERE = "there is no such tenant, CA or profile here"


@pytest.fixture
def world() -> World:
    return World()


def refusal(world: World, device: ScepClient, message_der: bytes, path: str = PATH) -> tuple[object, object]:
    """failInfo and text of the CertRep, which belongs to the message and gives nothing."""
    message, data = device.read(world.send(message_der, path=path))
    sent = decode(message_der).message
    assert (message.pki_status, data, message.pkcs_pki_envelope) == (PKIStatus.FAILURE, None, None)
    assert (message.transaction_id, message.recipient_nonce) == (sent.transaction_id, sent.sender_nonce)
    return message.fail_info, message.fail_info_text


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request of HTTP, the status it gets, and how the text begins."""

    status: int
    says: str
    query: str = OPERATION
    body: bytes | None = None
    method: str = ""
    path: str = PATH


ASKED = {
    "no operation": Asked(query="", status=400, says=OPERATIONS),
    "an unknown operation": Asked(query="operation=GetSecrets", status=400, says=OPERATIONS),
    "a message without operation": Asked(query="message=MIIB", status=400, says=OPERATIONS),
    "no message": Asked(status=400, says=f"{NO_MESSAGE}not a pkiMessage"),
    "an empty message": Asked(query=f"{OPERATION}&message=", status=400, says=f"{NO_MESSAGE}not a pkiMessage"),
    "an empty body": Asked(body=b"", status=400, says=f"{NO_MESSAGE}not a pkiMessage"),
    "garbage for base64": Asked(
        query=f"{OPERATION}&message=%21%22", status=400, says=f"{NO_MESSAGE}the message is not"
    ),
    "base64 of garbage": Asked(query=f"{OPERATION}&message=AAAA", status=400, says=f"{NO_MESSAGE}not a pkiMessage"),
    "garbage for a body": Asked(body=os.urandom(300), status=400, says=f"{NO_MESSAGE}not a pkiMessage"),
    "base64 in a body": Asked(body=b64encode(bytes(300)), status=400, says=f"{NO_MESSAGE}not a pkiMessage"),
    "a body that is too large": Asked(
        body=b"\x30\x83\x01\x00\x00" + bytes(1 << 16), status=400, says=f"{NO_MESSAGE}not a pkiMessage"
    ),
    "a query that is too large": Asked(
        query=f"{OPERATION}&message={'A' * (2 * DEFAULT_LIMITS.message_octets + 1)}",
        status=400,
        says=f"{NO_MESSAGE}a message of more than 65536 octets",
    ),
    "no messageType": Asked(body=bad.signed_only(message_type=None), status=400, says=ATTRIBUTE_IS_MISSING),
    "no transactionID": Asked(body=bad.signed_only(transaction_id=None), status=400, says=ATTRIBUTE_IS_MISSING),
    "no senderNonce": Asked(body=bad.signed_only(sender_nonce=None), status=400, says=ATTRIBUTE_IS_MISSING),
    "no envelope": Asked(body=bad.signed_only(), status=400, says=f"{NO_MESSAGE}not a pkiMessage: no pkcsPKIEnvelope"),
    "an unknown messageType": Asked(
        body=bad.signed_only(message_type=text(PRINTABLE_STRING, "99")),
        status=400,
        says=f"{NO_MESSAGE}a MessageType of '99'",
    ),
    "a messageType that is no number": Asked(
        body=bad.signed_only(message_type=text(PRINTABLE_STRING, "x")), status=400, says=f"{NO_MESSAGE}a MessageType of"
    ),
    "GetCACert with a body": Asked(query="operation=GetCACert", body=b"x", status=405, says="GetCACert is for GET."),
    "PKIOperation by HEAD": Asked(method="HEAD", status=405, says="PKIOperation is for GET and POST."),
    "a tenant in capitals": Asked(path=PATH.replace("/demo/", "/Demo/"), status=404, says=NOT_THERE),
    "an unknown CA": Asked(path=PATH.replace("~issuing", "~other"), status=404, says=NOT_THERE),
    "an unknown profile": Asked(path=PATH.replace("-signature", "-nothing"), status=404, says=NOT_THERE),
    "a profile with underscores": Asked(path=PATH.replace("-", "_"), status=404, says=NOT_THERE),
    "an Intune that is not there": Asked(path=f"{PATH}intune/", status=404, says="nothing is served here"),
    "an MDM that is not there": Asked(path="/scep/demo/phones/mdm", status=404, says="nothing is served here"),
}


@pytest.mark.requirement("R-CEG-016")
@pytest.mark.requirement("R-CEGI-001")
@pytest.mark.requirement("R-CEGI-004")
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_what_cannot_be_answered_gets_a_status(asked: Asked, world: World) -> None:
    response = world.ask(asked.query, asked.body, method=asked.method, path=asked.path)
    assert (response.status, response.body.decode()[: len(asked.says)]) == (asked.status, asked.says)
    assert world.certificate_count == 0


def test_the_server_takes_no_body_that_is_larger_than_a_message(world: World) -> None:
    assert world.router.resolve("POST", PATH).route.max_body_bytes == DEFAULT_LIMITS.message_octets


SOMEBODY_ELSE = (FailInfo.BAD_MESSAGE_CHECK, "the message is enveloped for somebody else")
DOES_NOT_FIT = (FailInfo.BAD_MESSAGE_CHECK, "the signature of the message does not fit")
ANOTHER_CA = (FailInfo.BAD_MESSAGE_CHECK, "the message is signed with a certificate of another CA")
UNREADABLE = (FailInfo.BAD_MESSAGE_CHECK, "the pkcsPKIEnvelope cannot be read")
SHA_1 = (FailInfo.BAD_ALG, "SHA-1 is not allowed here")

REFUSED: dict[str, tuple[bad.Made, Refusal]] = {
    "enveloped for another key": (bad.for_another_key, SOMEBODY_ELSE),
    "enveloped for another certificate": (bad.for_another_certificate, SOMEBODY_ELSE),
    "changed signature": (bad.changed_signature, DOES_NOT_FIT),
    "changed content": (bad.changed_content, DOES_NOT_FIT),
    "changed transactionID": (bad.changed_attribute, DOES_NOT_FIT),
    "signed with MD5": (bad.in_dialect(digest="md5"), (FailInfo.BAD_ALG, "the hash 1.2.840.113549.2.5 is not known")),
    "signed with SHA-1": (bad.in_dialect(digest="sha1"), SHA_1),
    "encrypted with DES": (
        bad.in_dialect(cipher=ContentCipher.DES_CBC),
        (FailInfo.BAD_ALG, "DES_CBC is not allowed here"),
    ),
    "encrypted with Triple DES": (
        bad.in_dialect(cipher=ContentCipher.DES_EDE3_CBC),
        (FailInfo.BAD_ALG, "DES_EDE3_CBC is not allowed here"),
    ),
    "request signed with MD5": (bad.request_signed_with("md5"), UNREADABLE),
    "request signed with SHA-1": (
        bad.request_signed_with("sha1"),
        (FailInfo.BAD_ALG, "a request that is signed with SHA-1 is not allowed here"),
    ),
    "RSA of 1024 bits": (
        bad.short_key,
        (
            FailInfo.BAD_ALG,
            (
                "profile scep-digital-signature does not take a key of type rsa-1024, but: "
                "ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096"
            ),
        ),
    ),
    "signed with another key than that of the request": (
        bad.another_key,
        (FailInfo.BAD_MESSAGE_CHECK, "the message is signed with another key than that of its request"),
    ),
    "signed with a certificate of somebody": (bad.certificate_of_somebody, ANOTHER_CA),
    "signed with a certificate of the root": (bad.certificate_of_the_root, ANOTHER_CA),
    "RenewalReq of who has no certificate": (
        bad.renewal_without_certificate,
        (FailInfo.BAD_REQUEST, "a RenewalReq is signed with the certificate that is to be renewed"),
    ),
    "UpdateReq of who has no certificate": (
        bad.update_without_certificate,
        (FailInfo.BAD_REQUEST, "a UpdateReq is signed with the certificate that is to be renewed"),
    ),
    "CertRep": (bad.answer, (FailInfo.BAD_REQUEST, "a CertRep is no request")),
    "no challengePassword": (
        lambda world, device: device.enrollment(world.csr(password=None)),
        (FailInfo.BAD_MESSAGE_CHECK, "the challengePassword is wrong"),
    ),
    "a wrong challengePassword": (
        lambda world, device: device.enrollment(world.csr(password="wrong")),
        (FailInfo.BAD_MESSAGE_CHECK, "the challengePassword is wrong"),
    ),
    "an empty subject and no name": (
        lambda world, device: device.enrollment(bad.certification_request(bad.name(), [bad.CHALLENGE], rsa_key(1))),
        (FailInfo.BAD_REQUEST, "the request names nobody: subject and subject alternative names are empty"),
    ),
    "GetCert of a number that was not given": (
        lambda world, device: device.ask(MessageType.GET_CERT, IssuerAndSerialNumber(bad.issuer_name(world), 4711)),
        (FailInfo.BAD_CERT_ID, "the CA has not issued such a certificate"),
    ),
    "GetCert of another CA": (
        lambda world, device: device.ask(MessageType.GET_CERT, IssuerAndSerialNumber(bad.SUBJECT, 4711)),
        (FailInfo.BAD_CERT_ID, "the issuer is another CA"),
    ),
    "GetCRL of another CA": (
        lambda world, device: device.ask(MessageType.GET_CRL, IssuerAndSerialNumber(bad.SUBJECT, 4711)),
        (FailInfo.BAD_CERT_ID, "the issuer is another CA"),
    ),
    "CertPoll for nothing": (
        lambda world, device: device.ask(MessageType.CERT_POLL, IssuerAndSubject(bad.issuer_name(world), bad.SUBJECT)),
        (FailInfo.BAD_CERT_ID, "there is no such request of yours"),
    ),
}


@pytest.mark.requirement("R-CEG-062")
@pytest.mark.parametrize(("made", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_a_message_has_a_failinfo(made: bad.Made, expected: Refusal, world: World) -> None:
    device = world.device()
    assert refusal(world, device, made(world, device)) == expected
    assert world.certificate_count == 0


@pytest.mark.requirement("R-CEGI-097")
def test_an_expired_certificate_signs_nothing(world: World) -> None:
    device = world.enrolled()
    world.house.clock.advance(timedelta(days=366))
    for message_type in (MessageType.PKCS_REQ, MessageType.RENEWAL_REQ):
        assert refusal(world, device, device.enrollment(world.csr("another"), message_type)) == (
            FailInfo.BAD_MESSAGE_CHECK,
            "the certificate that the message is signed with has expired",
        )
    assert world.certificate_count == 1


@pytest.mark.requirement("R-CEGI-097")
def test_a_revoked_certificate_signs_nothing(world: World) -> None:
    device = world.enrolled()
    world.house.revoke(world.house.get(ISSUING), device.certificate.serial_number)
    for message_type in (MessageType.PKCS_REQ, MessageType.RENEWAL_REQ):
        fail_info, _ = refusal(world, device, device.enrollment(world.csr("another"), message_type))
        assert fail_info is FailInfo.BAD_MESSAGE_CHECK
    assert world.certificate_count == 1


def test_a_certificate_is_renewed_for_its_own_names_and_profile_alone(world: World) -> None:
    device = world.enrolled()
    expected = (
        FailInfo.BAD_REQUEST,
        "subject, names or profile are not those of the certificate that is to be renewed",
    )
    other_name = device.enrollment(world.csr("another"), MessageType.RENEWAL_REQ)
    assert refusal(world, device, other_name) == expected
    other_profile = PATH.replace("scep-digital-signature", OTHER_PROFILE)
    assert refusal(world, device, device.enrollment(world.csr(), MessageType.RENEWAL_REQ), other_profile) == expected
    assert world.certificate_count == 1


def test_the_transaction_of_somebody_else_is_no_way_to_a_certificate(world: World) -> None:
    """The same transactionID and nonce, another key."""
    attributes = {**bad.ATTRIBUTES}
    first, second = (bad.signed_with(attributes, world, number) for number in (1, 2))
    device, thief = world.device(), world.device(key=2)
    message, _ = device.read(world.send(first))
    assert message.pki_status is PKIStatus.SUCCESS
    expected = (FailInfo.BAD_REQUEST, "the transactionID belongs to another request")
    assert refusal(world, thief, second) == expected
    assert world.certificate_count == 1


@pytest.mark.requirement("R-CEG-071")
def test_a_message_that_is_sent_again_changes_nothing(world: World) -> None:
    device = world.device()
    message_der = device.enrollment(world.csr())
    first, again = (device.read(world.send(message_der)) for _ in range(2))
    assert isinstance(first[1], CertsOnly)
    assert first[1] == again[1]
    assert world.certificate_count == 1


def test_a_signing_time_of_another_day_is_refused_where_time_counts() -> None:
    world = World(time_tolerance="1h")
    device = world.device()
    message_der = bad.signed_at(world.house.clock.now() - timedelta(days=1), world)
    expected = (FailInfo.BAD_TIME, "signingTime is too far from the time here")
    assert refusal(world, device, message_der) == expected
    assert world.certificate_count == 0


def test_what_clients_do_to_base64_is_undone(world: World) -> None:
    """A ``+`` that became a blank, lines, no ``=``, or nothing but what has to be escaped."""
    device = world.device()
    answers = set()
    for write in bad.IN_QUERIES.values():
        response = world.ask(write(device.enrollment(world.csr())))
        assert response.status == 200
        _, data = device.read(response.body)
        answers.add(data)
    assert len(answers) == 1


def test_ber_is_as_good_as_der(world: World) -> None:
    device = world.device()
    message, _ = device.read(world.send(indefinite(device.enrollment(world.csr()))))
    assert message.pki_status is PKIStatus.SUCCESS


def test_whoever_asks_is_told_of_certificates_and_crls(world: World) -> None:
    device = world.enrolled()
    asked = IssuerAndSerialNumber(bad.issuer_name(world), device.certificate.serial_number)
    _, certificate = world.answer(device, device.ask(MessageType.GET_CERT, asked))
    assert certificate == CertsOnly((device.certificate.public_bytes(Encoding.DER),))
    _, crl = world.answer(device, device.ask(MessageType.GET_CRL, asked))
    assert isinstance(crl, CertsOnly)
    assert len(crl.crls_der) == 1
