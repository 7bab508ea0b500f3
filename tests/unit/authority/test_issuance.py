"""The issuance pipeline from the request to the stored certificate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest
from asn1crypto import csr as asn1_csr
from asn1crypto.x509 import Name
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import Connection, select, update
from twisted.internet.defer import CancelledError, Deferred

from cspd.audit.events import Outcome
from cspd.authority.authority_keys import AuthorityKeys
from cspd.authority.certificates import Certificates
from cspd.authority.values import AuthorityState, CACertificate, CertificateState, Issued, RequestedExtension
from cspd.keys.values import KeyReference, KeyType, PrivateKey
from cspd.refusals import (
    BadExtension,
    BadName,
    BadProofOfPossession,
    BadPublicKey,
    BadValidity,
    Conflict,
    Malformed,
    NotFound,
    Unavailable,
)
from cspd.store.tables import authorities, certificates
from tests.support.issuing import House, common_name, make_csr
from tests.support.running import result_of

T = TypeVar("T")


@pytest.fixture
def house() -> House:
    return House()


def names_of(certificate: x509.Certificate) -> list[Any]:
    """The values of subjectAltName."""
    return [n.value for n in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value]


def spki(key: Any) -> bytes:
    """The SubjectPublicKeyInfo of a private key."""
    encoded: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


class TestAnIssuedCertificate:
    def test_is_answered_with_its_chain(self, house: House) -> None:
        issued = house.enroll()
        certificate = x509.load_der_x509_certificate(issued.certificate_der)
        assert issued.chain_der == (house.issuing.certificate_der, house.root.certificate_der)
        assert (issued.serial, issued.not_before, issued.not_after) == (
            certificate.serial_number,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )

    def test_is_stored(self, house: House) -> None:
        issued = house.enroll()
        record = result_of(Certificates(house.database).find(house.issuing.id, issued.serial))
        assert record.certificate_der == issued.certificate_der
        assert record.status.state is CertificateState.GOOD
        assert (record.profile, record.subject, record.names) == ("tls-client", "CN=a.example", ("a.example",))
        assert (record.protocol, record.requester) == ("test", "somebody")
        assert record.issuer_certificate_id == house.issuing.certificate_id

    def test_is_audited_with_who_and_what(self, house: House) -> None:
        issued = house.enroll()
        (event,) = house.audit.events
        assert (event.event, event.actor, event.outcome) == ("certificate-issued", "test:somebody", Outcome.SUCCESS)
        assert event.fields["serial"] == f"{issued.serial:x}"
        assert event.fields["ca"] == "demo~issuing"
        assert event.fields["names"] == "a.example"
        assert event.fields["request_id"] == "r-1"

    def test_is_neither_stored_nor_answered_without_its_audit_event(self, house: House) -> None:
        def full(connection: Connection, event: object) -> None:
            raise Unavailable("disk full")

        house.audit.append = full  # type: ignore[method-assign]  # a log that cannot be written
        with pytest.raises(Unavailable):
            house.enroll()
        assert result_of(Certificates(house.database).counts()) == {}

    @pytest.mark.requirement("R-CA-071")
    def test_has_a_serial_number_of_its_own(self, house: House) -> None:
        serials = {house.enroll().serial for _ in range(20)}
        assert len(serials) == 20
        assert all(0 < serial < 1 << 159 for serial in serials)
        assert max(serial.bit_length() for serial in serials) > 140


@pytest.mark.requirement("R-PRO-004")
@pytest.mark.requirement("R-CA-025")
@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        (KeyType.EC_P256, "1.2.840.10045.4.3.2"),
        (KeyType.EC_P384, "1.2.840.10045.4.3.3"),
        (KeyType.EC_P521, "1.2.840.10045.4.3.4"),
        (KeyType.RSA_2048, "1.2.840.113549.1.1.11"),
        (KeyType.RSA_3072, "1.2.840.113549.1.1.11"),
        (KeyType.RSA_4096, "1.2.840.113549.1.1.13"),
        (KeyType.ED25519, "1.3.101.112"),
        (KeyType.ML_DSA_65, "2.16.840.1.101.3.4.3.18"),
    ],
    ids=str,
)
def test_the_signature_algorithm_follows_the_cas_key(key_type: KeyType, algorithm: str) -> None:
    certificate = House(key_type=key_type).certificate()
    assert certificate.signature_algorithm_oid.dotted_string == algorithm


class TestTheCA:
    def test_must_exist(self, house: House) -> None:
        with pytest.raises(NotFound):
            house.enroll(ca="nobody")

    @pytest.mark.parametrize("state", [AuthorityState.DISABLED, AuthorityState.PENDING_CERTIFICATE])
    def test_must_be_active(self, house: House, state: AuthorityState) -> None:
        house.authorities.change(house.issuing, state=state)
        with pytest.raises(Conflict) as refused:
            house.enroll()
        assert refused.value.refusal_code == "ca-not-active"

    def test_must_not_have_expired(self, house: House) -> None:
        house.clock.advance(timedelta(days=366 * 10))
        with pytest.raises(Conflict) as refused:
            house.enroll()
        assert refused.value.refusal_code == "ca-expired"

    def test_must_sign_here(self, house: House) -> None:
        house.authorities.change(house.issuing, key=None)
        with pytest.raises(Conflict):
            house.enroll()

    def test_a_change_of_it_shows_in_the_next_certificate(self, house: House) -> None:
        house.enroll()
        house.authorities.change(house.issuing, ocsp_enabled=False, delta_crl_hours=6)
        extensions = house.certificate().extensions
        (location,) = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        assert location.access_method.dotted_string == "1.3.6.1.5.5.7.48.2"
        assert extensions.get_extension_for_class(x509.FreshestCRL)

    @pytest.mark.requirement("R-CA-064")
    @pytest.mark.parametrize("profile", ["scep-digital-signature", "none", "basic-ocsp", "tlsproxy-ca-subord"])
    def test_must_have_the_profile_enabled(self, house: House, profile: str) -> None:
        """Templates and profiles for roots are refused even if somebody enabled them."""
        enabled = {"tls-client", "basic-ocsp", "tlsproxy-ca-subord"}
        house.authorities.change(house.issuing, profiles=frozenset(enabled))
        with pytest.raises(NotFound) as refused:
            house.enroll(profile)
        assert refused.value.refusal_code == "no-such-profile"


class TestTheRequest:
    @pytest.mark.parametrize("csr_der", [b"", b"\x30\x00", bytes(40_000)])
    def test_must_be_a_csr(self, house: House, csr_der: bytes) -> None:
        with pytest.raises(Malformed):
            house.enroll(csr_der=csr_der)

    def test_must_be_signed_by_its_key(self, house: House) -> None:
        csr_der = make_csr(house.subscriber_key)
        with pytest.raises(BadProofOfPossession):
            house.enroll(csr_der=csr_der[:-1] + bytes([csr_der[-1] ^ 1]))

    def test_may_be_a_key_whose_possession_was_proved_elsewhere(self, house: House) -> None:
        certificate = house.certificate(public_key_der=spki(house.subscriber_key), subject=common_name("x"))
        assert certificate.public_key() == house.subscriber_key.public_key()
        assert certificate.subject == common_name("x")

    @pytest.mark.parametrize("values", [{"csr_der": None}, {"csr_der": b"0", "public_key_der": b"0"}])
    def test_has_either_a_csr_or_a_key(self, house: House, values: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="either"):
            house.enroll(**values)

    def test_may_replace_what_the_csr_names(self, house: House) -> None:
        """ACME gives the names of the order, Windows those of the directory."""
        certificate = house.certificate(subject=common_name("b"), subject_alt_names=(x509.DNSName("b.example"),))
        assert certificate.subject == common_name("b")
        assert names_of(certificate) == ["b.example"]

    def test_may_take_all_names_away(self, house: House) -> None:
        with pytest.raises(BadName):
            house.enroll(subject=x509.Name([]), subject_alt_names=())

    def test_a_refusal_is_audited(self, house: House) -> None:
        with pytest.raises(Malformed):
            house.enroll(csr_der=b"")
        (event,) = house.audit.events
        assert (event.event, event.outcome, event.actor) == ("certificate-refused", Outcome.REFUSED, "test:somebody")
        assert event.fields["code"] == "malformed"

    def test_a_refusal_stands_although_it_cannot_be_audited(self, house: House) -> None:
        async def down(event: object) -> None:
            raise Unavailable("store")

        house.audit.record = down  # type: ignore[method-assign]  # a log that cannot be written
        with pytest.raises(Malformed):
            house.enroll(csr_der=b"")


class TestThePublicKey:
    @pytest.mark.requirement("R-CEG-117")
    @pytest.mark.parametrize(
        "make",
        [
            lambda: rsa.generate_private_key(65537, 2048),
            lambda: rsa.generate_private_key(65537, 3072),
            lambda: rsa.generate_private_key(65537, 4096),
            lambda: ec.generate_private_key(ec.SECP256R1()),
            lambda: ec.generate_private_key(ec.SECP384R1()),
            lambda: ec.generate_private_key(ec.SECP521R1()),
        ],
        ids=["rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", "ec-p521"],
    )
    def test_of_the_six_types_is_taken(self, house: House, make: Callable[[], PrivateKey]) -> None:
        key = make()
        certificate = house.certificate("est-digital-signature", csr_der=make_csr(key))
        assert certificate.public_key() == key.public_key()

    @pytest.mark.requirement("R-PRO-003")
    @pytest.mark.requirement("R-CEG-117")
    @pytest.mark.parametrize(
        "make",
        [
            lambda: rsa.generate_private_key(65537, 1024),
            lambda: rsa.generate_private_key(65537, 2056),
            lambda: ec.generate_private_key(ec.SECP256K1()),
            lambda: ec.generate_private_key(ec.SECP224R1()),
            ed25519.Ed25519PrivateKey.generate,
            mldsa.MLDSA44PrivateKey.generate,
        ],
        ids=["rsa-1024", "rsa-2056", "secp256k1", "p224", "ed25519", "ml-dsa-44"],
    )
    def test_of_another_type_is_refused_with_the_list_of_types(
        self, house: House, make: Callable[[], PrivateKey]
    ) -> None:
        with pytest.raises(BadPublicKey, match="ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096"):
            house.enroll("est-digital-signature", csr_der=make_csr(make()))

    def test_of_a_newer_type_is_taken_by_the_generic_profiles(self, house: House) -> None:
        for key in (ed25519.Ed25519PrivateKey.generate(), mldsa.MLDSA87PrivateKey.generate()):
            assert house.certificate("tls-client", csr_der=make_csr(key)).public_key() == key.public_key()

    def test_that_cannot_sign_is_refused(self, house: House) -> None:
        key = dsa.generate_private_key(2048)
        with pytest.raises(BadPublicKey, match="dsa-2048"):
            house.enroll(public_key_der=spki(key), subject=common_name("x"))

    @pytest.mark.parametrize("public_key_der", [b"", b"\x30\x00"])
    def test_that_cannot_be_read_is_refused(self, house: House, public_key_der: bytes) -> None:
        with pytest.raises(BadPublicKey):
            house.enroll(public_key_der=public_key_der, subject=common_name("x"))

    def test_that_is_weak_is_refused(self, house: House) -> None:
        weak = rsa.generate_private_key(3, 2048)
        with pytest.raises(BadPublicKey, match="exponent"):
            house.enroll("est-digital-signature", csr_der=make_csr(weak))

    def test_of_a_ca_of_this_server_is_refused(self, house: House) -> None:
        assert house.root.key is not None
        with pytest.raises(BadPublicKey, match="belongs to a certification authority"):
            house.enroll(csr_der=make_csr(house.keys.private_keys[house.root.key]))

    def test_of_a_cas_past_and_future_is_refused(self, house: House) -> None:
        """Keys before a re-key, and keys that wait for an external root's signature."""
        assert house.root.key is not None
        assert house.root.certificate_der is not None
        past = CACertificate(
            id="1",
            certificate_der=house.root.certificate_der,
            key=house.root.key,
            not_before=house.clock.now(),
            not_after=house.clock.now(),
        )
        pending = result_of(house.keys.generate(KeyType.EC_P256, label="pending"))
        changed = house.authorities.change(
            house.root, certificate=None, certificate_der=None, key=pending, previous=(past,)
        )
        for reference in (house.root.key, pending):
            with pytest.raises(BadPublicKey, match="belongs"):
                house.enroll(csr_der=make_csr(house.keys.private_keys[reference]))
        house.authorities.known.remove(changed)
        assert house.enroll(csr_der=make_csr(house.keys.private_keys[pending]))

    def test_a_silent_token_does_not_stop_other_cas(self, house: House) -> None:
        house.authorities.change(
            house.root, certificate=None, certificate_der=None, key=KeyReference("token", "0" * 32)
        )
        assert house.enroll()
        assert len(result_of(AuthorityKeys(house.authorities, house.keys).current())) == 1


