"""What a token is asked: checked by doing in software what the token would do, and verifying."""

from __future__ import annotations

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed, decode_dss_signature
from pkcs11 import MGF, Mechanism

from cspd.keys.pkcs11.decryption import Decrypted, DecryptionRequest
from cspd.keys.pkcs11.keys import TokenEllipticCurvePrivateKey, TokenRSAPrivateKey
from cspd.keys.pkcs11.signatures import SignatureRequest, ecdsa_request, ecdsa_signature_der, rsa_request

RSA_KEY = rsa.generate_private_key(65537, 2048)
ALGORITHMS = [
    *(hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()),
    *(hashes.SHA3_224(), hashes.SHA3_256(), hashes.SHA3_384(), hashes.SHA3_512()),
]


def raw_rsa(request: SignatureRequest) -> bytes:
    """CKM_RSA_PKCS: pads what it is given as block type 1 and signs."""
    assert request.mechanism is Mechanism.RSA_PKCS
    return RSA_KEY.sign(request.data, padding.PKCS1v15(), NoDigestInfo())


def no_decryption(request: DecryptionRequest) -> Decrypted:
    raise AssertionError("nothing is decrypted here")


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda a: a.name)
def test_pkcs1_signatures_have_the_digest_info_of_their_hash(algorithm: hashes.HashAlgorithm) -> None:
    signature = TokenRSAPrivateKey(RSA_KEY.public_key(), raw_rsa, no_decryption).sign(
        b"message", padding.PKCS1v15(), algorithm
    )
    RSA_KEY.public_key().verify(signature, b"message", padding.PKCS1v15(), algorithm)


def test_a_digest_made_beforehand_is_not_hashed_again() -> None:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"message")
    key = TokenRSAPrivateKey(RSA_KEY.public_key(), raw_rsa, no_decryption)
    signature = key.sign(digest.finalize(), padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    RSA_KEY.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())


def test_a_digest_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        rsa_request(b"short", padding.PKCS1v15(), Prehashed(hashes.SHA256()), 2048)


@pytest.mark.parametrize(
    ("salt", "expected"), [(padding.PSS.DIGEST_LENGTH, 48), (padding.PSS.MAX_LENGTH, 206), (20, 20)], ids=str
)
def test_pss_parameters(salt: int, expected: int) -> None:
    """emLen of 2048 bits is 256, so the longest salt with SHA-384 is 256 - 48 - 2."""
    request = rsa_request(b"message", padding.PSS(padding.MGF1(hashes.SHA384()), salt), hashes.SHA384(), 2048)
    assert request.mechanism is Mechanism.RSA_PKCS_PSS
    assert request.parameter == (Mechanism.SHA384, MGF.SHA384, expected)
    assert len(request.data) == 48


def test_longest_pss_salt_for_a_modulus_of_odd_length() -> None:
    """RFC 8017, 9.1.1: emLen is the octets of one bit less than the modulus; here that is one octet less."""
    request = rsa_request(
        b"", padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH), hashes.SHA256(), 2049
    )
    assert request.parameter[2] == 256 - 32 - 2


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.MD5()], ids=lambda a: a.name)
def test_other_hashes_are_refused(algorithm: hashes.HashAlgorithm) -> None:
    with pytest.raises(UnsupportedAlgorithm):
        rsa_request(b"message", padding.PKCS1v15(), algorithm, 2048)
    with pytest.raises(UnsupportedAlgorithm):
        ecdsa_request(b"message", ec.ECDSA(algorithm), 256)


def test_deterministic_ecdsa_is_refused() -> None:
    """A token chooses k by itself; we must not promise otherwise."""
    with pytest.raises(UnsupportedAlgorithm):
        ecdsa_request(b"message", ec.ECDSA(hashes.SHA256(), deterministic_signing=True), 256)


@pytest.mark.parametrize(
    ("curve", "algorithm", "octets"),
    [
        (ec.SECP256R1(), hashes.SHA256(), 32),
        (ec.SECP256R1(), hashes.SHA512(), 32),
        (ec.SECP384R1(), hashes.SHA512(), 48),
        (ec.SECP521R1(), hashes.SHA512(), 64),
    ],
)
def test_ecdsa_digests_are_cut_to_the_curve(curve: ec.EllipticCurve, algorithm: hashes.HashAlgorithm, octets: int):
    """FIPS 186-5, 6.4.1; and the token's r and s come back as DER that verifies."""
    key = ec.generate_private_key(curve)
    asked: list[SignatureRequest] = []

    def sign(request: SignatureRequest) -> bytes:
        asked.append(request)
        size = (key.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(b"message", ec.ECDSA(algorithm)))
        return r.to_bytes(size) + s.to_bytes(size)

    signature = TokenEllipticCurvePrivateKey(key.public_key(), sign).sign(b"message", ec.ECDSA(algorithm))
    key.public_key().verify(signature, b"message", ec.ECDSA(algorithm))
    assert (asked[0].mechanism, len(asked[0].data)) == (Mechanism.ECDSA, octets)


@pytest.mark.parametrize("signature", [b"", b"\x01", b"\x01\x02\x03"])
def test_a_signature_that_has_no_halves_is_refused(signature: bytes) -> None:
    with pytest.raises(ValueError, match="octets"):
        ecdsa_signature_der(signature)
