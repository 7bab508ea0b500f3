"""Tokens in the hands of the libraries of two clients, which verify them with code of their own."""

from __future__ import annotations

import hashlib

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko_certvalidator import ValidationContext
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from cspd.keys.values import KeyType
from protocols.tsp.messages import Accuracy, HashAlgorithm
from protocols.tsp.token import TokenProfile
from tests.protocols.tsp.tokens import DATA, GEN_TIME, POLICY, imprint_of, unit
from tests.support.running import result_of

EVERYTHING = TokenProfile(policy=POLICY, accuracy=Accuracy(1, 2, 3), ordering=True, tsa_name=True, qualified=True)
PKCS7 = (
    KeyType.RSA_2048,
    KeyType.RSA_3072,
    KeyType.RSA_4096,
    KeyType.EC_P256,
    KeyType.EC_P384,
    KeyType.EC_P521,
)
"""rfc3161-client verifies with the PKCS #7 code of openssl, which knows no EdDSA or ML-DSA."""


@pytest.mark.requirement("R-TSA-035")
@pytest.mark.parametrize("key_type", KeyType)
def test_pyhanko_trusts_tokens_of_every_key_type(key_type: KeyType) -> None:
    made = unit(key_type)
    signed_data = cms.ContentInfo.load(made.token(EVERYTHING, nonce=3))["content"]
    context = ValidationContext(trust_roots=[asn1_x509.Certificate.load(made.chain_der[-1])])
    status = result_of(
        validate_tst_signed_data(signed_data, context, lambda algorithm: hashlib.new(algorithm, DATA).digest())
    )
    assert (status["intact"], status["valid"], status["trust_problem_indic"]) == (True, True, None)
    assert status["timestamp"] == GEN_TIME
    assert status["signing_cert"].dump() == made.certificate_der


@pytest.mark.parametrize("key_type", [KeyType.EC_P256, KeyType.ED448, KeyType.ML_DSA_44])
def test_pyhanko_does_not_trust_a_token_of_other_data(key_type: KeyType) -> None:
    made = unit(key_type)
    signed_data = cms.ContentInfo.load(made.token(EVERYTHING))["content"]
    context = ValidationContext(trust_roots=[asn1_x509.Certificate.load(made.chain_der[-1])])
    status = result_of(validate_tst_signed_data(signed_data, context, lambda _: hashlib.sha256(b"other").digest()))
    assert not status["intact"]


@pytest.mark.requirement("R-TSA-035")
@pytest.mark.parametrize("key_type", PKCS7)
@pytest.mark.parametrize("algorithm", [HashAlgorithm.SHA256, HashAlgorithm.SHA512])
def test_rfc3161_client_verifies_tokens(key_type: KeyType, algorithm: HashAlgorithm) -> None:
    made = unit(key_type)
    verifier = (
        VerifierBuilder()
        .add_root_certificate(made.chain[1])
        .add_intermediate_certificate(made.chain[0])
        .policy_id(x509.ObjectIdentifier(POLICY))
        .build()
    )
    response = decode_timestamp_response(made.response(EVERYTHING, imprint_of(DATA, algorithm), nonce=2**63))
    assert verifier.verify_message(response, DATA)
    assert response.tst_info.nonce == 2**63
    assert response.tst_info.gen_time == GEN_TIME.replace(microsecond=0), "it leaves fractions out"
