"""What a request's token may be, and who has to have signed it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.certificates import Certificates
from cspd.authority.values import CAReference, EnrollmentRequest, Requester, RevocationReason, RevocationRequest
from cspd.directory.values import NameFlag, PrivateKeyFlag
from cspd.refusals import BadProofOfPossession, Malformed, Rejected
from cspd.x509 import tlv
from cspd.x509.cmc.messages import RegInfo, UnknownControl
from cspd.x509.names import parse_name
from protocols.wstep import microsoft
from protocols.wstep.messages import Caller
from protocols.wstep.renewal import Renewals
from protocols.wstep.tokens import ARCHIVED_KEY, RENEWAL_CERTIFICATE, read_token
from tests.protocols.wstep.accounts import ALICE, key_usage, template
from tests.protocols.wstep.cms_client import SigningCertificate, cmc, cms, pkcs7, self_signed
from tests.protocols.wstep.world import STATIC, World
from tests.support.running import result_of

SUBJECT = NameFlag.SUBJECT_REQUIRE_COMMON_NAME | NameFlag.SUBJECT_ALT_REQUIRE_UPN


@pytest.fixture
def world() -> World:
    world = World()
    world.directory.known_templates = [template(SUBJECT)]
    return world


def renewal(world: World, old: SigningCertificate, **how: object) -> bytes:
    """A PKCS #10 with the old certificate in it."""
    new_key = ec.generate_private_key(ec.SECP256R1())
    attributes = [(RENEWAL_CERTIFICATE, old.certificate_der)]
    return world.csr(attributes=attributes, key=how.pop("key", new_key), **how)  # type: ignore[arg-type]


def issued(world: World) -> SigningCertificate:
    return SigningCertificate(world.key, world.issue().certificate.public_bytes(Encoding.DER))


@pytest.mark.requirement("R-CEG-142")
@pytest.mark.requirement("R-CEGI-039")
def test_a_renewal_is_signed_with_the_old_key(world: World) -> None:
    old = issued(world)
    by_pkcs7 = world.issue(pkcs7(renewal(world, old), old)).certificate
    by_cmc = world.issue(cmc(renewal(world, old), signers=(old,))).certificate
    with_same_key = world.issue(pkcs7(renewal(world, old, key=world.key), old)).certificate
    for each in (by_pkcs7, by_cmc, with_same_key):
        assert each.subject == parse_name("CN=Alice Adams")


@pytest.mark.requirement("R-CEGI-039")
def test_a_renewal_may_take_over_the_names(world: World) -> None:
    world.directory.known_templates = [template(NameFlag.ENROLLEE_SUPPLIES_SUBJECT)]
    old = SigningCertificate(
        world.key, world.issue(world.csr(subject="CN=alice")).certificate.public_bytes(Encoding.DER)
    )
    keeps = NameFlag.ENROLLEE_SUPPLIES_SUBJECT | NameFlag.OLD_CERT_SUPPLIES_SUBJECT_AND_ALT_NAME
    world.directory.known_templates = [template(keeps)]
    assert world.issue(pkcs7(renewal(world, old), old)).certificate.subject == parse_name("CN=alice")


def test_a_renewal_keeps_its_key_where_the_template_says_so(world: World) -> None:
    world.directory.known_templates = [template(SUBJECT, private_key_flags=PrivateKeyFlag.REQUIRE_SAME_KEY_RENEWAL)]
    old = issued(world)
    refused = world.issue(pkcs7(renewal(world, old), old))
    assert refused.error_code == 0x8009400E
    assert refused.fault[2] == "the certificate template Staff wants renewals to keep their key"
    assert world.issue(pkcs7(renewal(world, old, key=world.key), old)).certificate


@pytest.mark.requirement("R-CEGI-024")
def test_a_renewal_needs_a_password_too(world: World) -> None:
    old = issued(world)
    assert world.issue(pkcs7(renewal(world, old), old), user=None).fault[1] == "FailedAuthentication"


