"""Certification requests."""

from __future__ import annotations

from contextlib import suppress

import pytest
from asn1crypto import csr as asn1_csr
from asn1crypto.core import ObjectIdentifier
from asn1crypto.keys import PublicKeyInfo
from asn1crypto.x509 import Name
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from cspd.keys.values import PrivateKey
from cspd.x509.csr import EST_IDENTITY_LINKING, OTP_CHALLENGE, CSRError, CSRSignatureError, parse_csr
from cspd.x509.public_keys import PublicKeyError

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.org")])
SAN = x509.SubjectAlternativeName([x509.DNSName("www.example.org"), x509.DNSName("example.org")])
RSA_KEY = rsa.generate_private_key(65537, 2048)


def builder() -> x509.CertificateSigningRequestBuilder:
    """A request with a subject."""
    return x509.CertificateSigningRequestBuilder().subject_name(NAME)


def signed(
    request: x509.CertificateSigningRequestBuilder,
    key: PrivateKey = KEY,
    algorithm: hashes.SHA256 | None = hashes.SHA256(),  # noqa: B008  # a value
) -> bytes:
    """The DER of a signed request."""
    return request.sign(key, algorithm).public_bytes(Encoding.DER)


def test_a_request_says_what_it_asks_for() -> None:
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    request = parse_csr(
        signed(
            builder()
            .add_extension(SAN, critical=False)
            .add_extension(usages, critical=True)
            .add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret")
        )
    )
    assert request.subject == NAME
    assert request.public_key_der == KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert request.subject_alt_names == tuple(SAN)
    assert [(extension.value, extension.critical) for extension in request.extensions] == [(usages, True)]
    assert request.challenge_password == "secret"
    assert "secret" not in repr(request)


def test_challenges_have_attributes_of_their_own() -> None:
    """RFC 7894."""
    asked = builder().add_attribute(x509.ObjectIdentifier(OTP_CHALLENGE), b"one time")
    asked = asked.add_attribute(x509.ObjectIdentifier(EST_IDENTITY_LINKING), b"bound")
    request = parse_csr(signed(asked))
    assert (request.otp_challenge, request.est_identity_linking) == ("one time", "bound")
    assert request.attribute_types == {OTP_CHALLENGE, EST_IDENTITY_LINKING}
    assert "one time" not in repr(request)
    assert "bound" not in repr(request)


def test_a_bare_request_asks_for_nothing_more() -> None:
    request = parse_csr(signed(x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))))
    assert request.subject == x509.Name([])
    assert (request.subject_alt_names, request.extensions, request.challenge_password) == ((), (), None)


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
        mldsa.MLDSA44PrivateKey.generate(),
        mldsa.MLDSA65PrivateKey.generate(),
        mldsa.MLDSA87PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_keys_that_hash_by_themselves_prove_possession(key: PrivateKey) -> None:
    assert parse_csr(signed(builder(), key, None)).subject == NAME


def test_rsa_pss_proves_possession() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    request = builder().sign(RSA_KEY, hashes.SHA256(), rsa_padding=pss).public_bytes(Encoding.DER)
    assert parse_csr(request).subject == NAME


def changed(csr_der: bytes, **changes: object) -> bytes:
    """The request with fields of its certificationRequestInfo replaced, and the old signature."""
    request = asn1_csr.CertificationRequest.load(csr_der)
    for field, value in changes.items():
        request["certification_request_info"][field] = value
    return bytes(request.dump(force=True))


def with_microsoft_attribute(csr_der: bytes) -> bytes:
    """Microsoft's attribute in the place of extensionRequest (same length of neither), signed again."""
    request = asn1_csr.CertificationRequest.load(csr_der)
    information = request["certification_request_info"]
    information["attributes"][0]["type"] = "1.3.6.1.4.1.311.2.1.14"
    encoded = information.dump(force=True)
    request["signature"] = KEY.sign(encoded, ec.ECDSA(hashes.SHA256()))
    return bytes(request.dump(force=True))


def test_extensions_come_in_microsofts_attribute_too() -> None:
    request = parse_csr(with_microsoft_attribute(signed(builder().add_extension(SAN, critical=False))))
    assert request.subject_alt_names == tuple(SAN)


def element(tag: int, content: bytes) -> bytes:
    """DER of that tag and content."""
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content


def with_attributes(*attributes: bytes) -> bytes:
    """A request with these attributes, in the order of DER."""
    request = asn1_csr.CertificationRequest.load(signed(builder().add_extension(SAN, critical=False)))
    information = request["certification_request_info"]
    information["attributes"] = asn1_csr.CRIAttributes(contents=b"".join(sorted(attributes)))
    request["signature"] = KEY.sign(information.dump(), ec.ECDSA(hashes.SHA256()))
    return bytes(request.dump())


def attribute(oid: str, *values: bytes) -> bytes:
    """An attribute with these values, in the order of DER."""
    return element(0x30, ObjectIdentifier(oid).dump() + element(0x31, b"".join(sorted(values))))


REQUESTS, MICROSOFTS, UNKNOWN = "1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14", "1.2.3.4"
OURS, EVIL = (
    element(0x30, element(0x30, ObjectIdentifier("2.5.29.17").dump() + element(4, san.public_bytes())))
    for san in (SAN, x509.SubjectAlternativeName([x509.DNSName("evil.example")]))
)
TWO_VALUES = attribute(UNKNOWN, b"\x05\x00", b"\x0c\x00")


