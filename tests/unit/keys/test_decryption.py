"""What a token is asked to decrypt: checked by doing in software what the token would do."""

from __future__ import annotations

import pkcs11
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from pkcs11 import MGF, Mechanism

from cspd.keys.pkcs11.decryption import Decrypted, DecryptionRequest, decryption_request, unpad_oaep, unpad_pkcs1
from cspd.keys.pkcs11.keys import TokenRSAPrivateKey

KEY = rsa.generate_private_key(65537, 2048)
NUMBERS = KEY.private_numbers()
MODULUS = NUMBERS.public_numbers.n
SHA1, SHA256, SHA512 = hashes.SHA1(), hashes.SHA256(), hashes.SHA512()
SCHEMES: list[padding.AsymmetricPadding] = [
    padding.PKCS1v15(),
    padding.OAEP(padding.MGF1(SHA1), SHA1, None),
    padding.OAEP(padding.MGF1(SHA256), SHA256, None),
    padding.OAEP(padding.MGF1(SHA1), SHA512, b""),
]


def bare(request: DecryptionRequest) -> Decrypted:
    """CKM_RSA_X_509; some modules leave out the zeros at the beginning."""
    number = pow(int.from_bytes(request.data), NUMBERS.d, MODULUS)
    return Decrypted(number.to_bytes((number.bit_length() + 7) // 8), is_padded=True)


def unpadding(request: DecryptionRequest) -> Decrypted:
    """CKM_RSA_PKCS and CKM_RSA_PKCS_OAEP."""
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if request.mechanism is Mechanism.RSA_PKCS_OAEP:
        algorithms = {Mechanism.SHA_1: SHA1, Mechanism.SHA256: SHA256, Mechanism.SHA512: SHA512}
        masks = {MGF.SHA1: SHA1, MGF.SHA256: SHA256}
        digest, mask, label = request.parameter
        scheme = padding.OAEP(padding.MGF1(masks[mask]), algorithms[digest], label)
    try:
        return Decrypted(KEY.decrypt(request.data, scheme), is_padded=False)
    except ValueError:
        return Decrypted(None, is_padded=False)


def no_signature(request: object) -> bytes:
    raise AssertionError("nothing is signed here")


def encrypted(encoded: bytes) -> bytes:
    """RSA without padding."""
    return pow(int.from_bytes(encoded), 65537, MODULUS).to_bytes(256)


@pytest.mark.parametrize("token", [bare, unpadding])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("message", [b"", b"k", bytes(16), b"\x01" * 32, b"\x00\x01\x02" * 20], ids=len)
def test_what_was_encrypted_comes_back(token: object, scheme: padding.AsymmetricPadding, message: bytes) -> None:
    key = TokenRSAPrivateKey(KEY.public_key(), no_signature, token)  # type: ignore[arg-type]  # one of two functions
    assert key.decrypt(KEY.public_key().encrypt(message, scheme), scheme) == message


def filled(start: bytes, filling: int, separator: bytes = b"\0") -> bytes:
    """An encoded message whose last octets are the message."""
    return (start + b"\xff" * filling + separator).ljust(256, b"m")


@pytest.mark.parametrize(
    "encoded",
    [
        filled(b"\x00\x01", 50),
        filled(b"\x00\x02", 7),
        filled(b"\x00\x02", 0),
        filled(b"\x00\x03", 50),
        b"\x00\x02" + b"\xff" * 254,
        bytes(256),
        b"\x00\x02" + bytes(254),
    ],
    ids=["block type 1", "seven octets", "no octets", "block type 3", "no zero", "nothing", "zeros"],
)
def test_a_padding_of_pkcs1_that_does_not_fit(encoded: bytes) -> None:
    assert unpad_pkcs1(encoded) is None
    key = TokenRSAPrivateKey(KEY.public_key(), no_signature, bare)
    with pytest.raises(ValueError, match=r"^decryption failed$"):
        key.decrypt(encrypted(encoded), padding.PKCS1v15())


def test_a_first_octet_that_is_not_zero_does_not_fit() -> None:
    assert unpad_pkcs1(b"\x01" + filled(b"\x02", 50)[1:]) is None
    assert unpad_pkcs1(filled(b"\x00\x02", 8)) == b"m" * (256 - 11)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(min_size=256, max_size=256))
def test_any_octets_are_unpadded_or_not_as_the_rfc_says(encoded: bytes) -> None:
    start = encoded.find(b"\0", 2)
    fits = encoded[:2] == b"\x00\x02" and start >= 10
    assert unpad_pkcs1(encoded) == (encoded[start + 1 :] if fits else None)
    assert unpad_oaep(encoded, "sha256", "sha256") is None


@pytest.mark.parametrize("position", [0, 1, 20, 33, 64, 100, 255])
def test_an_oaep_message_with_one_octet_changed_does_not_fit(position: int) -> None:
    scheme = padding.OAEP(padding.MGF1(SHA256), SHA256, None)
    ciphertext = KEY.public_key().encrypt(b"key", scheme)
    encoded = bytearray(pow(int.from_bytes(ciphertext), NUMBERS.d, MODULUS).to_bytes(256))
    assert unpad_oaep(bytes(encoded), "sha256", "sha256") == b"key"
    encoded[position] ^= 0x04
    assert unpad_oaep(bytes(encoded), "sha256", "sha256") in (None, b"ke\x7d" if position == 255 else None)


def test_oaep_of_a_hash_that_is_too_long_for_the_key_does_not_fit() -> None:
    assert unpad_oaep(bytes(128), "sha512", "sha512") is None


def test_another_hash_does_not_fit() -> None:
    ciphertext = KEY.public_key().encrypt(b"key", padding.OAEP(padding.MGF1(SHA256), SHA256, None))
    key = TokenRSAPrivateKey(KEY.public_key(), no_signature, bare)
    for other in (padding.OAEP(padding.MGF1(SHA1), SHA256, None), padding.OAEP(padding.MGF1(SHA256), SHA1, None)):
        with pytest.raises(ValueError, match=r"^decryption failed$"):
            key.decrypt(ciphertext, other)


def test_octets_that_are_no_ciphertext_never_reach_the_token() -> None:
    def token(request: DecryptionRequest) -> Decrypted:
        raise AssertionError(request)

    key = TokenRSAPrivateKey(KEY.public_key(), no_signature, token)
    for octets in (b"", bytes(255), bytes(257), MODULUS.to_bytes(256), b"\xff" * 256):
        with pytest.raises(ValueError, match="not a ciphertext"):
            key.decrypt(octets, padding.PKCS1v15())


@pytest.mark.parametrize(
    "scheme",
    [
        padding.OAEP(padding.MGF1(SHA1), SHA1, b"label"),
        padding.OAEP(padding.MGF1(hashes.MD5()), SHA1, None),
        padding.OAEP(padding.MGF1(SHA1), hashes.SHA3_256(), None),
        padding.PSS(padding.MGF1(SHA1), 20),
    ],
    ids=["label", "md5", "sha3", "pss"],
)
def test_other_paddings_are_refused(scheme: padding.AsymmetricPadding) -> None:
    with pytest.raises(UnsupportedAlgorithm):
        decryption_request(bytes(256), scheme, KEY.public_key())


def test_mechanisms_for_tokens_that_unpad() -> None:
    pkcs1, oaep = (decryption_request(bytes(256), scheme, KEY.public_key()) for scheme in SCHEMES[0:3:2])
    assert (pkcs1.mechanism, pkcs1.parameter) == (Mechanism.RSA_PKCS, None)
    assert (oaep.mechanism, oaep.parameter) == (Mechanism.RSA_PKCS_OAEP, (Mechanism.SHA256, MGF.SHA256, None))
    assert pkcs11.Mechanism.RSA_PKCS_OAEP is oaep.mechanism
