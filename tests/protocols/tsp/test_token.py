"""Tokens, taken apart by asn1crypto and verified by cryptography."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms, tsp, x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cspd.keys.values import KeyType
from cspd.x509 import tlv
from cspd.x509.der import check_encoding
from protocols.tsp import codec
from protocols.tsp.hash_algorithms import ALGORITHM_IDENTIFIERS, SIGNATURE_HASHES, digest_function
from protocols.tsp.messages import Accuracy, HashAlgorithm, MessageImprint
from protocols.tsp.token import TokenProfile, accuracy_of
from tests.protocols.tsp.tokens import DATA, GEN_TIME, PLAIN, POLICY, imprint_of, unit
from tests.support.verifying import verify_signature

SHA512_ALONE = (KeyType.ED25519, KeyType.ML_DSA_44, KeyType.ML_DSA_65, KeyType.ML_DSA_87)


def signed_data(token_der: bytes) -> cms.SignedData:
    """The SignedData of a token, which must be DER to the last octet."""
    content_info = cms.ContentInfo.load(token_der, strict=True)
    assert content_info["content_type"].native == "signed_data"
    content_info.native  # noqa: B018  # walks it
    assert content_info.dump(force=True) == token_der
    return content_info["content"]


def tst_info(token_der: bytes) -> tsp.TSTInfo:
    content = signed_data(token_der)["encap_content_info"]
    assert content["content_type"].native == "tst_info"
    return content["content"].parsed


def signer_info(token_der: bytes) -> cms.SignerInfo:
    (only,) = signed_data(token_der)["signer_infos"]
    return only


def attributes(token_der: bytes) -> dict[str, cms.CMSAttribute]:
    signed = signer_info(token_der)["signed_attrs"]
    found = {each["type"].native: each for each in signed}
    assert len(found) == len(signed)
    assert all(len(each["values"]) == 1 for each in signed)
    return found


def extensions_of(info: tsp.TSTInfo) -> dict[str, tuple[bool, bytes]]:
    return {each["extn_id"].dotted: (each["critical"].native, bytes(each["extn_value"])) for each in info["extensions"]}


@pytest.mark.requirement("R-TSA-035")
@pytest.mark.parametrize("key_type", KeyType)
def test_every_key_type_signs_the_attributes(key_type: KeyType) -> None:
    made = unit(key_type)
    token_der = made.token(cert_req=False)  # asn1crypto does not know ML-DSA keys in certificates
    signer = signer_info(token_der)
    signed = b"\x31" + signer["signed_attrs"].dump()[1:]
    signature = signer["signature"].native
    assert signer["signature_algorithm"].dump() == made.signer().algorithm_der
    if isinstance(made.public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        verify_signature(made.public_key, signature, signed, SIGNATURE_HASHES[HashAlgorithm.SHA256])
    else:
        made.public_key.verify(signature, signed)


@pytest.mark.parametrize("key_type", KeyType)
def test_the_digest_is_the_one_for_the_key(key_type: KeyType) -> None:
    """RFC 8419, 3.1 and RFC 9882, 3.3 for keys that hash by themselves."""
    token_der = unit(key_type).token(cert_req=False)
    content_der = bytes(signed_data(token_der)["encap_content_info"]["content"])
    digest = attributes(token_der)["message_digest"]["values"][0].native
    algorithm_der = signer_info(token_der)["digest_algorithm"].dump()
    if key_type is KeyType.ED448:
        assert algorithm_der == tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.18"), tlv.integer(512))
        assert digest == hashlib.shake_256(content_der).digest(64)
    elif key_type in SHA512_ALONE:
        assert algorithm_der == ALGORITHM_IDENTIFIERS[HashAlgorithm.SHA512]
        assert digest == hashlib.sha512(content_der).digest()
    else:
        assert algorithm_der == ALGORITHM_IDENTIFIERS[HashAlgorithm.SHA256]
        assert digest == hashlib.sha256(content_der).digest()


@pytest.mark.requirement("R-TSA-031")
@pytest.mark.parametrize("algorithm", HashAlgorithm)
@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P384])
def test_digest_and_signature_hash_follow_the_configured_digest(key_type: KeyType, algorithm: HashAlgorithm) -> None:
    made = unit(key_type)
    token_der = made.token(signature_digest=algorithm)
    data, signer = signed_data(token_der), signer_info(token_der)
    assert [each.dump() for each in data["digest_algorithms"]] == [ALGORITHM_IDENTIFIERS[algorithm]]
    assert signer["digest_algorithm"].dump() == ALGORITHM_IDENTIFIERS[algorithm]
    content_der = bytes(data["encap_content_info"]["content"])
    assert attributes(token_der)["message_digest"]["values"][0].native == digest_function(algorithm)(content_der)
    signed = b"\x31" + signer["signed_attrs"].dump()[1:]
    verify_signature(made.public_key, signer["signature"].native, signed, SIGNATURE_HASHES[algorithm])


def test_versions_are_those_of_the_standards() -> None:
    """RFC 5652, 5.1 and 5.3: 3, for content that is no id-data; 1, for issuerAndSerialNumber. RFC 3161, 2.4.2: 1."""
    token_der = unit().token()
    assert signed_data(token_der)["version"].native == "v3"
    assert signer_info(token_der)["version"].native == "v1"
    assert tst_info(token_der)["version"].native == "v1"


def test_the_signer_is_named_as_its_certificate_names_it() -> None:
    made = unit()
    identifier = signer_info(made.token())["sid"].chosen
    certificate = x509.Certificate.load(made.certificate_der)
    assert identifier["issuer"].dump() == certificate.issuer.dump()
    assert identifier["serial_number"].native == made.certificate.serial_number


@pytest.mark.requirement("R-TSA-033")
def test_signing_certificate_v2_matches_the_certificate() -> None:
    made = unit()
    value = attributes(made.token())["signing_certificate_v2"]["values"][0]
    (only,) = value["certs"]
    assert only["cert_hash"].native == hashlib.sha256(made.certificate_der).digest()
    assert only["hash_algorithm"].native["algorithm"] == "sha256"
    assert only["hash_algorithm"].dump() not in value.dump(), "the default is left out"
    assert only["issuer_serial"]["serial_number"].native == made.certificate.serial_number
    (issuer,) = only["issuer_serial"]["issuer"]
    assert issuer.native == x509.Certificate.load(made.certificate_der).issuer.native


def test_the_attributes_are_those_that_readers_ask_for() -> None:
    """Sorted as DER wants it, and with the algorithms under the signature (RFC 6211)."""
    made = unit()
    token_der = made.token()
    found = attributes(token_der)
    assert set(found) == {"content_type", "message_digest", "signing_certificate_v2", "cms_algorithm_protection"}
    assert found["content_type"]["values"][0].native == "tst_info"
    protection = found["cms_algorithm_protection"]["values"][0]
    assert protection["digest_algorithm"].dump() == signer_info(token_der)["digest_algorithm"].dump()
    assert protection["signature_algorithm"].native["algorithm"] == "sha256_ecdsa"
    encodings = [each.dump() for each in signer_info(token_der)["signed_attrs"]]
    assert encodings == sorted(encodings)


@pytest.mark.requirement("R-TSA-032")
def test_certificates_are_there_only_when_asked_for() -> None:
    made = unit()
    with_certificates = signed_data(made.token(cert_req=True))["certificates"]
    assert {each.dump() for each in with_certificates} == {made.certificate_der, *made.chain_der}
    assert not signed_data(made.token(cert_req=False))["certificates"]


@pytest.mark.requirement("R-TSA-024")
@pytest.mark.parametrize("parameters", [b"", tlv.NULL], ids=["absent", "NULL"])
@pytest.mark.parametrize("nonce", [None, 0, -1, 2**63, -(2**511)])
def test_imprint_and_nonce_come_back_unchanged(parameters: bytes, nonce: int | None) -> None:
    algorithm_der = tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.1"), parameters)
    hashed = bytes(range(32))
    encoded = tlv.sequence(algorithm_der, tlv.element(tlv.OCTET_STRING, hashed))
    info = tst_info(unit().token(imprint=MessageImprint(algorithm_der, hashed, encoded), nonce=nonce))
    assert info["message_imprint"].dump() == encoded
    assert info["nonce"].native == nonce


@pytest.mark.requirement("R-TSA-025")
@pytest.mark.parametrize(
    ("span", "accuracy"),
    [
        (timedelta(seconds=1), {"seconds": 1, "millis": None, "micros": None}),
        (timedelta(milliseconds=500), {"seconds": None, "millis": 500, "micros": None}),
        (timedelta(microseconds=999), {"seconds": None, "millis": None, "micros": 999}),
        (timedelta(days=1, seconds=2, microseconds=128_128), {"seconds": 86402, "millis": 128, "micros": 128}),
    ],
)
def test_accuracy_is_what_is_configured(span: timedelta, accuracy: dict[str, int | None]) -> None:
    profile = TokenProfile(policy=POLICY, accuracy=accuracy_of(span))
    assert tst_info(unit().token(profile))["accuracy"].native == accuracy
    assert tst_info(unit().token(PLAIN))["accuracy"].native is None


@pytest.mark.requirement("R-TSA-026")
def test_ordering_is_true_only_when_on() -> None:
    ordered = TokenProfile(policy=POLICY, accuracy=Accuracy(1), ordering=True)
    assert tst_info(unit().token(ordered))["ordering"].native is True
    plain = tst_info(unit().token(PLAIN))
    assert plain["ordering"].native is False


@pytest.mark.requirement("R-TSA-030")
def test_the_qualified_statement_is_there_only_when_on() -> None:
    """EN 319 422, 9.1. The octets of the identifier are computed by hand from X.690, 8.19."""
    info = tst_info(unit().token(TokenProfile(policy=POLICY, qualified=True)))
    expected = bytes.fromhex("300b 3009 0607 0400 8197 5e01 01")
    assert extensions_of(info) == {"1.3.6.1.5.5.7.1.3": (False, expected)}
    assert extensions_of(tst_info(unit().token(PLAIN))) == {}


def test_tsa_is_the_subject_only_when_on() -> None:
    made = unit()
    info = tst_info(made.token(TokenProfile(policy=POLICY, tsa_name=True)))
    subject = x509.Certificate.load(made.certificate_der).subject.dump()
    assert info["tsa"].dump() == tlv.element(0xA0, tlv.element(0xA4, subject))
    assert tst_info(made.token(PLAIN))["tsa"].native is None


def test_a_token_says_when_and_under_which_policy() -> None:
    info = tst_info(unit().token(serial_number=2**159 - 1, gen_time=GEN_TIME))
    assert info["policy"].dotted == POLICY
    assert info["serial_number"].native == 2**159 - 1
    assert info["gen_time"].contents == b"20261124221500.1234Z"
    assert tst_info(unit().token(gen_time=datetime(2026, 1, 1, tzinfo=UTC)))["gen_time"].contents == b"20260101000000Z"


def test_everything_at_once_is_in_the_order_of_the_standard() -> None:
    everything = TokenProfile(policy=POLICY, accuracy=Accuracy(1, 2, 3), ordering=True, tsa_name=True, qualified=True)
    info = tst_info(unit().token(everything, nonce=7))
    assert info.native["accuracy"] == {"seconds": 1, "millis": 2, "micros": 3}
    assert info.native["ordering"] is True
    assert info.native["nonce"] == 7
    assert info.native["tsa"]["common_name"] == "Time-Stamp Unit 1"
    assert len(info["extensions"]) == 1


def test_a_granted_response_is_the_token_and_its_status() -> None:
    token_der = unit().token()
    response = tsp.TimeStampResp.load(codec.encode_granted(token_der), strict=True)
    assert response["status"].native == {"status": "granted", "status_string": None, "fail_info": None}
    assert response["time_stamp_token"].dump() == token_der


@pytest.mark.parametrize("signature_octets", [1, 60, 127, 128, 255, 256, 5000, 70_000])
def test_heads_follow_the_lengths(signature_octets: int) -> None:
    """The same encoder, with contents and signatures of all lengths, in no order."""
    encoder = unit().encoder()
    for nonce in (None, 2**500, 1):
        for cert_req in (False, True):
            info_der = encoder.tst_info(imprint_of(DATA), serial_number=1, gen_time=GEN_TIME, nonce=nonce)
            attributes_der = encoder.signed_attributes(info_der)
            token_der = encoder.token(info_der, attributes_der, bytes(signature_octets), cert_req=cert_req)
            check_encoding(token_der)
            data = cms.ContentInfo.load(token_der, strict=True)["content"]
            signer = data["signer_infos"][0]
            assert signer["signature"].contents == bytes(signature_octets)
            assert bytes(data["encap_content_info"]["content"]) == info_der
            assert signer["signed_attrs"].dump()[1:] == attributes_der[1:]
            assert len(data["certificates"]) == (3 if cert_req else 0)