class TestNames:
    @pytest.mark.requirement("R-PRO-006")
    def test_any_subject_is_kept_as_it_is(self, house: House) -> None:
        subject = x509.Name(
            [
                x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]),
                x509.RelativeDistinguishedName(
                    [
                        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "a"),
                        x509.NameAttribute(NameOID.SERIAL_NUMBER, "7"),
                    ]
                ),
                x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "b")]),
                x509.RelativeDistinguishedName([x509.NameAttribute(x509.ObjectIdentifier("1.2.3.4"), "x")]),
            ]
        )
        certificate = house.certificate(csr_der=make_csr(house.subscriber_key, subject))
        assert certificate.subject.public_bytes() == subject.public_bytes()

    @pytest.mark.requirement("R-PLAT-150")
    def test_unprintable_characters_are_kept_and_escaped_in_the_record(self, house: House) -> None:
        subject = common_name("a\nb\u202e")
        certificate = house.certificate(csr_der=make_csr(house.subscriber_key, subject))
        assert certificate.subject == subject
        record = result_of(Certificates(house.database).find(house.issuing.id, certificate.serial_number))
        assert record.subject == r"CN=a\0Ab\E2\80\AE"

    @pytest.mark.requirement("R-PLAT-150")
    def test_wildcards_and_principal_names_are_issued(self, house: House) -> None:
        principal = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x04a@ad")
        names = [x509.DNSName("*.example.org"), principal]
        certificate = house.certificate(csr_der=make_csr(house.subscriber_key, names=names))
        assert list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == names
        record = result_of(Certificates(house.database).find(house.issuing.id, certificate.serial_number))
        assert record.names == ("*.example.org", "a@ad")

    @pytest.mark.parametrize(
        "subject",
        [
            common_name("x\0y"),
            x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x" * 65)]),
            x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "1!")]),
        ],
        ids=["NUL", "long organization", "country in digits"],
    )
    def test_a_subject_that_no_certificate_may_have_is_refused(self, house: House, subject: x509.Name) -> None:
        with pytest.raises(BadName):
            house.enroll(subject=subject)

    def test_an_attribute_longer_than_its_bound_in_the_csr_is_refused(self, house: House) -> None:
        """No library builds such a request any more; some devices do."""
        short, long = common_name("x" * 64), b"\x0c\x41" + b"x" * 65
        request = asn1_csr.CertificationRequest.load(make_csr(house.subscriber_key, short))
        information = request["certification_request_info"]
        lengthened = short.public_bytes().replace(b"\x0c\x40" + b"x" * 64, long)
        for header in (b"\x30\x4b", b"\x31\x49", b"\x30\x47"):  # the containers grow by one
            lengthened = lengthened.replace(header, bytes([header[0], header[1] + 1]), 1)
        information["subject"] = Name.load(lengthened)
        request["signature"] = house.subscriber_key.sign(information.dump(force=True), ec.ECDSA(hashes.SHA256()))
        with pytest.raises(BadName, match="CN is empty or has more than 64"):
            house.enroll(csr_der=request.dump(force=True))

    @pytest.mark.parametrize("value", ["a b", "köln.example", "_x.example", "a\n.example", "-a.example", "1.2.3.4"])
    def test_a_malformed_name_is_refused(self, house: House, value: str) -> None:
        with pytest.raises(BadName):
            house.enroll(subject_alt_names=(x509.DNSName._init_without_validation(value),))

    def test_too_many_names_are_refused(self, house: House) -> None:
        with pytest.raises(BadName, match="250"):
            house.enroll(subject_alt_names=tuple(x509.DNSName(f"h{number}.example") for number in range(251)))

    @pytest.mark.requirement("R-PRO-008")
    def test_names_stand_once(self, house: House) -> None:
        names = [x509.DNSName(text) for text in ("a.example", "A.example", "b.example", "a.example")]
        assert names_of(house.certificate(csr_der=make_csr(house.subscriber_key, names=names))) == [
            "a.example",
            "b.example",
        ]

    @pytest.mark.requirement("R-PRO-008")
    def test_common_names_are_added_only_by_the_supply_san_profiles(self, house: House) -> None:
        """P-12: only what is a dNSName, and without regard to case."""
        subject = x509.Name(
            x509.NameAttribute(NameOID.COMMON_NAME, text)
            for text in ("www.example.org", "A.example", "Acme Corp", "*.example.org")
        )
        csr_der = make_csr(house.subscriber_key, subject, [x509.DNSName("a.example")])
        for profile in ("privatessl-tls-server-supply-san", "privatessl-tls-client-server-supply-san"):
            assert names_of(house.certificate(profile, csr_der=csr_der)) == [
                "a.example",
                "www.example.org",
                "*.example.org",
            ]
        for profile in ("privatessl-tls-server", "privatessl-tls-client-server", "privatessl-tls-client"):
            assert names_of(house.certificate(profile, csr_der=csr_der)) == ["a.example"]

    @pytest.mark.requirement("R-PLAT-146")
    def test_an_empty_subject_takes_the_first_host_name(self, house: House) -> None:
        names = [x509.RFC822Name("a@b.example"), x509.DNSName("b.example"), x509.DNSName("c.example")]
        csr_der = make_csr(house.subscriber_key, x509.Name([]), names)
        certificate = house.certificate("privatessl-tls-server", csr_der=csr_der)
        assert certificate.subject == common_name("b.example")
        assert not certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical

    @pytest.mark.parametrize(
        ("profile", "names"),
        [
            ("privatessl-tls-server", [x509.DNSName("a" * 60 + ".example.org")]),
            ("privatessl-tls-server", [x509.RFC822Name("a@b.example")]),
            ("est-digital-signature", [x509.DNSName("a.example")]),
        ],
        ids=["longer than a common name", "no host name", "a profile that keeps it empty"],
    )
    def test_an_empty_subject_otherwise_makes_the_names_critical(
        self, house: House, profile: str, names: list[x509.GeneralName]
    ) -> None:
        certificate = house.certificate(profile, csr_der=make_csr(house.subscriber_key, x509.Name([]), names))
        assert certificate.subject == x509.Name([])
        assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical

    @pytest.mark.requirement("R-PLAT-146")
    def test_a_profile_may_need_a_subject_or_names(self, house: House) -> None:
        name = [x509.DNSName("a.example")]
        with pytest.raises(BadName, match=r"needs a subject$"):
            house.enroll("timestamping", csr_der=make_csr(house.subscriber_key, x509.Name([]), name))
        organization = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")])
        with pytest.raises(BadName, match="needs CN"):
            house.enroll("timestamping", csr_der=make_csr(house.subscriber_key, organization))
        with pytest.raises(BadName, match="needs a subject alternative name"):
            house.enroll("tls-server", csr_der=make_csr(house.subscriber_key))