def test_only_the_own_certificate_is_renewed(world: World) -> None:
    old = issued(world)
    token = pkcs7(renewal(world, old), old)
    bob = replace(ALICE, account_name="bob", sid="S-1-5-21-1-2-3-1009", common_name="Bob")
    world.directory.accounts["bob"] = bob
    refused = world.issue(token, user=("bob", " pass word "))
    assert refused.error_code == 0x8009400E
    assert "another account" in (refused.fault[2] or "")
    # Nor by who gets the name of an account that is gone.
    world.directory.accounts["alice"] = replace(ALICE, sid="S-1-5-21-1-2-3-1010")
    assert world.issue(token).error_code == 0x8009400E


def test_a_static_user_renews_its_own(world: World) -> None:
    request = {"template_oid": None, "usage": key_usage("digital_signature")}
    first = world.issue(world.csr(**request), user=STATIC)  # type: ignore[arg-type]
    old = SigningCertificate(world.key, first.certificate.public_bytes(Encoding.DER))
    token = pkcs7(renewal(world, old, **request), old)
    assert world.issue(token, user=STATIC).certificate.subject == first.certificate.subject
    assert world.issue(token, user=("device", "other")).error_code == 0x8009400E


def test_certificates_of_others_are_not_renewed(world: World) -> None:
    foreign = self_signed(ec.generate_private_key(ec.SECP256R1()))
    refused = world.issue(pkcs7(renewal(world, foreign), foreign))
    assert refused.error_code == 0x8009400E
    assert "not issued here" in (refused.fault[2] or "")


def test_a_revoked_certificate_is_not_renewed(world: World) -> None:
    old = issued(world)
    serial = x509.load_der_x509_certificate(old.certificate_der).serial_number
    result_of(
        world.house.revocation.revoke(
            RevocationRequest(
                ca=CAReference("demo", "issuing"),
                serial=serial,
                reason=RevocationReason.KEY_COMPROMISE,
                requester=Requester(protocol="test", identity="x"),
            )
        )
    )
    assert "revoked" in (world.issue(pkcs7(renewal(world, old), old)).fault[2] or "")


def test_an_expired_certificate_is_not_renewed(world: World) -> None:
    old = issued(world)
    end = x509.load_der_x509_certificate(old.certificate_der).not_valid_after_utc
    world.house.clock.advance(end - world.house.clock.now())
    assert "expired" in (world.issue(pkcs7(renewal(world, old), old)).fault[2] or "")


def test_a_renewal_that_the_old_key_has_not_signed_is_refused(world: World) -> None:
    old = issued(world)
    new_key = ec.generate_private_key(ec.SECP256R1())
    csr_der = renewal(world, old, key=new_key)
    for token in (csr_der, pkcs7(csr_der, self_signed(new_key))):
        with pytest.raises(Rejected) as refusal:
            read_token(token)
        assert refusal.value.refusal_code == "bad-renewal-certificate"
    with pytest.raises(BadProofOfPossession):
        read_token(pkcs7(csr_der, replace(old, key=new_key)))
    with pytest.raises(BadProofOfPossession):
        read_token(pkcs7(csr_der, old, broken=True))
    with pytest.raises(BadProofOfPossession):
        read_token(pkcs7(csr_der))


@pytest.mark.parametrize("value", [b"", tlv.NULL, tlv.sequence(tlv.integer(1)), tlv.integer(1) + tlv.NULL])
def test_an_attribute_without_a_certificate_is_refused(world: World, value: bytes) -> None:
    answer = world.issue(pkcs7(world.csr(attributes=[(RENEWAL_CERTIFICATE, value)]), self_signed(world.key)))
    assert answer.error_code == 0x8009400E


def test_new_requests_may_come_in_cms_and_cmc(world: World) -> None:
    own = self_signed(world.key)
    assert world.issue(pkcs7(world.csr(), own)).certificate
    assert world.issue(cmc(world.csr(), signers=(own,))).certificate


@pytest.mark.requirement("R-CEG-142")
@pytest.mark.requirement("R-CEGI-037")
def test_enrollment_on_behalf_of_others_is_refused(world: World) -> None:
    agent = self_signed(ec.generate_private_key(ec.SECP256R1()), "CN=agent")
    own = self_signed(world.key)
    old = issued(world)
    csr_der = world.csr()
    for token in (
        pkcs7(csr_der, agent),
        pkcs7(csr_der, own, agent),
        cmc(csr_der, signers=(own, agent)),
        cmc(csr_der, signers=(own,), controls=(RegInfo(b"requestername=EXAMPLE%5cbob&"),)),
        pkcs7(renewal(world, old), old, agent),
    ):
        answer = world.issue(token)
        assert answer.fault == ("Receiver", "RequestFailed", "enrollment on behalf of others is not supported")
        assert (answer.error_code, answer.text("w:InvalidRequest")) == (0x80094014, "true")


