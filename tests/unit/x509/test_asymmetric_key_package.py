"""AsymmetricKeyPackage (RFC 5958)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from cspd.keys.generation import generate_private_key
from cspd.keys.values import KeyType
from cspd.x509 import tlv
from cspd.x509.asymmetric_key_package import (
    MAX_KEYS,
    KeyPackageError,
    OneAsymmetricKey,
    encode_key_package,
    one_asymmetric_key,
    read_key_package,
)
from cspd.x509.signatures import Algorithm

KEY_TYPES = [each for each in KeyType if each not in (KeyType.RSA_3072, KeyType.RSA_4096)]
SAMPLE = OneAsymmetricKey(algorithm=Algorithm("1.3.101.112"), private_key=b"\x04\x01k", public_key=b"p")


@pytest.mark.parametrize("key_type", KEY_TYPES, ids=lambda each: each.value)
def test_a_key_comes_out_as_it_went_in(key_type: KeyType) -> None:
    """Read by OpenSSL's library through cryptography, once it is PKCS#8 again; the public half is that of X.509."""
    key = generate_private_key(key_type)
    package_der = encode_key_package([one_asymmetric_key(key, with_public_key=True)])
    [read] = read_key_package(package_der)
    loaded = load_der_private_key(read.pkcs8_der, None)
    assert loaded.public_key() == key.public_key()
    assert read.pkcs8_der == key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert read.public_key is not None
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert info.endswith(tlv.element(tlv.BIT_STRING, b"\x00" + read.public_key))


def test_a_key_without_its_public_half_is_of_version_1() -> None:
    key = generate_private_key(KeyType.EC_P256)
    [read] = read_key_package(encode_key_package([one_asymmetric_key(key, with_public_key=False)]))
    assert read.public_key is None
    assert read.der == key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_attributes_and_several_keys_are_kept() -> None:
    other = OneAsymmetricKey(
        algorithm=Algorithm("1.2.840.113549.1.1.1", tlv.NULL), private_key=b"r", attributes_der=b"\xa0\x00"
    )
    package_der = encode_key_package([SAMPLE, other])
    assert read_key_package(package_der) == (SAMPLE, other)
    assert "private_key" not in repr(other)


@pytest.mark.parametrize(
    ("package_der", "reason"),
    [
        (b"", "not an AsymmetricKeyPackage"),
        (tlv.sequence(), "without a key"),
        (encode_key_package([SAMPLE]) + b"\x00", "not an AsymmetricKeyPackage"),
        (encode_key_package([SAMPLE] * (MAX_KEYS + 1)), f"more than {MAX_KEYS} keys"),
        (encode_key_package([SAMPLE]).replace(b"\x02\x01\x01", b"\x02\x01\x00"), "not an AsymmetricKeyPackage"),
        (encode_key_package([SAMPLE]).replace(b"\x81\x02\x00p", b"\x81\x02\x03p"), "not of whole octets"),
        (
            encode_key_package([OneAsymmetricKey(algorithm=SAMPLE.algorithm, private_key=b"k")]).replace(
                b"\x02\x01\x00", b"\x02\x01\x02"
            ),
            "a key of version 2",
        ),
    ],
    ids=["nothing", "no key", "trailing octets", "too many", "public key in version 1", "half octets", "version"],
)
def test_what_is_no_key_package_is_refused(package_der: bytes, reason: str) -> None:
    with pytest.raises(KeyPackageError, match=reason):
        read_key_package(package_der)


@given(st.binary(max_size=60), st.integers(0, 70), st.integers(0, 255))
def test_any_octets_give_keys_or_an_error(noise: bytes, at: int, octet: int) -> None:
    package = bytearray(encode_key_package([SAMPLE]) + noise[:1] * (at % 2))
    package[at % len(package)] = octet
    for octets in (noise, bytes(package)):
        try:
            read_key_package(octets)
        except KeyPackageError:
            continue
