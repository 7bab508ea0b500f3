"""What is evidence and what is not: tokens of our own with one thing wrong with each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import cache

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from cspd.keys.values import KeyType
from cspd.x509 import tlv
from cspd.x509.certificate_paths import MAX_PATH, PathError, find_path
from protocols.tsp.codec import REJECTIONS, encode_extensions, encode_granted, encode_rejection
from protocols.tsp.evidence import NOTHING_EXPECTED, Expectation, Flaw, Report
from protocols.tsp.hash_algorithms import digest_function
from protocols.tsp.messages import (
    Accuracy,
    Extension,
    HashAlgorithm,
    MessageImprint,
    PKIFailureInfo,
    PKIStatus,
    PKIStatusInfo,
    TimeStampReq,
)
from protocols.tsp.token import TokenProfile
from protocols.tsp.verification import verify
from tests.protocols.tsp.tokens import (
    DATA,
    FROM,
    GEN_TIME,
    POLICY,
    TIME_STAMPING,
    TSA_EXTENSIONS,
    UNTIL,
    authority,
    ca_extensions,
    certify,
    imprint_of,
    key_usage,
    unit,
)
from tests.support.running import result_of

EVERYTHING = TokenProfile(policy=POLICY, accuracy=Accuracy(1, 2, 3), ordering=True, tsa_name=True, qualified=True)
SIGNING = (key_usage(digital_signature=True), True)


def of_data(algorithm: HashAlgorithm) -> bytes:
    return digest_function(algorithm)(DATA)


def report_on(data: bytes, expectation: Expectation = NOTHING_EXPECTED, *, allow_sha1: bool = False) -> Report:
    return verify(data, trust_anchors=[authority().root], expectation=expectation, allow_sha1=allow_sha1)


def flaws(report: Report) -> set[Flaw]:
    return {finding.flaw for finding in report.findings}


def certificate_of_unit(
    *extensions: tuple[x509.ExtensionType, bool], issued_by: str = "Issuing", **options: object
) -> x509.Certificate:
    """Another certificate for the key of the unit."""
    public_key = unit().public_key
    return certify(public_key, "Time-Stamp Unit 1", issued_by, authority().issuing_key, *extensions, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("key_type", KeyType)
def test_our_tokens_are_evidence(key_type: KeyType) -> None:
    made = unit(key_type)
    request = TimeStampReq(imprint_of(DATA), POLICY, 12345)
    report = report_on(
        encode_granted(made.token(EVERYTHING, nonce=12345)),
        Expectation(digest_of=of_data, hashed_message=of_data(HashAlgorithm.SHA256), request=request, policy=POLICY),
    )
    assert report.findings == ()
    assert report.is_valid
    assert report.status == PKIStatusInfo(PKIStatus.GRANTED)
    assert report.signer == made.certificate
    assert report.path == (made.certificate, *made.chain)


def test_a_report_has_every_fact() -> None:
    token_der = unit().token(EVERYTHING, serial_number=99, nonce=7)
    report = report_on(token_der)
    assert report.status is None
    assert report.token_sha256 == hashlib.sha256(token_der).digest()
    assert report.hash_algorithm is HashAlgorithm.SHA256
    assert report.is_qualified
    assert (report.digest_algorithm, report.signature_algorithm) == ("2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2")
    info = report.tst_info
    assert info is not None
    assert (info.policy, info.serial_number, info.gen_time, info.nonce) == (POLICY, 99, GEN_TIME, 7)
    assert (info.accuracy, info.ordering) == (Accuracy(1, 2, 3), True)
    assert info.message_imprint == imprint_of(DATA)
    assert info.tsa_der is not None
    assert [(each.extn_id, each.critical) for each in info.extensions] == [("1.3.6.1.5.5.7.1.3", False)]


def test_a_token_in_ber_is_read() -> None:
    """CMS allows it; and other makers use it."""
    token_der = unit().token(EVERYTHING)
    start, stop = tlv.read_only(token_der, 0, len(token_der), tlv.SEQUENCE)
    report = report_on(b"\x30\x80" + token_der[start:stop] + b"\x00\x00")
    assert report.is_valid
    assert report.token_sha256 == hashlib.sha256(token_der).digest()


def test_certificates_may_come_from_elsewhere() -> None:
    made = unit()
    token_der = made.token(cert_req=False)
    assert flaws(report_on(token_der)) == {Flaw.NO_CERTIFICATE}
    given_ones = [made.certificate, made.chain[0]]
    assert verify(token_der, trust_anchors=[made.chain[1]], certificates=given_ones).is_valid


def test_a_unit_can_be_the_trust_anchor_itself() -> None:
    made = unit()
    report = verify(made.token(), trust_anchors=[made.certificate])
    assert report.is_valid
    assert report.path == (made.certificate,)


@pytest.mark.parametrize("fail_info", PKIFailureInfo)
def test_a_rejection_is_no_evidence(fail_info: PKIFailureInfo) -> None:
    report = report_on(REJECTIONS[fail_info])
    assert flaws(report) == {Flaw.NOT_GRANTED}
    assert fail_info.name in report.findings[0].detail
    assert report.status is not None
    assert report.status.fail_info is fail_info


def test_a_granted_response_without_a_token_is_no_evidence() -> None:
    assert flaws(report_on(encode_rejection(PKIStatusInfo(PKIStatus.GRANTED)))) == {Flaw.NOT_GRANTED}


@pytest.mark.parametrize(
    ("expectation", "flaw"),
    [
        (Expectation(digest_of=lambda algorithm: digest_function(algorithm)(b"other data")), Flaw.IMPRINT),
        (Expectation(hashed_message=bytes(32)), Flaw.IMPRINT),
        (Expectation(request=TimeStampReq(imprint_of(b"other data"), nonce=7)), Flaw.IMPRINT),
        (Expectation(request=TimeStampReq(imprint_of(DATA, HashAlgorithm.SHA3_256), nonce=7)), Flaw.IMPRINT),
        (Expectation(request=TimeStampReq(imprint_of(DATA), nonce=8)), Flaw.NONCE),
        (Expectation(request=TimeStampReq(imprint_of(DATA))), Flaw.NONCE),
        (Expectation(request=TimeStampReq(imprint_of(DATA), "1.2.3", 7)), Flaw.POLICY),
        (Expectation(policy="1.2.3"), Flaw.POLICY),
    ],
)
def test_a_token_about_something_else_is_no_evidence(expectation: Expectation, flaw: Flaw) -> None:
    assert flaws(report_on(unit().token(nonce=7), expectation)) == {flaw}


def test_null_parameters_of_the_query_do_not_matter() -> None:
    algorithm_der = tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.1"), tlv.NULL)
    hashed = of_data(HashAlgorithm.SHA256)
    encoded = tlv.sequence(algorithm_der, tlv.element(tlv.OCTET_STRING, hashed))
    request = TimeStampReq(MessageImprint(algorithm_der, hashed, encoded))
    assert report_on(unit().token(), Expectation(request=request)).is_valid


@pytest.mark.parametrize(
    ("extensions", "flaw"),
    [
        ((SIGNING,), Flaw.KEY_USAGE),
        (((TIME_STAMPING, False), SIGNING), Flaw.KEY_USAGE),
        (
            (
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH]), True),
                SIGNING,
            ),
            Flaw.KEY_USAGE,
        ),
        (((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True), SIGNING), Flaw.KEY_USAGE),
        (((TIME_STAMPING, True), (key_usage(key_cert_sign=True), True)), Flaw.KEY_USAGE),
        (((*TSA_EXTENSIONS, (x509.OCSPNoCheck(), True))), Flaw.PATH),
    ],
    ids=[
        "no extendedKeyUsage",
        "not critical",
        "not alone",
        "another",
        "no digitalSignature",
        "an unknown critical extension",
    ],
)
def test_a_certificate_for_something_else_is_no_evidence(
    extensions: tuple[tuple[x509.ExtensionType, bool], ...], flaw: Flaw
) -> None:
    assert flaws(report_on(unit().token(certificate=certificate_of_unit(*extensions)))) == {flaw}


@pytest.mark.parametrize("days", [-1, 1], ids=["expired", "not yet valid"])
def test_a_certificate_must_be_valid_at_gen_time(days: int) -> None:
    validity = (GEN_TIME + timedelta(days=1), UNTIL) if days > 0 else (FROM, GEN_TIME - timedelta(days=1))
    certificate = certificate_of_unit(*TSA_EXTENSIONS, validity=validity)
    report = report_on(unit().token(certificate=certificate))
    assert flaws(report) == {Flaw.PATH}
    assert report.signer == certificate
    then = validity[0] + timedelta(hours=1)
    assert report_on(unit().token(certificate=certificate, gen_time=then)).is_valid


def test_another_certificate_of_the_same_key_and_number_is_noticed() -> None:
    """What signingCertificate is for (RFC 2634, 5.4): the signature alone fits both."""
    made = unit()
    twin = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(made.certificate.issuer)
        .public_key(made.certificate.public_key())
        .serial_number(made.certificate.serial_number)
        .not_valid_before(FROM)
        .not_valid_after(UNTIL)
        .add_extension(*TSA_EXTENSIONS[0])
        .sign(authority().issuing_key, made.certificate.signature_hash_algorithm)
    )
    token_der = made.token(cert_req=False)
    report = verify(token_der, trust_anchors=[made.chain[1]], certificates=[twin, made.chain[0]])
    assert flaws(report) == {Flaw.SIGNING_CERTIFICATE}


def test_tsa_must_be_a_name_of_the_certificate() -> None:
    made = unit()
    token_der = made.token(TokenProfile(policy=POLICY, tsa_name=True))
    old, new = b"Time-Stamp Unit 1", b"Time-Stamp Unit 2"
    at = token_der.index(old)
    assert Flaw.TSA_NAME in flaws(report_on(token_der[:at] + new + token_der[at + len(old) :]))


def signed(info_der: bytes, change_attributes: Callable[[bytes], bytes] = lambda attributes: attributes) -> bytes:
    """A token with this TSTInfo, whose signature is over the attributes as changed."""
    made, encoder = unit(), unit().encoder()
    attributes_der = change_attributes(encoder.signed_attributes(info_der))
    signature = result_of(made.signer().sign(attributes_der))
    return encoder.token(info_der, attributes_der, signature, cert_req=True)


def plain_tst_info() -> bytes:
    return unit().encoder().tst_info(imprint_of(DATA), serial_number=1, gen_time=GEN_TIME, nonce=None)


def test_another_content_type_in_the_attributes_is_noticed() -> None:
    def change(attributes: bytes) -> bytes:
        oid = tlv.object_identifier("1.2.840.113549.1.9.16.1.4")
        assert attributes.count(oid) == 1
        return attributes.replace(oid, tlv.object_identifier("1.2.840.113549.1.9.16.1.5"))

    assert report_on(signed(plain_tst_info())).is_valid
    assert flaws(report_on(signed(plain_tst_info(), change))) == {Flaw.CONTENT_TYPE}


def test_another_serial_number_in_the_attributes_is_noticed() -> None:
    def change(attributes: bytes) -> bytes:
        number = unit().certificate.serial_number
        assert attributes.count(tlv.integer(number)) == 1
        return attributes.replace(tlv.integer(number), tlv.integer(number ^ 1))

    assert flaws(report_on(signed(plain_tst_info(), change))) == {Flaw.SIGNING_CERTIFICATE}


@pytest.mark.parametrize("critical", [False, True])
def test_a_critical_extension_that_we_do_not_know_is_no_evidence(*, critical: bool) -> None:
    info_der = plain_tst_info()
    start, stop = tlv.read_only(info_der, 0, len(info_der), tlv.SEQUENCE)
    extensions = encode_extensions((Extension("1.2.3", critical, b"\x05\x00"),), 0xA1)
    report = report_on(signed(tlv.sequence(info_der[start:stop], extensions)))
    assert flaws(report) == ({Flaw.EXTENSION} if critical else set())


def signed_with(**changes: bytes) -> bytes:
    """A token whose parts are not those that go together."""
    made, encoder = unit(), unit().encoder()
    info_der = encoder.tst_info(imprint_of(DATA), serial_number=1, gen_time=GEN_TIME, nonce=None)
    attributes_der = encoder.signed_attributes(changes.get("other_content", info_der))
    signature = result_of(made.signer().sign(changes.get("other_attributes", attributes_der)))
    return encoder.token(info_der, attributes_der, signature, cert_req=True)


def test_a_signature_over_something_else_is_no_evidence() -> None:
    assert flaws(report_on(signed_with())) == set()
    assert flaws(report_on(signed_with(other_attributes=b"1\x00"))) == {Flaw.SIGNATURE}
    assert flaws(report_on(signed_with(other_content=b"0\x00"))) == {Flaw.MESSAGE_DIGEST}


def test_algorithms_are_those_that_were_signed() -> None:
    """RFC 6211. The bare rsaEncryption, with the digest beside it, verifies as well; but nobody signed for it."""
    made = unit(KeyType.RSA_2048)
    token_der = made.token()
    assert report_on(token_der).is_valid
    bare_rsa = tlv.sequence(tlv.object_identifier("1.2.840.113549.1.1.1"), tlv.NULL)
    content_info = cms.ContentInfo.load(token_der)
    content_info["content"]["signer_infos"][0]["signature_algorithm"] = cms.SignedDigestAlgorithm.load(bare_rsa)
    assert flaws(report_on(content_info.dump(force=True))) == {Flaw.ALGORITHMS}


def test_a_path_must_lead_to_a_trust_anchor() -> None:
    other = certify(*_other_root(), *ca_extensions())
    report = verify(unit().token(), trust_anchors=[other])
    assert flaws(report) == {Flaw.PATH}
    assert report.path == ()
    assert flaws(verify(unit().token(), trust_anchors=[])) == {Flaw.PATH}


def _other_root() -> tuple[ec.EllipticCurvePublicKey, str, str, ec.EllipticCurvePrivateKey]:
    """With the name of ours."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.public_key(), "Root", "Root", key


