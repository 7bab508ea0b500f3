"""Certificates by Windows enrollment, from message to message."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cspd.directory.values import EnrollmentFlag, GeneralFlag, NameFlag
from cspd.refusals import Unavailable
from cspd.x509.cmc.codec import decode_pki_response
from cspd.x509.cmc.messages import PKI_RESPONSE, CMCStatus, CMCStatusInfo, UnknownControl
from cspd.x509.cms.signed import certificates_of, find_certificate, read_signed_data, verify_signer
from cspd.x509.names import parse_name
from protocols.wstep import microsoft
from protocols.wstep.microsoft import CERTIFICATE_TEMPLATE, NTDS_CA_SECURITY
from protocols.wstep.request_ids import MAX_REQUEST_ID
from tests.protocols.wstep.accounts import ALICE as ALICE_ACCOUNT
from tests.protocols.wstep.accounts import SERVICE, granted, key_usage, template
from tests.protocols.wstep.world import QUERY, STATIC, World, item

UPN_NAMES = NameFlag.SUBJECT_REQUIRE_COMMON_NAME | NameFlag.SUBJECT_ALT_REQUIRE_UPN
SUPPLY = NameFlag.ENROLLEE_SUPPLIES_SUBJECT
MACHINE_USER = ("EXAMPLE\\WS1$", " pass word ")


@pytest.fixture
def world() -> World:
    world = World()
    world.directory.known_templates = [template(UPN_NAMES)]
    return world


def alt_names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def value_of(certificate: x509.Certificate, oid: str) -> bytes:
    extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid))
    assert not extension.critical
    return extension.value.public_bytes()


@pytest.mark.requirement("R-CEG-010")
def test_a_static_user_gets_a_certificate_of_its_name(world: World) -> None:
    csr_der = world.csr(
        subject="CN=administrator",
        template_oid=None,
        usage=key_usage("digital_signature"),
        names=[x509.DNSName("dc1.example.com")],
    )
    certificate = world.issue(csr_der, user=STATIC).certificate
    assert certificate.subject.rfc4514_string() == "CN=demo@corp.example"
    assert alt_names(certificate) == [microsoft.user_principal_name("demo@corp.example")]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [each.dotted_string for each in usage] == ["1.3.6.1.5.5.7.3.2"]
    plain = world.issue(world.csr(template_oid=None, usage=key_usage("digital_signature")), user=("device", "other"))
    with pytest.raises(x509.ExtensionNotFound):
        alt_names(plain.certificate)


@pytest.mark.requirement("R-CEG-142")
@pytest.mark.requirement("R-CEGI-034")
@pytest.mark.requirement("R-CEGI-040")
def test_a_user_gets_the_names_of_its_account(world: World) -> None:
    csr_der = world.csr(subject="CN=administrator", names=[microsoft.user_principal_name("administrator@example.com")])
    certificate = world.issue(csr_der).certificate
    assert certificate.subject.rfc4514_string() == "CN=Alice Adams"
    assert alt_names(certificate) == [
        microsoft.user_principal_name("alice@example.com"),
        microsoft.security_identifier_uri(ALICE_ACCOUNT.sid),
    ]
    assert value_of(certificate, NTDS_CA_SECURITY) == microsoft.encode_security_identifier(ALICE_ACCOUNT.sid)
    assert value_of(certificate, CERTIFICATE_TEMPLATE) == microsoft.encode_certificate_template(
        "1.3.6.1.4.1.311.21.8.1.2.3", 100, 4
    )


def test_a_machine_gets_its_dns_name(world: World) -> None:
    world.directory.known_templates = [
        template(
            NameFlag.SUBJECT_REQUIRE_DNS_AS_CN | NameFlag.SUBJECT_ALT_REQUIRE_DNS,
            general_flags=GeneralFlag.MACHINE_TYPE,
            security=granted("S-1-5-21-1-2-3-515"),
        )
    ]
    world.directory.services = [replace(SERVICE, security=granted("S-1-5-21-1-2-3-515"))]
    certificate = world.issue(user=MACHINE_USER).certificate
    assert certificate.subject.rfc4514_string() == "CN=ws1.example.com"
    assert alt_names(certificate)[0] == x509.DNSName("ws1.example.com")


@pytest.mark.requirement("R-CEG-146")
def test_the_answer_is_a_full_pki_response_of_the_ca(world: World) -> None:
    answer = world.issue()
    signed = read_signed_data(answer.pkcs7)
    assert signed.content_type == PKI_RESPONSE
    assert signed.content is not None
    [signer] = signed.signers
    ca = find_certificate(signer, certificates_of(signed))
    verify_signer(signer, ca.public_key(), content_type=signed.content_type, content=signed.content)
    answer.certificate.verify_directly_issued_by(ca)
    assert answer.certificate in certificates_of(signed)
    assert len(signed.certificates_der) == 3  # with the root
    status, added = decode_pki_response(signed.content).control_sequence
    assert status.value == CMCStatusInfo(cmc_status=CMCStatus.SUCCESS, body_list=(1,), status_string="Issued")
    assert isinstance(added.value, UnknownControl)
    assert added.value.attr_type == "1.3.6.1.4.1.311.10.10.1"
    assert answer.text("a:Action") == "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RSTRC/wstep"
    assert answer.text("a:RelatesTo") == "urn:uuid:b5d1a601-5091-4a7d-b34b-5204c18b5919"
    assert answer.text("w:DispositionMessage") == "Issued"
    assert 1 <= int(answer.text("w:RequestID") or 0) <= MAX_REQUEST_ID


@pytest.mark.requirement("R-CEG-136")
@pytest.mark.requirement("R-CEGI-031")
def test_a_mapped_template_has_its_profile() -> None:
    world = World(templates={"staff": "wstep-non-repudiation"})
    world.directory.known_templates = [template(UPN_NAMES)]
    usage = world.issue().certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.content_commitment


@pytest.mark.requirement("R-CEG-137")
def test_another_template_has_the_profile_of_its_key_usage(world: World) -> None:
    usage = world.issue().certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment, usage.content_commitment) == (True, True, False)
    one = world.issue(world.csr(usage=key_usage("digital_signature"))).certificate
    assert not one.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment
    refused = world.issue(world.csr(usage=key_usage("key_agreement")))
    assert refused.error_code == 0x80094014
    assert refused.fault[:2] == ("Receiver", "RequestFailed")


@pytest.mark.requirement("R-CEG-141")
@pytest.mark.requirement("R-CEGI-041")
def test_the_parent_is_appended() -> None:
    world = World(parent_dn="ou=Devices,o=Example")
    world.directory.known_templates = [template(UPN_NAMES)]
    assert world.issue().certificate.subject == parse_name("CN=Alice Adams,OU=Devices,O=Example")
    static = world.issue(world.csr(template_oid=None, usage=key_usage("digital_signature")), user=STATIC)
    assert static.certificate.subject == parse_name("CN=demo@corp.example,OU=Devices,O=Example")


@pytest.mark.requirement("R-CEG-144")
def test_the_template_may_stand_beside_the_request(world: World) -> None:
    beside = item("ccm", "ws1.example.com") + item("CertificateTemplate", "Staff")
    assert world.issue(world.csr(template_oid=None), context=beside).certificate
    assert world.directory.asked_domains == ["example.com"]
    assert world.issue(world.csr(template_oid=None)).error_code == 0x80094801
    unknown = world.issue(world.csr(template_oid="1.2.3.4"))
    assert unknown.error_code == 0x80094800
    [event] = world.events("wstep-lookup-failed")
    assert event.actor == "wstep:EXAMPLE\\alice"


@pytest.mark.requirement("R-CEGI-045")
def test_only_who_may_enroll_gets_a_certificate(world: World) -> None:
    world.directory.known_templates = [template(UPN_NAMES, security=granted("S-1-5-21-9"))]
    assert world.issue().error_code == 0x80094012
    world.directory.known_templates = [template(UPN_NAMES)]
    world.directory.services = [replace(SERVICE, security=granted("S-1-5-21-9"))]
    assert world.issue().error_code == 0x80094011
    world.directory.services = [replace(SERVICE, name="Another")]
    assert world.issue().error_code == 0x80094012


def test_a_service_is_known_by_its_certificate_too() -> None:
    world = World(enrollment_services=[])
    world.directory.known_templates = [template(UPN_NAMES)]
    assert world.issue().error_code == 0x80094012
    authority = world.authority()
    assert authority.certificate_der is not None
    world.directory.services = [replace(SERVICE, ca_certificates_der=(authority.certificate_der,))]
    assert world.issue().certificate


@pytest.mark.requirement("R-CEGI-048")
def test_refusals_are_audited_by_their_kind(world: World) -> None:
    world.issue(world.csr(template_oid=None))
    [event] = world.events("wstep-refused")
    assert event.actor == "wstep:EXAMPLE\\alice"
    assert event.fields["tenant"] == "demo"
    assert event.fields["ca"] == "demo~issuing"
    world.issue(user=("alice", "guessed"))
    [event] = world.events("wstep-authentication-failed")
    assert event.actor == "wstep:alice"
    assert event.fields["detail"] == "corp: data 52e; people: no"
    assert "guessed" not in str(event)
    world.directory.services = []
    world.issue()
    assert world.events("wstep-refused")[-1].fields["template"] == "Staff"
    world.directory.refusal = Unavailable("no domain controller answers")
    world.issue(context=item("CertificateTemplate", "Staff"))
    [event] = world.events("wstep-lookup-failed")
    assert event.fields["template"] == "Staff"


@pytest.mark.requirement("R-CEG-132")
def test_a_silent_directory_is_a_fault(world: World) -> None:
    world.directory.refusal = Unavailable("no domain controller answers")
    answer = world.issue()
    assert answer.fault == ("Receiver", "RequestFailed", "no domain controller answers")
    assert (answer.error_code, answer.text("w:InvalidRequest")) == (0x800706BA, "false")


@pytest.mark.parametrize(
    ("flags", "change", "code"),
    [
        (NameFlag.SUBJECT_ALT_REQUIRE_EMAIL, {"mail": None}, 0x80094812),
        (NameFlag.SUBJECT_ALT_REQUIRE_DNS, {"dns_host_name": None}, 0x8009480F),
    ],
)
def test_an_account_that_lacks_a_name_is_told(
    world: World, flags: NameFlag, change: dict[str, None], code: int
) -> None:
    world.directory.known_templates = [template(NameFlag.SUBJECT_REQUIRE_COMMON_NAME | flags)]
    world.directory.accounts["alice"] = replace(ALICE_ACCOUNT, **change)  # type: ignore[arg-type]  # one of them
    assert world.issue().error_code == code


@pytest.mark.requirement("R-CEGI-033")
def test_supplied_names_are_the_accounts_own(world: World) -> None:
    world.directory.known_templates = [template(SUPPLY)]
    own = world.csr(subject="CN=Alice Adams", names=[x509.RFC822Name("alice.adams@example.com")])
    assert world.issue(own).certificate.subject == parse_name("CN=Alice Adams")
    foreign = world.csr(subject="CN=Alice Adams", names=[microsoft.user_principal_name("administrator@example.com")])
    assert world.issue(foreign).error_code == 0x80094001


@pytest.mark.requirement("R-CEGI-036")
def test_short_keys_are_refused(world: World) -> None:
    short = rsa.generate_private_key(65537, 1024)
    assert world.issue(world.csr(key=short)).error_code == 0x80094811


@pytest.mark.requirement("R-CEGI-042")
def test_the_templates_validity_is_honoured(world: World) -> None:
    world.directory.known_templates = [template(UPN_NAMES, validity=timedelta(days=30))]
    certificate = world.issue().certificate
    now = world.house.clock.now()
    assert certificate.not_valid_after_utc == (now + timedelta(days=30)).replace(microsecond=0)
    world.directory.known_templates = [template(UPN_NAMES, validity=timedelta(days=3650))]
    assert world.issue().certificate.not_valid_after_utc < now + timedelta(days=367)


@pytest.mark.requirement("R-CEG-143")
@pytest.mark.requirement("R-CEGI-038")
def test_a_template_that_wants_an_approval_is_refused(world: World) -> None:
    world.directory.known_templates = [template(UPN_NAMES, enrollment_flags=EnrollmentFlag.PEND_ALL_REQUESTS)]
    assert world.issue().error_code == 0x80094800


def test_a_query_gives_the_certificate_again(world: World) -> None:
    first = world.issue()
    request_id = first.text("w:RequestID")
    again = world.ask(request_type=QUERY, request_id=f" {request_id} ")
    assert again.certificate == first.certificate
    assert again.text("w:RequestID") == request_id
    of_another = world.ask(request_type=QUERY, request_id=request_id, user=STATIC)
    unknown = world.ask(request_type=QUERY, request_id="1")
    assert of_another.error_code == unknown.error_code == 0x80094004
    assert of_another.fault == unknown.fault
    for text in ("x", "0", "-1", "9999999999", "99999999999999999999", "١"):
        assert world.ask(request_type=QUERY, request_id=text).error_code == 0x80094004
    for missing in (None, "", "  "):
        assert world.ask(request_type=QUERY, request_id=missing).fault[:2] == ("Sender", "InvalidRequest")
