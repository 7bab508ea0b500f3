from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from cspd.x509 import tlv
from cspd.x509.signatures import Algorithm, encode_algorithm
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.mac_algorithms import (
    DH_BASED_MAC,
    KEM_BASED_MAC,
    PASSWORD_BASED_MAC,
    PBKDF2,
    PBMAC1,
    PBMAC1MAC,
    MACAlgorithm,
    MACPolicy,
    PasswordBasedMAC,
    read_mac_algorithm,
)
from protocols.cmp.status import PKIFailureInfo

SALT = b"0123456789abcdef"
SHA1 = Algorithm("1.3.14.3.2.26", tlv.NULL)
HMAC_SHA1 = Algorithm("1.2.840.113549.2.7", tlv.NULL)
HMAC_SHA512 = Algorithm("1.2.840.113549.2.11", tlv.NULL)
AES_GMAC = Algorithm("2.16.840.1.101.3.4.1.9", tlv.NULL)
PBM = PasswordBasedMAC(SALT, 100)
PBMAC = PBMAC1MAC(SALT, 100)


@pytest.mark.parametrize(
    "algorithm",
    [
        PBM,
        PasswordBasedMAC(b"", 100_000, Algorithm("2.16.840.1.101.3.4.2.3"), HMAC_SHA512),
        PBMAC,
        PBMAC1MAC(SALT, 100, None, HMAC_SHA1, HMAC_SHA512),
        PBMAC1MAC(SALT, 100, 64, HMAC_SHA512, HMAC_SHA1),
    ],
)
def test_parameters_are_read_as_they_were_written(algorithm: MACAlgorithm) -> None:
    assert read_mac_algorithm(algorithm.algorithm) == algorithm


def test_a_password_based_mac_hashes_the_secret_with_the_salt_over_and_over() -> None:
    key = b"secret" + SALT
    for _ in range(100):
        key = hashlib.sha256(key).digest()
    assert PBM.derive(b"secret").mac(b"octets") == hmac.digest(key, b"octets", "sha256")


@pytest.mark.parametrize(("key_length", "octets"), [(32, 32), (None, 64), (20, 20)])
def test_pbmac1_is_pbkdf2_and_hmac(key_length: int | None, octets: int) -> None:
    algorithm = PBMAC1MAC(SALT, 100, key_length, mac=HMAC_SHA512)
    key = PBKDF2HMAC(hashes.SHA256(), octets, SALT, 100).derive(b"secret")
    assert algorithm.derive(b"secret").mac(b"octets") == hmac.digest(key, b"octets", "sha512")


def test_a_key_is_not_printed() -> None:
    key = PBM.derive(b"secret")
    assert repr(key.key) not in repr(key)


def _pbm(*elements: bytes) -> Algorithm:
    return Algorithm(PASSWORD_BASED_MAC, tlv.sequence(*elements))


def _pbmac1(pbkdf2_parameters: bytes, *, derivation: str = PBKDF2) -> Algorithm:
    return Algorithm(
        PBMAC1,
        tlv.sequence(tlv.sequence(tlv.object_identifier(derivation), pbkdf2_parameters), encode_algorithm(HMAC_SHA512)),
    )


_SALT = tlv.element(tlv.OCTET_STRING, SALT)
_COUNT = tlv.integer(100)
_OWF, _MAC = encode_algorithm(PBM.owf), encode_algorithm(PBM.mac)
_PRF = encode_algorithm(PBMAC.prf)


