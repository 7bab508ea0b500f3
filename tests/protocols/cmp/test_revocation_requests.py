"""rr: what is named, who may, and what is answered (RFC 9483, 4.2 and 5.3.2)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from cspd.authentication.secrets import EnrollmentSecret
from cspd.authority.certificates import Certificates
from cspd.authority.values import (
    Authority,
    CertificateRecord,
    CertificateState,
    EnrollmentRequest,
    Issued,
    Requester,
    RevocationReason,
)
from cspd.refusals import Refused, Unavailable
from cspd.x509 import tlv
from cspd.x509.crmf.messages import CertId, CertTemplate, Extension, OptionalValidity
from protocols.cmp.crl_entry_details import read_crl_entry_details
from protocols.cmp.interfaces import Sender, Terms
from protocols.cmp.messages import RevDetails, RevRepContent, RevReqContent
from protocols.cmp.protection import ProtectionKind
from protocols.cmp.revocation_requests import RevocationRequestsService
from protocols.cmp.status import PKIFailureInfo, PKIStatus
from tests.support.authorities import ISSUING, ROOT, Installation, named
from tests.support.issuing import make_csr
from tests.support.running import result_of

TERMS = Terms(ca=ISSUING, profile="tls-server")
REGISTRATION_AUTHORITY = Sender(
    identity="CN=registration", protection=ProtectionKind.SIGNATURE, is_registration_authority=True
)
DAY = timedelta(days=1)


def secret(identity: str) -> Sender:
    """A client of an enrollment secret."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    terms = EnrollmentSecret(
        reference="REFERENCE",
        purpose="cmp",
        identity=identity,
        ca=None,
        profile=None,
        one_time=False,
        tries=10,
        failures=0,
        created_by="cspctl:alice",
        created_at=moment,
        expires_at=moment + DAY,
    )
    return Sender(identity=identity, protection=ProtectionKind.MAC, secret=terms)


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = tlv.TRUE if critical else b""
    return tlv.sequence(tlv.object_identifier(oid), flag, tlv.element(tlv.OCTET_STRING, value))


def reason_extension(number: int, *, critical: bool = False) -> bytes:
    return extension("2.5.29.21", tlv.element(tlv.ENUMERATED, bytes((number,))), critical=critical)


def details_of(number: int | None) -> bytes:
    return b"" if number is None else tlv.sequence(reason_extension(number))


class World:
    """A CA that has issued by CMP, and who answers for it."""

    def __init__(self) -> None:
        self.house = house = Installation()
        self.root, self.issuing = house.make_hierarchy()
        self.certificates = Certificates(house.database)
        self.service = RevocationRequestsService(
            authorities=house.registry,
            certificates=self.certificates,
            revocation=house.revocation,
            profiles=house.profiles,
        )
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.record = self.issue("device-1")

    def issue(self, identity: str, protocol: str = "cmp") -> CertificateRecord:
        request = EnrollmentRequest(
            ca=ISSUING,
            profile="tls-server",
            requester=Requester(protocol=protocol, identity=identity),
            csr_der=make_csr(self.key, names=[x509.DNSName("a.example")]),
        )
        issued = result_of(self.house.issuance.enroll(request))
        assert isinstance(issued, Issued)
        return result_of(self.certificates.find(self.issuing.id, issued.serial))

    def holder(self, record: CertificateRecord | None = None) -> Sender:
        """Who signs with the certificate."""
        return Sender(
            identity="CN=a.example",
            protection=ProtectionKind.SIGNATURE,
            record=self.record if record is None else record,
        )

    def template(self, **fields: Any) -> CertTemplate:
        values = {"issuer": self.issuing.subject, "serial_number": self.record.serial, **fields}
        return CertTemplate(**values)

    def ask(self, *details: RevDetails, sender: Sender = REGISTRATION_AUTHORITY, terms: Terms = TERMS) -> RevRepContent:
        return result_of(self.service.answer(RevReqContent(details), sender, terms, request_id="r-5"))

    def outcome(
        self,
        number: int | None = 0,
        *,
        sender: Sender = REGISTRATION_AUTHORITY,
        terms: Terms = TERMS,
        der: bytes | None = None,
        **template: Any,
    ) -> PKIFailureInfo | None:
        """The failInfo of one request; None if it was accepted."""
        details = RevDetails(self.template(**template), details_of(number) if der is None else der)
        [status] = self.ask(details, sender=sender, terms=terms).status
        if status.status is PKIStatus.ACCEPTED:
            assert not status.fail_info
            return None
        assert status.status is PKIStatus.REJECTION
        assert status.status_string
        [fail_info] = status.fail_info
        return fail_info

    def state(self, serial: int | None = None) -> tuple[CertificateState, RevocationReason | None]:
        status = result_of(self.certificates.find(self.issuing.id, serial or self.record.serial)).status
        return status.state, status.reason