def test_sha1_is_refused_in_the_signature_unless_allowed_and_never_in_the_imprint() -> None:
    token_der = unit().token(signature_digest=HashAlgorithm.SHA1)
    assert flaws(report_on(token_der)) == {Flaw.SIGNATURE}
    assert report_on(token_der, allow_sha1=True).is_valid
    report = report_on(unit().token(imprint=imprint_of(DATA, HashAlgorithm.SHA1)), Expectation(digest_of=of_data))
    assert report.is_valid
    assert report.hash_algorithm is HashAlgorithm.SHA1


# Paths


@cache
def _keys() -> tuple[ec.EllipticCurvePrivateKey, ...]:
    return tuple(ec.generate_private_key(ec.SECP256R1()) for _ in range(3))


CAExtensions = tuple[tuple[x509.ExtensionType, bool], ...]
TSA_USAGE = ExtendedKeyUsageOID.TIME_STAMPING
PLAIN_CA: CAExtensions = ca_extensions()


def chain(
    *, root: CAExtensions = PLAIN_CA, issuing: CAExtensions = PLAIN_CA
) -> tuple[x509.Certificate, x509.Certificate, x509.Certificate]:
    root_key, issuing_key, unit_key = _keys()
    return (
        certify(unit_key.public_key(), "Unit", "Issuing", issuing_key, *TSA_EXTENSIONS),
        certify(issuing_key.public_key(), "Issuing", "Root", root_key, *issuing),
        certify(root_key.public_key(), "Root", "Root", root_key, *root),
    )


