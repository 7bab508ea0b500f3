"""ccr: who may have a CA certified, and what is answered (RFC 9810, 5.3.11, D.6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cspd.authentication.secrets import EnrollmentSecret, EnrollmentSecrets
from cspd.authority.certificates import Certificates
from cspd.authority.values import CAReference
from cspd.keys.encryption import MasterKey
from cspd.x509.crmf.encoding import encode_cert_request, encode_poposk_input
from cspd.x509.crmf.messages import (
    CertReqMsg,
    CertRequest,
    CertTemplate,
    Extension,
    KeyEncipherment,
    OptionalValidity,
    POPOSigningKey,
    POPOSigningKeyInput,
    RAVerified,
    SubsequentMessage,
)
from cspd.x509.signatures import Algorithm
from protocols.cmp.cross_certification import CrossCertificationService
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.messages import CertReqContent, CertResponse
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from tests.protocols.cmp.vectors import certificate
from tests.support.authorities import ALICE, ISSUING, ROOT, Installation, named
from tests.support.running import result_of

PROFILE = "azure-firewall-ca-subord"
TERMS = Terms(ca=ROOT, profile=PROFILE)
ECDSA = Algorithm("1.2.840.10045.4.3.2")
REGISTRATION_AUTHORITY = Sender(
    identity="CN=registration", protection=ProtectionKind.SIGNATURE, is_registration_authority=True
)
HOLDER = Sender(identity="CN=client", protection=ProtectionKind.SIGNATURE, certificate=certificate())


class World:
    """A root that certifies CAs elsewhere, and such a CA."""

    def __init__(self) -> None:
        self.house = house = Installation()
        self.root, _ = house.make_hierarchy(profiles=("tls-server",))
        self.secrets = EnrollmentSecrets(
            clock=house.clock,
            random=Random(1),
            database=house.database,
            audit=house.audit,
            master_key=MasterKey(b"m" * 32, Random(2).randbytes),
        )
        self.service = CrossCertificationService(
            authorities=house.registry, issuance=house.issuance, profiles=house.profiles, secrets=self.secrets
        )
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.public_key_der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def template(self, **fields: Any) -> CertTemplate:
        values = {"subject": named("CA elsewhere"), "public_key_der": self.public_key_der, **fields}
        return CertTemplate(**values)

    def request(self, **fields: Any) -> CertReqMsg:
        """Signed by the key of the CA elsewhere."""
        request = CertRequest(cert_req_id=7, cert_template=self.template(**fields))
        signature = self.key.sign(encode_cert_request(request), ec.ECDSA(hashes.SHA256()))
        return CertReqMsg(cert_req=request, popo=POPOSigningKey(None, ECDSA, signature))

    def secret(self, profile: str | None = PROFILE, **terms: Any) -> EnrollmentSecret:
        return result_of(
            self.secrets.create(
                purpose="cmp", identity="partner", lifetime=timedelta(days=1), by=ALICE, profile=profile, **terms
            )
        ).terms

    def ask(self, *requests: CertReqMsg, sender: Sender = REGISTRATION_AUTHORITY, terms: Terms = TERMS) -> CertResponse:
        content = CertReqContent(requests or (self.request(),))
        message = result_of(self.service.answer(content, sender, terms, request_id="r-5"))
        assert message.ca_pubs_der == ()
        [response] = message.response
        return response

    def refusal(self, *requests: CertReqMsg, **values: Any) -> PKIFailureInfo:
        response = self.ask(*requests, **values)
        assert response.certified_key_pair is None
        assert response.cert_req_id == 7
        assert response.status.status is PKIStatus.REJECTION
        assert response.status.status_string
        [fail_info] = response.status.fail_info
        return fail_info


@pytest.fixture
def world() -> World:
    return World()


def issued(response: CertResponse) -> x509.Certificate:
    assert response.certified_key_pair is not None, response.status
    return x509.load_der_x509_certificate(response.certified_key_pair.certificate_der)


def by_secret(secret: EnrollmentSecret) -> Sender:
    return Sender(identity=secret.identity, protection=ProtectionKind.MAC, secret=secret)


def test_a_registration_authority_has_a_ca_certified(world: World) -> None:
    response = world.ask()
    assert (response.cert_req_id, response.status.status) == (7, PKIStatus.ACCEPTED)
    cross = issued(response)
    assert world.root.certificate is not None
    cross.verify_directly_issued_by(world.root.certificate)
    assert cross.public_key() == world.key.public_key()
    assert cross.subject == named("CA elsewhere")
    assert cross.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    record = result_of(Certificates(world.house.database).find(world.root.id, cross.serial_number))
    assert (record.protocol, record.requester, record.profile) == ("cmp", "CN=registration", PROFILE)


@pytest.mark.parametrize("issuer", ["root of demo", None])
def test_the_issuer_may_be_named_or_left_to_us(world: World, issuer: str | None) -> None:
    name = x509.Name([]) if issuer is None else named(issuer)
    assert world.ask(world.request(issuer=name)).status.status is PKIStatus.ACCEPTED


def test_another_issuer_is_another_authority(world: World) -> None:
    assert world.refusal(world.request(issuer=named("another"))) is PKIFailureInfo.WRONG_AUTHORITY


def test_a_secret_that_was_made_for_the_profile_has_a_ca_certified_once(world: World) -> None:
    sender = by_secret(world.secret())
    assert world.ask(sender=sender).status.status is PKIStatus.ACCEPTED
    assert world.refusal(sender=sender) is PKIFailureInfo.BAD_REQUEST


@pytest.mark.parametrize("profile", [None, "tls-server"])
def test_a_secret_for_any_or_another_profile_certifies_no_ca(world: World, profile: str | None) -> None:
    assert world.refusal(sender=by_secret(world.secret(profile))) is PKIFailureInfo.NOT_AUTHORIZED


def test_a_certificate_lets_nobody_become_a_ca(world: World) -> None:
    assert world.refusal(sender=HOLDER) is PKIFailureInfo.NOT_AUTHORIZED
    assert world.refusal(sender=replace(HOLDER, by_vendor=True)) is PKIFailureInfo.NOT_AUTHORIZED


@pytest.mark.parametrize(
    "terms",
    [
        Terms(ca=ISSUING, profile="tls-server"),
        Terms(ca=ROOT, profile="basic-ca-subord"),
        Terms(ca=ROOT, profile="unknown"),
        replace(TERMS, ca=ISSUING),
        replace(TERMS, approval=True),
    ],
)
def test_a_path_that_makes_no_ca_certificates(world: World, terms: Terms) -> None:
    assert world.refusal(terms=terms) is PKIFailureInfo.NOT_AUTHORIZED


def test_an_unknown_ca(world: World) -> None:
    assert world.refusal(terms=replace(TERMS, ca=CAReference("demo", "nobody"))) is PKIFailureInfo.BAD_CERT_ID


def test_a_registration_authority_may_vouch_for_the_possession(world: World) -> None:
    vouched = replace(world.request(), popo=RAVerified())
    assert world.ask(vouched).status.status is PKIStatus.ACCEPTED
    assert world.refusal(vouched, sender=by_secret(world.secret())) is PKIFailureInfo.BAD_POP


@pytest.mark.parametrize("popo", [None, KeyEncipherment(SubsequentMessage.ENCR_CERT)])
def test_the_key_has_to_sign(world: World, popo: Any) -> None:
    assert world.refusal(replace(world.request(), popo=popo)) is PKIFailureInfo.BAD_POP


def test_a_signature_of_something_else_is_no_proof(world: World) -> None:
    another = world.request(subject=named("another"))
    assert world.refusal(replace(world.request(), popo=another.popo)) is PKIFailureInfo.BAD_POP


def test_what_is_signed_may_name_the_registration_authority(world: World) -> None:
    sender = replace(REGISTRATION_AUTHORITY, certificate=certificate())
    for name, expected in (("client", PKIStatus.ACCEPTED), ("another", PKIStatus.REJECTION)):
        signed = POPOSigningKeyInput(x509.DirectoryName(named(name)), world.public_key_der)
        signature = world.key.sign(encode_poposk_input(signed), ec.ECDSA(hashes.SHA256()))
        request = replace(world.request(), popo=POPOSigningKey(signed, ECDSA, signature))
        assert world.ask(request, sender=sender).status.status is expected


@pytest.mark.parametrize(
    ("fields", "fail_info"),
    [
        ({"subject": x509.Name([])}, PKIFailureInfo.BAD_CERT_TEMPLATE),
        ({"extensions": (Extension("2.5.29.17", False, b"\x30\x00"),)}, PKIFailureInfo.UNACCEPTED_EXTENSION),
    ],
)
def test_what_the_profile_does_not_allow(world: World, fields: dict[str, Any], fail_info: PKIFailureInfo) -> None:
    assert world.refusal(world.request(**fields)) is fail_info


def test_a_key_that_cannot_be_read(world: World) -> None:
    template = world.template(public_key_der=b"\x30\x00")
    request = replace(world.request(), cert_req=CertRequest(cert_req_id=7, cert_template=template))
    assert world.refusal(request) is PKIFailureInfo.BAD_CERT_TEMPLATE


def test_a_certificate_that_is_not_as_asked_says_so(world: World) -> None:
    dropped = x509.BasicConstraints(ca=True, path_length=None).public_bytes()
    request = world.request(extensions=(Extension("2.5.29.19", True, dropped),))
    assert world.ask(request).status.status is PKIStatus.GRANTED_WITH_MODS
    kept = x509.BasicConstraints(ca=True, path_length=1).public_bytes()
    request = world.request(extensions=(Extension("2.5.29.19", True, kept),))
    assert world.ask(request).status.status is PKIStatus.ACCEPTED


def test_a_validity_as_asked(world: World) -> None:
    end = world.house.clock.now().replace(microsecond=0) + timedelta(days=30)
    response = world.ask(world.request(validity=OptionalValidity(not_after=end)))
    assert response.status.status is PKIStatus.ACCEPTED
    assert issued(response).not_valid_after_utc == end


@pytest.mark.parametrize("count", [0, 2])
def test_a_message_asks_for_one_certificate(world: World, count: int) -> None:
    content = CertReqContent((world.request(),) * count)
    with pytest.raises(PKIMessageRejected) as rejected:
        result_of(world.service.answer(content, REGISTRATION_AUTHORITY, TERMS, request_id=""))
    assert rejected.value.fail_info is PKIFailureInfo.BAD_REQUEST