@pytest.fixture
def world() -> World:
    return World()


def test_a_certificate_is_revoked_by_issuer_and_serial_number(world: World) -> None:
    answer = world.ask(RevDetails(world.template(), details_of(4)))
    assert [each.status for each in answer.status] == [PKIStatus.ACCEPTED]
    assert answer.rev_certs == (CertId(x509.DirectoryName(world.issuing.subject), world.record.serial),)
    assert answer.crls_der == ()
    assert world.state() == (CertificateState.REVOKED, RevocationReason.SUPERSEDED)
    [event] = world.house.audited("certificate-revoked")
    assert event["request_id"] == "r-5"
    assert world.house.audit.events[-1].actor == "cmp:CN=registration"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (None, RevocationReason.UNSPECIFIED),
        (0, RevocationReason.UNSPECIFIED),
        (1, RevocationReason.KEY_COMPROMISE),
        (3, RevocationReason.AFFILIATION_CHANGED),
        (4, RevocationReason.SUPERSEDED),
        (5, RevocationReason.CESSATION_OF_OPERATION),
        (9, RevocationReason.PRIVILEGE_WITHDRAWN),
    ],
)
def test_every_reason_that_subscribers_have(world: World, number: int | None, reason: RevocationReason) -> None:
    assert world.outcome(number) is None
    assert world.state() == (CertificateState.REVOKED, reason)


@pytest.mark.parametrize("number", [2, 7, 10, 11])
def test_what_is_no_reason_for_a_subscriber_is_a_bad_request(world: World, number: int) -> None:
    assert world.outcome(number) is PKIFailureInfo.BAD_REQUEST
    assert world.state() == (CertificateState.GOOD, None)


def test_a_hold_ends_by_release_or_revocation(world: World) -> None:
    assert world.outcome(6) is None
    assert world.state() == (CertificateState.HELD, RevocationReason.CERTIFICATE_HOLD)
    assert world.outcome(6) is PKIFailureInfo.CERT_REVOKED
    assert world.outcome(8) is None
    assert world.state() == (CertificateState.GOOD, None)
    assert world.outcome(8) is PKIFailureInfo.BAD_REQUEST
    assert world.outcome(6) is None
    assert world.outcome(1) is None
    assert world.state() == (CertificateState.REVOKED, RevocationReason.KEY_COMPROMISE)
    assert world.outcome(8) is PKIFailureInfo.BAD_REQUEST
    assert world.outcome(1) is PKIFailureInfo.CERT_REVOKED


def test_the_invalidity_date_is_kept(world: World) -> None:
    date = world.house.clock.now().replace(microsecond=0) - DAY
    invalidity = extension("2.5.29.24", tlv.generalized_time(date))
    assert world.outcome(der=tlv.sequence(reason_extension(1), invalidity)) is None
    [event] = world.house.audited("certificate-revoked")
    assert event["invalidity_date"] == date.isoformat()


def test_an_invalidity_date_in_the_future_is_a_bad_request(world: World) -> None:
    invalidity = extension("2.5.29.24", tlv.generalized_time(world.house.clock.now() + DAY))
    assert world.outcome(der=tlv.sequence(reason_extension(1), invalidity)) is PKIFailureInfo.BAD_REQUEST