@pytest.mark.parametrize(
    "attributes",
    [
        [attribute(REQUESTS, OURS), attribute(REQUESTS, EVIL)],
        [attribute(REQUESTS, OURS), attribute(MICROSOFTS, EVIL)],
        [attribute(REQUESTS, OURS), attribute(REQUESTS, EVIL), TWO_VALUES],
        [attribute(REQUESTS, OURS), attribute(MICROSOFTS, EVIL), TWO_VALUES],
        [attribute(REQUESTS, OURS), attribute(MICROSOFTS, OURS, EVIL)],
    ],
    ids=["twice", "Microsoft's too", "twice, hidden", "Microsoft's too, hidden", "Microsoft's with two values"],
)
def test_two_lists_of_extensions_are_refused(attributes: list[bytes]) -> None:
    """We would take the first and another reader the second; an attribute with two values must not hide them."""
    with pytest.raises(CSRError, match="more than one extensionRequest"):
        parse_csr(with_attributes(*attributes))


@pytest.mark.parametrize("oid", [REQUESTS, MICROSOFTS])
@pytest.mark.parametrize("values", [[], [OURS, EVIL]], ids=["none", "two"])
def test_an_extension_request_has_one_value(oid: str, values: list[bytes]) -> None:
    with pytest.raises(CSRError, match="single-valued"):
        parse_csr(with_attributes(attribute(oid, *values)))


def test_an_unknown_attribute_may_have_two_values() -> None:
    request = parse_csr(with_attributes(attribute(REQUESTS, OURS), TWO_VALUES))
    assert request.subject_alt_names == tuple(SAN)


@pytest.mark.parametrize("tag", range(1, 31))
def test_a_name_of_any_string_type_is_read_or_refused(tag: int) -> None:
    """The library has an exception of its own for a BIT STRING, and policy for what may stand in a certificate."""
    request = asn1_csr.CertificationRequest.load(signed(builder()))
    information = request["certification_request_info"]
    encoded = information.dump().replace(b"\x0c\x0fwww", bytes([tag, 15]) + b"\x00\x01w")
    request["signature"] = KEY.sign(encoded, ec.ECDSA(hashes.SHA256()))
    request["certification_request_info"] = asn1_csr.CertificationRequestInfo.load(encoded)
    with suppress(CSRError):
        parse_csr(request.dump())


def test_a_changed_request_is_not_signed() -> None:
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.evil.example")]).public_bytes()
    with pytest.raises(CSRSignatureError):
        parse_csr(changed(signed(builder()), subject=Name.load(other)))


def test_another_keys_request_is_not_signed() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(CSRSignatureError):
        parse_csr(changed(signed(builder()), subject_pk_info=PublicKeyInfo.load(spki)))


def test_an_algorithm_of_another_kind_of_key_is_no_signature() -> None:
    request = asn1_csr.CertificationRequest.load(signed(builder()))
    request["signature_algorithm"] = {"algorithm": "sha256_rsa"}
    with pytest.raises(CSRSignatureError):
        parse_csr(request.dump(force=True))


@pytest.mark.parametrize(
    ("name", "algorithm", "tolerated"),
    [("sha1_rsa", hashes.SHA1(), True), ("md5_rsa", hashes.MD5(), False)],  # what old devices send
)
def test_sha1_is_tolerated_for_devices_and_md5_is_not(
    name: str, algorithm: hashes.HashAlgorithm, tolerated: bool
) -> None:
    request = asn1_csr.CertificationRequest.load(signed(builder(), RSA_KEY))
    request["signature_algorithm"] = {"algorithm": name}
    encoded = request["certification_request_info"].dump()
    request["signature"] = RSA_KEY.sign(encoded, padding.PKCS1v15(), algorithm)
    if tolerated:
        assert parse_csr(request.dump(force=True)).subject == NAME
    else:
        with pytest.raises(CSRSignatureError):
            parse_csr(request.dump(force=True))


def test_a_point_beside_the_curve_is_no_key() -> None:
    spki = bytearray(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    spki[-1] ^= 1
    with pytest.raises(PublicKeyError):
        parse_csr(changed(signed(builder()), subject_pk_info=PublicKeyInfo.load(bytes(spki))))


def test_names_are_counted() -> None:
    many = x509.SubjectAlternativeName([x509.DNSName(f"h{number}.example") for number in range(251)])
    with pytest.raises(CSRError, match="more than 250 names"):
        parse_csr(signed(builder().add_extension(many, critical=False)))


def test_octets_are_counted() -> None:
    large = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(40_000))
    with pytest.raises(CSRError, match="octets"):
        parse_csr(signed(builder().add_extension(large, critical=False)))


CSR = signed(builder().add_extension(SAN, critical=False))


@pytest.mark.parametrize(
    "csr_der",
    [b"", b"\x30\x00", b"-----BEGIN CERTIFICATE REQUEST-----", CSR[:-1], CSR + b"\0", CSR.replace(b"\x30", b"\x31", 1)],
    ids=["nothing", "empty", "PEM", "cut off", "trailing byte", "a SET"],
)
def test_what_is_no_request_is_refused(csr_der: bytes) -> None:
    with pytest.raises(CSRError):
        parse_csr(csr_der)