def path_of(certificates: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    leaf, *intermediates, root = certificates
    return find_path(
        leaf, intermediates=intermediates, trust_anchors=[root], at=GEN_TIME, usage=ExtendedKeyUsageOID.TIME_STAMPING
    )


def test_a_chain_is_a_path() -> None:
    certificates = chain()
    assert path_of(certificates) == certificates


@pytest.mark.parametrize(
    ("make", "lacking"),
    [
        (lambda: chain(issuing=((key_usage(key_cert_sign=True), True),)), "no basicConstraints"),
        (lambda: chain(issuing=((x509.BasicConstraints(ca=False, path_length=None), True),)), "is no CA"),
        (lambda: chain(issuing=(ca_extensions()[0], SIGNING)), "keyUsage"),
        (lambda: chain(root=ca_extensions(0)), "allows 0 CAs below it"),
        (
            lambda: chain(
                issuing=(*ca_extensions(), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False))
            ),
            "extendedKeyUsage",
        ),
        (
            lambda: chain(
                issuing=(
                    *ca_extensions(),
                    (x509.NameConstraints([x509.DNSName("example.com")], None), True),
                )
            ),
            "2.5.29.30, which is not processed",
        ),
    ],
    ids=["no basicConstraints", "no CA", "no keyCertSign", "path length", "extendedKeyUsage", "nameConstraints"],
)
def test_a_ca_that_may_not_is_on_no_path(make: Callable[[], tuple[x509.Certificate, ...]], lacking: str) -> None:
    with pytest.raises(PathError, match=lacking):
        path_of(make())