USAGES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


class TestExtensions:
    @pytest.mark.requirement("R-PRO-011")
    @pytest.mark.requirement("R-CA-066")
    def test_the_listed_ones_are_copied_and_the_others_dropped_and_audited(self, house: House) -> None:
        """P-14: dropped, not refused."""
        template = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2"), b"\x1e\x02\x00A")
        unlisted = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        csr_der = make_csr(house.subscriber_key, extensions=[(template, True), (unlisted, True), (USAGES, False)])
        certificate = house.certificate("wstep-digital-signature", csr_der=csr_der)
        copied = certificate.extensions.get_extension_for_oid(template.oid)
        assert copied.critical is False
        assert copied.value.public_bytes() == template.value
        with pytest.raises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_oid(unlisted.oid)
        assert house.audit.events[-1].fields["dropped_extensions"] == "1.2.3.4"

    @pytest.mark.requirement("R-CA-066")
    @pytest.mark.parametrize("critical", [True, False])
    def test_requested_usages_keep_their_criticality(self, house: House, critical: bool) -> None:
        """P-8; a time-stamping certificate needs it."""
        csr_der = make_csr(house.subscriber_key, extensions=[(USAGES, critical)])
        found = house.certificate("device", csr_der=csr_der).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert (found.value, found.critical) == (USAGES, critical)

    @pytest.mark.requirement("R-PRO-010")
    def test_no_usage_is_written_where_none_is_requested(self, house: House) -> None:
        with pytest.raises(x509.ExtensionNotFound):
            house.certificate("device").extensions.get_extension_for_class(x509.ExtendedKeyUsage)

    def test_nobody_may_ask_to_answer_for_the_ca(self, house: House) -> None:
        """RFC 6960, 4.2.2.2: OCSPSigning under the CA's own signature makes a responder."""
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.OCSP_SIGNING])
        with pytest.raises(BadExtension, match="OCSPSigning"):
            house.enroll("device", csr_der=make_csr(house.subscriber_key, extensions=[(usages, False)]))

    @pytest.mark.requirement("R-PRO-009")
    def test_a_requested_key_usage_changes_nothing(self, house: House) -> None:
        asked = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = house.certificate(csr_der=make_csr(house.subscriber_key, extensions=[(asked, True)]))
        assert not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign

    @pytest.mark.parametrize(
        "extensions",
        [
            [RequestedExtension(oid="2.5.29.37", critical=False, value_der=b"\x30\x00")],
            [RequestedExtension(oid="2.5.29.37", critical=False, value_der=USAGES.public_bytes())] * 2,
            [RequestedExtension(oid="abc", critical=False, value_der=b"\x05\x00")],
            [RequestedExtension(oid="1.2.3", critical=False, value_der=b"\x05\x00")] * 33,
        ],
        ids=["malformed", "twice", "without identifier", "too many"],
    )
    def test_given_beside_the_csr_they_are_checked_alike(
        self, house: House, extensions: list[RequestedExtension]
    ) -> None:
        with pytest.raises(BadExtension):
            house.enroll("device", extensions=tuple(extensions))

    def test_given_beside_the_csr_they_replace_its_own(self, house: House) -> None:
        csr_der = make_csr(house.subscriber_key, extensions=[(USAGES, False)])
        client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        wanted = RequestedExtension(oid="2.5.29.37", critical=False, value_der=client.public_bytes())
        certificate = house.certificate("device", csr_der=csr_der, extensions=(wanted,))
        assert certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == client