@pytest.mark.parametrize(
    ("der", "fail_info"),
    [
        (tlv.sequence(tlv.integer(1)), PKIFailureInfo.BAD_DATA_FORMAT),
        (tlv.sequence(extension("2.5.29.21", tlv.integer(1))), PKIFailureInfo.BAD_DATA_FORMAT),
        (tlv.sequence(extension("2.5.29.21", b"\x0a\x01\x01\x00")), PKIFailureInfo.BAD_DATA_FORMAT),
        (tlv.sequence(reason_extension(1), reason_extension(1)), PKIFailureInfo.BAD_DATA_FORMAT),
        (tlv.sequence(*(extension(f"1.2.{n}", b"") for n in range(9))), PKIFailureInfo.BAD_DATA_FORMAT),
        (tlv.sequence(extension("2.5.29.24", b"\x17\x0d260101000000Z")), PKIFailureInfo.BAD_DATA_FORMAT),
        (
            tlv.sequence(tlv.sequence(tlv.object_identifier("2.5.29.21"), b"\x01\x01\x00", b"\x04\x03\x0a\x01\x01")),
            PKIFailureInfo.BAD_DATA_FORMAT,
        ),
        (tlv.sequence(extension("1.2.3", b"", critical=True)), PKIFailureInfo.UNACCEPTED_EXTENSION),
        (tlv.sequence(extension("1.2.3", b""), reason_extension(1)), None),
        (tlv.sequence(reason_extension(1, critical=True)), None),
    ],
)
def test_crl_entry_details(world: World, der: bytes, fail_info: PKIFailureInfo | None) -> None:
    assert world.outcome(der=der) is fail_info
    assert (world.state()[0] is CertificateState.GOOD) is (fail_info is not None)


def test_no_details_at_all_have_no_date() -> None:
    assert read_crl_entry_details(b"").invalidity_date is None


@pytest.mark.parametrize(
    ("fields", "fail_info"),
    [
        ({"issuer": None}, PKIFailureInfo.ADD_INFO_NOT_AVAILABLE),
        ({"serial_number": None}, PKIFailureInfo.ADD_INFO_NOT_AVAILABLE),
        ({"issuer": named("nobody")}, PKIFailureInfo.BAD_CERT_ID),
        ({"issuer": x509.Name([])}, PKIFailureInfo.BAD_CERT_ID),
        ({"issuer": named("root of demo")}, PKIFailureInfo.WRONG_AUTHORITY),
        ({"serial_number": 4711}, PKIFailureInfo.BAD_CERT_ID),
        ({"serial_number": -1}, PKIFailureInfo.BAD_CERT_ID),
        ({"serial_number": 1 << 250}, PKIFailureInfo.BAD_CERT_ID),
        ({"subject": named("another")}, PKIFailureInfo.BAD_CERT_ID),
        ({"public_key_der": tlv.sequence(tlv.integer(1))}, PKIFailureInfo.BAD_CERT_ID),
        ({"version": 2}, PKIFailureInfo.BAD_CERT_TEMPLATE),
        ({"validity": OptionalValidity(datetime(2026, 1, 1, tzinfo=UTC))}, PKIFailureInfo.BAD_CERT_TEMPLATE),
        ({"extensions": (Extension("1.2.3", False, b""),)}, PKIFailureInfo.BAD_CERT_TEMPLATE),
    ],
)
def test_what_names_no_certificate(world: World, fields: dict[str, Any], fail_info: PKIFailureInfo) -> None:
    assert world.outcome(**fields) is fail_info
    assert world.state()[0] is CertificateState.GOOD


def test_subject_and_key_may_be_told_as_well(world: World) -> None:
    public_key_der = world.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert world.outcome(subject=named("a.example"), public_key_der=public_key_der) is None


def test_the_issuer_is_compared_by_what_it_says(world: World) -> None:
    """Clients may encode the same text in another string type."""
    printable = x509.Name(
        [
            x509.NameAttribute(each.oid, each.value, x509.name._ASN1Type.PrintableString)
            for each in world.issuing.subject
        ]
    )
    assert printable.public_bytes() != world.issuing.subject.public_bytes()
    assert world.outcome(issuer=printable) is None