def test_a_ca_for_timestamping_is_on_a_path() -> None:
    certificates = chain(issuing=(*ca_extensions(), (TIME_STAMPING, False)))
    assert path_of(certificates) == certificates


def test_a_certificate_with_another_signature_is_on_no_path() -> None:
    leaf, _, root = chain()
    stranger = ec.generate_private_key(ec.SECP256R1())
    impostor = certify(stranger.public_key(), "Issuing", "Root", _keys()[0], *ca_extensions())
    with pytest.raises(PathError, match="not signed by"):
        path_of((leaf, impostor, root))
    real = chain()[1]
    assert find_path(
        leaf, intermediates=[impostor, real], trust_anchors=[root], at=GEN_TIME, usage=ExtendedKeyUsageOID.TIME_STAMPING
    ) == (leaf, real, root)


@pytest.mark.parametrize("cas", [MAX_PATH - 1, MAX_PATH])
def test_a_path_has_a_greatest_length(cas: int) -> None:
    key = _keys()[0]
    names = [f"CA {number}" for number in range(cas)]
    leaf = certify(key.public_key(), "Unit", names[0], key, *TSA_EXTENSIONS)
    issuers = [
        certify(key.public_key(), subject, issuer, key, *PLAIN_CA)
        for subject, issuer in zip(names, [*names[1:], names[-1]], strict=True)
    ]
    if cas < MAX_PATH:
        assert path_of((leaf, *issuers)) == (leaf, *issuers)
    else:
        with pytest.raises(PathError, match=f"longer than {MAX_PATH}"):
            path_of((leaf, *issuers))