class TestValidity:
    @pytest.mark.requirement("R-PRO-005")
    @pytest.mark.requirement("R-CA-065")
    def test_the_default_ends_with_the_ca(self, house: House) -> None:
        assert house.issuing.certificate is not None
        end = house.issuing.certificate.not_valid_after_utc
        house.clock.advance(end - house.clock.now() - timedelta(days=10))
        assert house.enroll().not_after == end

    @pytest.mark.requirement("R-PLAT-149")
    @pytest.mark.requirement("R-CA-065")
    @pytest.mark.parametrize("before", [timedelta(0), timedelta(seconds=1), timedelta(minutes=59)])
    def test_an_end_at_or_shortly_before_the_cas_is_accepted(self, house: House, before: timedelta) -> None:
        assert house.issuing.certificate is not None
        end = house.issuing.certificate.not_valid_after_utc - before
        assert house.enroll("est-digital-signature", not_after=end).not_after == end

    @pytest.mark.requirement("R-PLAT-149")
    @pytest.mark.requirement("R-PRO-005")
    def test_an_end_after_the_cas_is_refused_not_shortened(self, house: House) -> None:
        assert house.issuing.certificate is not None
        with pytest.raises(BadValidity) as refused:
            house.enroll(
                "est-digital-signature",
                not_after=house.issuing.certificate.not_valid_after_utc + timedelta(seconds=1),
            )
        assert refused.value.refusal_code == "end-after-issuer"

    def test_the_longest_lifetime_of_a_profile_may_be_asked_for(self, house: House) -> None:
        end = house.clock.now() + timedelta(days=398)
        issued = house.enroll("tls-server", not_after=end)
        assert (issued.not_before, issued.not_after) == (house.clock.now(), end)
        with pytest.raises(BadValidity, match="maximum"):
            house.enroll("tls-server", not_after=end + timedelta(seconds=1))

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (timedelta(days=-2), None),
            (timedelta(hours=-30), timedelta(days=1)),
            (timedelta(days=2), timedelta(days=1)),
            (None, timedelta(seconds=-1)),
            (timedelta(hours=-2), timedelta(hours=-1)),
            (timedelta(days=4000), None),
        ],
        ids=["before the CA", "long ago", "ends before it begins", "over", "over since an hour", "after the CA's end"],
    )
    def test_a_period_that_makes_no_sense_is_refused(
        self, house: House, start: timedelta | None, end: timedelta | None
    ) -> None:
        now = house.clock.now()
        with pytest.raises(BadValidity):
            house.enroll(not_before=start and now + start, not_after=end and now + end)

    def test_a_start_may_be_chosen(self, house: House) -> None:
        start = house.clock.now() + timedelta(days=3)
        assert house.enroll(not_before=start).not_before == start

    def test_a_certificate_never_begins_before_its_ca(self, house: House) -> None:
        assert house.issuing.certificate is not None
        house.clock.advance(house.issuing.certificate.not_valid_before_utc - house.clock.now())
        assert house.enroll().not_before == house.issuing.certificate.not_valid_before_utc


