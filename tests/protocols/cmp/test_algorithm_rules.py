"""Which algorithms and keys a set of rules lets pass."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from cspd.x509 import tlv
from cspd.x509.signatures import Algorithm
from protocols.cmp.algorithm_rules import (
    AlgorithmRules,
    Digest,
    MACName,
    SignatureClass,
    SigningName,
    derived_macs,
    derived_signing_algorithms,
)
from protocols.cmp.config import RuleConfig
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.mac_algorithms import PBMAC1MAC, PasswordBasedMAC
from protocols.cmp.status import PKIFailureInfo

RSA_SHA256 = Algorithm("1.2.840.113549.1.1.11", tlv.NULL)
RSA_SHA512 = Algorithm("1.2.840.113549.1.1.13", tlv.NULL)
ECDSA_SHA256 = Algorithm("1.2.840.10045.4.3.2")
ECDSA_SHA384 = Algorithm("1.2.840.10045.4.3.3")
ECDSA_SHA3 = Algorithm("2.16.840.1.101.3.4.3.10")
ED25519 = Algorithm("1.3.101.112")
ML_DSA_65 = Algorithm("2.16.840.1.101.3.4.3.18")
_MGF1_SHA256 = tlv.sequence(
    tlv.object_identifier("1.2.840.113549.1.1.8"), tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.1"))
)
PSS_SHA256 = Algorithm(
    "1.2.840.113549.1.1.10",
    tlv.sequence(
        tlv.element(0xA0, tlv.sequence(tlv.object_identifier("2.16.840.1.101.3.4.2.1"))),
        tlv.element(0xA1, _MGF1_SHA256),
        tlv.element(0xA2, tlv.integer(32)),
    ),
)


def rules(**values: Any) -> AlgorithmRules:
    """A set."""
    return RuleConfig.model_validate({"id": "default", **values}).algorithm_rules()


@pytest.mark.requirement("R-CAGW-212")
def test_lists_that_are_not_given_are_derived() -> None:
    assert {mac.value for mac in derived_macs([Digest.SHA384])} == {"HMAC-SHA1", "HMAC-SHA384"}
    assert {each.value for each in derived_signing_algorithms([SignatureClass.ECDSA], [Digest.SHA256])} == {
        "SHA256withECDSA"
    }
    assert {each.value for each in derived_signing_algorithms([SignatureClass.RSA], Digest)} == {
        f"{digest}with{family}" for digest in ("SHA256", "SHA384", "SHA512") for family in ("RSA", "RSAandMGF1")
    }
    assert derived_signing_algorithms(SignatureClass, Digest) == frozenset(SigningName)
    assert rules().macs == {MACName.HMAC_SHA1, MACName.HMAC_SHA256, MACName.HMAC_SHA384}
    assert rules(mac_algorithms=["HMAC-SHA512"]).macs == {MACName.HMAC_SHA512}
    assert rules(signing_algorithms=["Ed25519"]).signing_algorithms == {SigningName.ED25519}


@pytest.mark.requirement("R-CAGW-211")
@pytest.mark.parametrize(
    ("algorithm", "values", "passes"),
    [
        (RSA_SHA256, {}, True),
        (PSS_SHA256, {}, True),
        (ECDSA_SHA256, {}, True),
        (ECDSA_SHA384, {}, True),
        (RSA_SHA512, {}, False),
        (RSA_SHA512, {"digest_algorithms": ["SHA-512"]}, True),
        (RSA_SHA256, {"digest_algorithms": ["SHA-512"]}, False),
        (RSA_SHA256, {"signature_classes": ["ecdsa"]}, False),
        (PSS_SHA256, {"signature_classes": ["ecdsa"]}, False),
        (ECDSA_SHA256, {"signature_classes": ["rsa"]}, False),
        (RSA_SHA256, {"signing_algorithms": ["SHA256withRSAandMGF1"]}, False),
        (ED25519, {}, False),
        (ED25519, {"signature_classes": ["eddsa"]}, True),
        (ML_DSA_65, {}, False),
        (ML_DSA_65, {"signature_classes": ["ml-dsa"]}, True),
        (ECDSA_SHA3, {}, False),
        (Algorithm("1.2.840.113549.1.1.5", tlv.NULL), {}, False),
        (Algorithm("1.2.3"), {}, False),
        (Algorithm("1.2.840.113549.1.1.10"), {}, False),
    ],
)
def test_signatures(algorithm: Algorithm, values: dict[str, Any], passes: bool) -> None:
    if passes:
        rules(**values).check_signature_algorithm(algorithm)
        return
    with pytest.raises(PKIMessageRejected) as raised:
        rules(**values).check_signature_algorithm(algorithm)
    assert raised.value.fail_info is PKIFailureInfo.BAD_ALG


@pytest.mark.requirement("R-CAGW-211")
@pytest.mark.parametrize(
    ("values", "passes"),
    [
        ({}, True),
        ({"digest_algorithms": ["SHA-384"]}, False),
        ({"mac_algorithms": ["HMAC-SHA384"]}, False),
        ({"min_iterations": 1001}, False),
        ({"max_iterations": 999}, False),
    ],
)
def test_macs(values: dict[str, Any], passes: bool) -> None:
    for mac in (PasswordBasedMAC(b"salt", 1000), PBMAC1MAC(b"salt", 1000)):
        if passes:
            assert rules(**values).read_mac(mac.algorithm) == mac
        else:
            with pytest.raises(PKIMessageRejected) as raised:
                rules(**values).read_mac(mac.algorithm)
            assert raised.value.fail_info is PKIFailureInfo.BAD_ALG


@pytest.mark.requirement("R-CAGW-211")
@pytest.mark.parametrize(
    ("key", "values", "passes"),
    [
        (rsa.generate_private_key(65537, 2048), {}, True),
        (rsa.generate_private_key(65537, 2048), {"min_rsa_bits": 2049}, False),
        (ec.generate_private_key(ec.SECP384R1()), {}, True),
        (ec.generate_private_key(ec.SECP256R1()), {"min_ec_bits": 384}, False),
        (ec.generate_private_key(ec.SECP521R1()), {}, False),
        (ec.generate_private_key(ec.SECP521R1()), {"curves": ["secp521r1"]}, True),
        (ec.generate_private_key(ec.SECP224R1()), {"min_ec_bits": 100}, False),
        (ed25519.Ed25519PrivateKey.generate(), {}, True),  # the profile says which other keys
        (dsa.generate_private_key(2048), {}, True),
    ],
)
def test_keys(key: Any, values: dict[str, Any], passes: bool) -> None:
    public_key = key.public_key()
    if passes:
        rules(**values).check_signer_key(public_key)
        rules(**values).check_requested_key(public_key)
        return
    with pytest.raises(PKIMessageRejected) as raised:
        rules(**values).check_signer_key(public_key)
    assert raised.value.fail_info is PKIFailureInfo.BAD_ALG
    with pytest.raises(PKIMessageRejected) as raised:
        rules(**values).check_requested_key(public_key)
    assert raised.value.fail_info is PKIFailureInfo.BAD_CERT_TEMPLATE