@pytest.mark.parametrize(
    ("algorithm", "fail_info"),
    [
        pytest.param(Algorithm(DH_BASED_MAC, tlv.NULL), PKIFailureInfo.BAD_ALG, id="dh"),
        pytest.param(Algorithm(KEM_BASED_MAC, tlv.NULL), PKIFailureInfo.BAD_ALG, id="kem"),
        pytest.param(PasswordBasedMAC(SALT, 99).algorithm, PKIFailureInfo.BAD_ALG, id="few iterations"),
        pytest.param(PasswordBasedMAC(SALT, 100_001).algorithm, PKIFailureInfo.BAD_ALG, id="many iterations"),
        pytest.param(PasswordBasedMAC(SALT, -1).algorithm, PKIFailureInfo.BAD_ALG, id="negative iterations"),
        pytest.param(replace(PBM, owf=SHA1).algorithm, PKIFailureInfo.BAD_ALG, id="sha1 as owf"),
        pytest.param(replace(PBM, owf=HMAC_SHA1).algorithm, PKIFailureInfo.BAD_ALG, id="owf that is no hash"),
        pytest.param(replace(PBM, mac=AES_GMAC).algorithm, PKIFailureInfo.BAD_ALG, id="gmac"),
        pytest.param(replace(PBM, salt=bytes(129)).algorithm, PKIFailureInfo.BAD_DATA_FORMAT, id="long salt"),
        pytest.param(Algorithm(PASSWORD_BASED_MAC), PKIFailureInfo.BAD_DATA_FORMAT, id="pbm without parameters"),
        pytest.param(_pbm(_SALT, _OWF, _COUNT), PKIFailureInfo.BAD_DATA_FORMAT, id="pbm without mac"),
        pytest.param(_pbm(_SALT, _OWF, _COUNT, _MAC, _MAC), PKIFailureInfo.BAD_DATA_FORMAT, id="pbm with more"),
        pytest.param(PBMAC1MAC(SALT, 99).algorithm, PKIFailureInfo.BAD_ALG, id="pbmac1 with few iterations"),
        pytest.param(PBMAC1MAC(SALT, 1 << 40).algorithm, PKIFailureInfo.BAD_ALG, id="pbmac1 with many iterations"),
        pytest.param(
            PBMAC1MAC(SALT, 50_001, 40, HMAC_SHA1).algorithm,
            PKIFailureInfo.BAD_ALG,
            id="many iterations for two pieces",
        ),
        pytest.param(
            PBMAC1MAC(SALT, 50_001, None, HMAC_SHA1, HMAC_SHA512).algorithm,
            PKIFailureInfo.BAD_ALG,
            id="many iterations for the length of the hash",
        ),
        pytest.param(PBMAC1MAC(SALT, 100, 19).algorithm, PKIFailureInfo.BAD_ALG, id="short key"),
        pytest.param(PBMAC1MAC(SALT, 100, 129).algorithm, PKIFailureInfo.BAD_ALG, id="long key"),
        pytest.param(replace(PBMAC, prf=AES_GMAC).algorithm, PKIFailureInfo.BAD_ALG, id="prf that is no hmac"),
        pytest.param(replace(PBMAC, mac=AES_GMAC).algorithm, PKIFailureInfo.BAD_ALG, id="pbmac1 with gmac"),
        pytest.param(
            _pbmac1(tlv.sequence(_SALT, _COUNT), derivation="1.3.6.1.4.1.11591.4.11"),
            PKIFailureInfo.BAD_ALG,
            id="scrypt",
        ),
        pytest.param(_pbmac1(tlv.sequence(_OWF, _COUNT)), PKIFailureInfo.BAD_DATA_FORMAT, id="salt from elsewhere"),
        pytest.param(
            _pbmac1(tlv.sequence(_SALT, _COUNT, encode_algorithm(HMAC_SHA1))),
            PKIFailureInfo.BAD_DATA_FORMAT,
            id="default prf",
        ),
        pytest.param(
            _pbmac1(tlv.sequence(_SALT, _COUNT, _PRF, _PRF)), PKIFailureInfo.BAD_DATA_FORMAT, id="pbkdf2 with more"
        ),
        pytest.param(Algorithm(PBMAC1, tlv.NULL), PKIFailureInfo.BAD_DATA_FORMAT, id="pbmac1 without parameters"),
    ],
)
def test_a_mac_that_we_do_not_compute_is_refused(algorithm: Algorithm, fail_info: PKIFailureInfo) -> None:
    with pytest.raises(PKIMessageRejected) as raised:
        read_mac_algorithm(algorithm)
    assert raised.value.fail_info is fail_info


def test_the_policy_of_the_operator_says_which_hashes_and_how_often() -> None:
    policy = MACPolicy(max_iterations=200, owf_hashes=frozenset({"sha256"}), hmac_hashes=frozenset({"sha256"}))
    assert read_mac_algorithm(PBM.algorithm, policy) == PBM
    for forbidden in (
        PasswordBasedMAC(SALT, 201),
        replace(PBM, owf=Algorithm("2.16.840.1.101.3.4.2.2")),
        replace(PBM, mac=HMAC_SHA1),
        replace(PBMAC, mac=HMAC_SHA512),
        replace(PBMAC, prf=HMAC_SHA1),
    ):
        with pytest.raises(PKIMessageRejected):
            read_mac_algorithm(forbidden.algorithm, policy)
    lenient = MACPolicy(owf_hashes=frozenset({"sha1"}))
    assert read_mac_algorithm(replace(PBM, owf=SHA1).algorithm, lenient) == replace(PBM, owf=SHA1)