class RepeatingRandom(Random):
    """Gives the same octets several times, then others."""

    def __init__(self, times: int) -> None:
        super().__init__(5)
        self._left = times

    def randbytes(self, n: int) -> bytes:
        self._left -= 1
        return bytes([7]) * n if self._left >= 0 else super().randbytes(n)


class TestSerialNumbers:
    def test_a_taken_one_is_replaced(self) -> None:
        house = House(random=RepeatingRandom(2))
        first, second = house.enroll(), house.enroll()
        assert first.serial != second.serial
        assert result_of(Certificates(house.database).counts()) == {CertificateState.GOOD: 2}

    def test_a_generator_that_repeats_itself_stops_issuance(self) -> None:
        house = House(random=RepeatingRandom(100))
        house.enroll()
        with pytest.raises(Unavailable, match="serial"):
            house.enroll()
        assert house.audit.events[-1].outcome is Outcome.FAILED


class TestTheSignature:
    def test_of_a_key_that_is_not_the_cas_never_leaves_the_house(self, house: House) -> None:
        assert house.issuing.key is not None
        house.keys.private_keys[house.issuing.key] = ec.generate_private_key(ec.SECP256R1())
        with pytest.raises(Unavailable) as refused:
            house.enroll()
        assert str(house.issuing.key) in refused.value.detail
        assert str(house.issuing.key) not in refused.value.reason
        assert result_of(Certificates(house.database).counts()) == {}

    def test_over_something_else_never_leaves_the_house(self, house: House) -> None:
        other = x509.load_der_x509_certificate(house.enroll().certificate_der)

        async def replayed(reference: KeyReference, work: Callable[[PrivateKey], Any]) -> Any:
            return other

        house.keys.sign = replayed  # type: ignore[method-assign]  # a token that answers with the last answer
        with pytest.raises(Unavailable, match="something else"):
            house.enroll()