def test_a_search_has_an_end() -> None:
    """Certificates that issue each other, all with one name and key, would make 30 to the power of 7 paths."""
    key = _keys()[0]
    leaf = certify(key.public_key(), "Loop", "Loop", key, *TSA_EXTENSIONS)
    loops = [certify(key.public_key(), "Loop", "Loop", key, *ca_extensions()) for _ in range(30)]
    with pytest.raises(PathError, match="within 64 signatures"):
        find_path(
            leaf, intermediates=loops, trust_anchors=[chain()[2]], at=GEN_TIME, usage=ExtendedKeyUsageOID.TIME_STAMPING
        )


# Whatever the bytes are


@pytest.mark.parametrize(
    "data",
    [b"", b"\x30", b"\x30\x00", b"\x30\x80\x00\x00", b"\x30\x02\x06\x00", b"\x30\x80" * 200, b"text", bytes(300_000)],
)
def test_what_is_no_token_is_unreadable(data: bytes) -> None:
    assert flaws(report_on(data)) == {Flaw.UNREADABLE}


def test_numbers_that_nobody_could_print_are_unreadable() -> None:
    """Python refuses to print an int of more than 4300 digits."""
    encoder = unit().encoder()
    info_der = encoder.tst_info(imprint_of(DATA), serial_number=1 << 20_000, gen_time=GEN_TIME, nonce=None)
    token_der = encoder.token(info_der, encoder.signed_attributes(info_der), b"signature")
    assert flaws(report_on(token_der)) == {Flaw.UNREADABLE}


@pytest.mark.parametrize("number", [0, 2])
def test_other_signers_than_one_are_no_evidence(number: int) -> None:
    """RFC 3161, 2.4.2: the token shall have no signature but that of the TSA."""
    content_info = cms.ContentInfo.load(unit().token())
    signer_infos = content_info["content"]["signer_infos"]
    (only,) = signer_infos
    content_info["content"]["signer_infos"] = [only] * number
    assert flaws(report_on(content_info.dump(force=True))) == {Flaw.SIGNERS}