def test_one_revokes_the_certificate_that_it_signs_with(world: World) -> None:
    assert world.outcome(sender=world.holder()) is None


def test_one_does_not_revoke_another_certificate(world: World) -> None:
    another = world.issue("device-1")
    assert world.outcome(sender=world.holder(another)) is PKIFailureInfo.NOT_AUTHORIZED
    elsewhere = replace(world.record, authority_id=world.root.id)
    assert world.outcome(sender=world.holder(elsewhere)) is PKIFailureInfo.NOT_AUTHORIZED
    assert world.state()[0] is CertificateState.GOOD


def test_a_certificate_of_a_vendor_revokes_nothing(world: World) -> None:
    vendor = Sender(identity="CN=vendor", protection=ProtectionKind.SIGNATURE, by_vendor=True)
    assert world.outcome(sender=vendor) is PKIFailureInfo.NOT_AUTHORIZED


@pytest.mark.parametrize(
    ("identity", "protocol", "fail_info"),
    [
        ("device-1", "cmp", None),
        ("device-2", "cmp", PKIFailureInfo.NOT_AUTHORIZED),
        ("device-1", "est", PKIFailureInfo.NOT_AUTHORIZED),
    ],
)
def test_a_secret_revokes_what_it_got(
    world: World, identity: str, protocol: str, fail_info: PKIFailureInfo | None
) -> None:
    record = world.issue(identity, protocol)
    assert world.outcome(sender=secret("device-1"), serial_number=record.serial) is fail_info


def test_who_is_held_does_not_end_the_hold(world: World) -> None:
    assert world.outcome(6) is None
    assert world.outcome(8, sender=secret("device-1")) is PKIFailureInfo.NOT_AUTHORIZED
    assert world.outcome(8, sender=world.holder()) is PKIFailureInfo.NOT_AUTHORIZED
    assert world.state()[0] is CertificateState.HELD


def test_certificates_of_cas_here_are_for_administrators(world: World) -> None:
    def subordinate(authority: Authority) -> int:
        assert authority.certificate is not None
        return authority.certificate.serial_number

    terms = replace(TERMS, ca=ROOT)
    fields = {"issuer": world.root.subject, "serial_number": subordinate(world.issuing)}
    assert world.outcome(terms=terms, **fields) is PKIFailureInfo.NOT_AUTHORIZED
    assert world.house.get(ISSUING).state.value == "active"


def test_each_certificate_is_a_case_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    second, third = world.issue("device-1"), world.issue("device-1")
    revoke = world.house.revocation.revoke

    async def broken(request: Any) -> Any:
        if request.serial == second.serial:
            raise RuntimeError("broken")
        if request.serial == third.serial:
            raise Unavailable("the store does not answer")
        return await revoke(request)

    monkeypatch.setattr(world.house.revocation, "revoke", broken)
    serials = [4711, second.serial, third.serial, world.record.serial]
    answer = world.ask(*(RevDetails(world.template(serial_number=each), details_of(1)) for each in serials))
    assert [next(iter(each.fail_info), None) for each in answer.status] == [
        PKIFailureInfo.BAD_CERT_ID,
        PKIFailureInfo.SYSTEM_FAILURE,
        PKIFailureInfo.SYSTEM_UNAVAIL,
        None,
    ]
    assert "broken" not in "".join(answer.status[1].status_string)
    assert [each.serial_number for each in answer.rev_certs] == serials


def test_certificates_that_are_not_all_named_are_not_repeated(world: World) -> None:
    """revCerts has to be in the order of the statuses."""
    answer = world.ask(RevDetails(CertTemplate()), RevDetails(world.template()))
    assert [each.status for each in answer.status] == [PKIStatus.REJECTION, PKIStatus.ACCEPTED]
    assert answer.rev_certs == ()


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda value: tlv.sequence(extension("2.5.29.24", value))))
def test_any_octets_are_details_or_refused(der: bytes) -> None:
    with suppress(Refused):
        read_crl_entry_details(der)