class TestACAThatEndsWhileItSigns:
    """Between the look at the CA and the store another node may disable or delete it."""

    @pytest.mark.parametrize("state", [AuthorityState.DISABLED, AuthorityState.DELETED])
    @pytest.mark.parametrize("record_before_signing", [False, True])
    def test_issues_nothing(self, house: House, state: AuthorityState, record_before_signing: bool) -> None:
        house.authorities.change(house.issuing, record_before_signing=record_before_signing)
        house.keys.sign = self._ending(house, state)  # type: ignore[method-assign]  # as above
        with pytest.raises(Conflict) as refused:
            house.enroll()
        assert refused.value.refusal_code == "ca-not-active"
        left = {CertificateState.RESERVED: 1} if record_before_signing else {}
        assert result_of(Certificates(house.database).counts()) == left

    def test_has_its_signature_audited_as_a_refusal(self, house: House) -> None:
        house.keys.sign = self._ending(house, AuthorityState.DISABLED)  # type: ignore[method-assign]  # as above
        with pytest.raises(Conflict):
            house.enroll()
        (event,) = house.audit.events
        assert (event.event, event.outcome) == ("certificate-refused", Outcome.REFUSED)
        assert event.fields["code"] == "ca-not-active"
        assert re.fullmatch(
            "the signed certificate with serial number [0-9a-f]+ was thrown away", event.fields["detail"]
        )

    def test_reserves_no_serial_number(self, house: House) -> None:
        """It has ended in the store already, and this node does not know yet."""
        house.authorities.change(house.issuing, record_before_signing=True)
        result_of(house.database.write(partial(_set_state, house.issuing.id, AuthorityState.DISABLED)))
        with pytest.raises(Conflict):
            house.enroll()
        assert result_of(Certificates(house.database).counts()) == {}

    def _ending(self, house: House, state: AuthorityState) -> Any:
        sign = house.keys.sign

        async def ending(reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
            await house.database.write(partial(_set_state, house.issuing.id, state))
            return await sign(reference, work)

        return ending


def _set_state(authority_id: str, state: AuthorityState, connection: Connection) -> None:
    connection.execute(update(authorities).where(authorities.c.id == authority_id).values(state=state.value))


class TestARecordBeforeSigning:
    def test_is_completed_by_the_signature(self, house: House) -> None:
        house.authorities.change(house.issuing, record_before_signing=True)
        seen: list[str] = []
        sign = house.keys.sign

        async def watched(reference: KeyReference, work: Callable[[PrivateKey], T]) -> T:
            seen.extend(await house.database.read(lambda c: list(c.scalars(select(certificates.c.state)))))
            return await sign(reference, work)

        house.keys.sign = watched  # type: ignore[method-assign]  # looks into the store when asked to sign
        issued = house.enroll()
        assert seen == ["reserved"]
        record = result_of(Certificates(house.database).find(house.issuing.id, issued.serial))
        assert (record.status.state, record.certificate_der) == (CertificateState.GOOD, issued.certificate_der)

    def test_stays_when_the_signature_fails(self, house: House) -> None:
        house.authorities.change(house.issuing, record_before_signing=True)

        async def broken(reference: KeyReference, work: object) -> object:
            raise Unavailable("token")

        house.keys.sign = broken  # type: ignore[method-assign, assignment]  # a token that was pulled
        with pytest.raises(Unavailable):
            house.enroll()
        assert result_of(Certificates(house.database).counts()) == {CertificateState.RESERVED: 1}

    def test_takes_another_serial_number_if_its_own_is_taken(self) -> None:
        house = House(random=RepeatingRandom(2))
        house.authorities.change(house.issuing, record_before_signing=True)
        assert house.enroll().serial != house.enroll().serial


class Gate:
    """Lets coroutines wait at named places until the test opens them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, Deferred[None]]] = []

    def wrap(self, place: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method, which waits before it begins."""

        async def gated(*arguments: Any, **values: Any) -> Any:
            waiting: Deferred[None] = Deferred()
            self.waiting.append((place, waiting))
            await waiting
            return await method(*arguments, **values)

        return gated

    def open(self) -> str:
        """Let the one that waits go on."""
        place, waiting = self.waiting.pop(0)
        waiting.callback(None)
        return place


def gated(house: House) -> Gate:
    """A house in which every await of the pipeline waits for the test."""
    gate = Gate()
    for thing, method in (
        (house.authorities, "get"),
        (house.authorities, "list"),
        (house.database, "write"),
        (house.keys, "sign"),
        (house.audit, "record"),
    ):
        setattr(thing, method, gate.wrap(method, getattr(thing, method)))
    return gate


def awaits(record_before_signing: bool) -> list[str]:
    return ["get", "list", *(["write"] if record_before_signing else []), "sign", "write"]


def cases() -> Iterator[tuple[bool, int]]:
    for record in (False, True):
        for leaves_at in range(len(awaits(record))):
            yield record, leaves_at


class TestAClientThatLeaves:
    @pytest.mark.parametrize(("record", "leaves_at"), list(cases()))
    def test_stops_the_work_before_signing_and_not_after(self, house: House, record: bool, leaves_at: int) -> None:
        """It leaves at each await in turn: nothing is half done, and what was begun to be signed is on record."""
        house.authorities.change(house.issuing, record_before_signing=record)
        gate = gated(house)
        outcome: list[Any] = []
        work: Deferred[Issued] = Deferred.fromCoroutine(house.pipeline.enroll(house.request()))
        work.addBoth(outcome.append)
        places = awaits(record)
        for place in places[:leaves_at]:
            assert gate.open() == place
        work.cancel()
        assert outcome[0].check(CancelledError)
        begun = leaves_at >= 2
        while begun and gate.waiting:
            gate.open()
        states = result_of(Certificates(house.database).counts())
        assert states == ({CertificateState.GOOD: 1} if begun else {})
        assert len(house.audit.events) == int(begun)
        result_of(house.pipeline.drain())

    def test_is_not_waited_for_but_drain_waits_for_its_certificate(self, house: House) -> None:
        gate = gated(house)
        work: Deferred[Issued] = Deferred.fromCoroutine(house.pipeline.enroll(house.request()))
        work.addErrback(lambda failure: failure.trap(CancelledError))
        gate.open()
        gate.open()
        work.cancel()
        drained: list[object] = []
        Deferred.fromCoroutine(house.pipeline.drain()).addCallback(drained.append)
        assert not drained
        gate.open()
        gate.open()
        assert drained