@pytest.mark.requirement("R-CEG-142")
@pytest.mark.requirement("R-CEGI-037")
def test_archival_and_attestation_are_refused(world: World) -> None:
    own = self_signed(world.key)
    archived = tlv.sequence(
        tlv.integer(0), tlv.sequence(tlv.integer(1)), tlv.element(tlv.SET, tlv.object_identifier(ARCHIVED_KEY))
    )
    attested = archived.replace(tlv.object_identifier(ARCHIVED_KEY), tlv.object_identifier("1.3.6.1.4.1.311.21.24"))
    for token, what in (
        (world.csr(attributes=[(ARCHIVED_KEY, tlv.NULL)]), "archival of the private key"),
        (pkcs7(world.csr(), replace(own, unsigned=((ARCHIVED_KEY, tlv.NULL),))), "archival of the private key"),
        (
            cmc(world.csr(), signers=(own,), controls=(UnknownControl("1.3.6.1.4.1.311.10.10.1", (archived,)),)),
            "archival of the private key",
        ),
        (
            cmc(world.csr(), signers=(own,), controls=(UnknownControl("1.3.6.1.4.1.311.10.10.1", (attested,)),)),
            "attestation of the key",
        ),
        (world.csr(attributes=[("1.3.6.1.4.1.311.21.24", tlv.NULL)]), "attestation of the key"),
    ):
        assert world.issue(token).fault[2] == f"{what} is not supported"


@pytest.mark.requirement("R-CEGI-037")
def test_the_alternate_signature_format_is_refused(world: World) -> None:
    key = rsa.generate_private_key(65537, 2048)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    csr = builder.sign(key, hashes.SHA256(), rsa_padding=pss)
    assert "alternate signature format" in (world.issue(csr.public_bytes(Encoding.DER)).fault[2] or "")


def test_what_is_no_request_is_refused(world: World) -> None:
    own = self_signed(world.key)
    csr_der = world.csr()
    for token in (
        b"",
        b"\x30",
        b"\x04\x00",
        b"\x30\x00",
        csr_der[:-1],
        csr_der + b"\0",
        pkcs7(b"no request", own),
        cms("1.2.3.4", csr_der, own),
        cmc(signers=(own,)),
        cmc(csr_der, csr_der, signers=(own,)),
    ):
        with pytest.raises((Malformed, BadProofOfPossession)):
            read_token(token)


def test_a_request_must_prove_possession(world: World) -> None:
    csr_der = bytearray(world.csr())
    csr_der[-1] ^= 1
    answer = world.issue(bytes(csr_der))
    assert answer.fault[:2] == ("Sender", "InvalidRequest")
    assert answer.error_code == 0x80090006


def test_a_certificate_of_another_protocol_is_not_renewed(world: World) -> None:
    """Its host names would count as the account's own."""
    sid = microsoft.security_identifier_uri(ALICE.sid)
    csr_der = world.csr(subject="CN=x", template_oid=None, names=[sid, x509.DNSName("dc1.example.com")])
    enrolled = world.house.issuance.enroll(
        EnrollmentRequest(
            ca=CAReference("demo", "issuing"),
            profile="tls-client",
            requester=Requester(protocol="est", identity="x"),
            csr_der=csr_der,
        )
    )
    old = SigningCertificate(world.key, result_of(enrolled).certificate_der)
    assert "another account" in (world.issue(pkcs7(renewal(world, old), old)).fault[2] or "")


def test_a_certificate_of_another_ca_is_not_renewed(world: World) -> None:
    certificate = world.issue().certificate
    renewals = Renewals(clock=world.house.clock, certificates=Certificates(world.house.database))
    other = replace(world.authority(), id="f" * 32)
    caller = Caller(who=ALICE, directory=world.directory)
    assert result_of(renewals.find(certificate, world.authority(), caller)).names.subject == certificate.subject
    with pytest.raises(Rejected, match="of another CA"):
        result_of(renewals.find(certificate, other, caller))
