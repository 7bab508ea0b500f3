"""The JWS codec: what verifies, what is refused with which error, and that nothing else can happen."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from protocols.acme.errors import ACMEError
from protocols.acme.json_text import decode_base64url, decode_object
from protocols.acme.jwk import decode_jwk
from protocols.acme.jws import SIGNATURE_ALGORITHMS, decode_jws, verify_jws
from tests.protocols.acme.client import ACCOUNT_KEYS, algorithm_of, b64, integer, jwk_of, jws

P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
HEADER = {"alg": "ES256", "nonce": "AAAA", "url": "https://pki.example.com/x", "jwk": jwk_of(P256)}
CORPUS = Path(__file__).parents[2] / "fuzz" / "acme"


def decode_and_verify(body: bytes, key: Any = None, **options: Any) -> None:
    found = decode_jws(body, **options)
    jwk = found.header.jwk if key is None else decode_jwk(jwk_of(key))
    assert jwk is not None
    verify_jws(found, jwk.key)


def error_of(body: bytes, **options: Any) -> tuple[int, str]:
    with pytest.raises(ACMEError) as raised:
        decode_and_verify(body, P256, **options)
    return raised.value.problem.http_status, raised.value.problem.type.value


@pytest.mark.requirement("R-CEG-102")
@pytest.mark.parametrize("make", [*ACCOUNT_KEYS.values(), ed448.Ed448PrivateKey.generate])
def test_each_algorithm_verifies(make: Any) -> None:
    key = make()
    decoded = decode_jws(jws(key, HEADER | {"alg": algorithm_of(key), "jwk": jwk_of(key)}, b"{}"))
    assert decoded.header.jwk is not None
    verify_jws(decoded, decoded.header.jwk.key)
    assert (decoded.payload, decoded.is_post_as_get) == (b"{}", False)


@pytest.mark.parametrize("position", [0, 20, 63])
def test_a_tampered_signature_is_refused(position: int) -> None:
    envelope = json.loads(jws(P256, HEADER, b"{}"))
    octets = bytearray(decode_base64url(envelope["signature"], ""))
    octets[position] ^= 1
    envelope["signature"] = b64(bytes(octets))
    assert error_of(json.dumps(envelope).encode()) == (400, "malformed")


def test_a_signature_of_another_key_is_refused() -> None:
    assert error_of(jws(ec.generate_private_key(ec.SECP256R1()), HEADER, b"{}")) == (400, "malformed")


@pytest.mark.parametrize(
    "algorithm", ["HS256", "HS384", "HS512", "none", "None", "RS1", "PS256", "RS384", "ES256K", ""]
)
def test_other_algorithms_are_refused_and_ours_named(algorithm: str) -> None:
    with pytest.raises(ACMEError) as raised:
        decode_jws(jws(P256, HEADER | {"alg": algorithm}, b"{}"))
    assert raised.value.problem.type.value == "badSignatureAlgorithm"
    assert raised.value.problem.to_json()["algorithms"] == list(SIGNATURE_ALGORITHMS)


@pytest.mark.requirement("R-CEG-100")
@pytest.mark.requirement("R-PLAT-144")
def test_eddsa_can_be_switched_off() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(ACMEError) as raised:
        decode_jws(jws(key, HEADER | {"alg": "EdDSA", "jwk": jwk_of(key)}, b""), algorithms=("ES256", "RS256"))
    assert raised.value.problem.type.value == "badSignatureAlgorithm"
    assert raised.value.problem.to_json()["algorithms"] == ["ES256", "RS256"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"alg": None}, "malformed"),
        ({"alg": 5}, "malformed"),
        ({"url": None}, "malformed"),
        ({"url": ""}, "malformed"),
        ({"url": "x" * 5000}, "malformed"),
        ({"nonce": None}, "badNonce"),
        ({"nonce": ""}, "malformed"),
        ({"nonce": "a b"}, "malformed"),
        ({"nonce": 7}, "malformed"),
        ({"kid": "https://pki.example.com/a"}, "malformed"),
        ({"jwk": None}, "malformed"),
        ({"jwk": None, "kid": 7}, "malformed"),
        ({"jwk": None, "kid": None}, "malformed"),
        ({"jwk": []}, "malformed"),
        ({"crit": ["b64"]}, "malformed"),
        ({"crit": []}, "malformed"),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, "malformed"),
        ({"jwk": jwk_of(P256) | {"d": "AAAA"}}, "malformed"),
        ({"jwk": {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}}, "badPublicKey"),
        ({"jwk": {"kty": "DSA"}}, "badPublicKey"),
        ({"jwk": {"kty": "OKP", "crv": "X25519", "x": "AA"}}, "badPublicKey"),
        ({"jwk": jwk_of(RSA)}, "malformed"),
        ({"jwk": jwk_of(ec.generate_private_key(ec.SECP384R1()))}, "malformed"),
        ({"jwk": jwk_of(ed25519.Ed25519PrivateKey.generate())}, "malformed"),
    ],
)
def test_a_bad_header_is_refused(change: dict[str, Any], error: str) -> None:
    header = {name: value for name, value in (HEADER | change).items() if value is not None}
    with pytest.raises(ACMEError) as raised:
        decode_and_verify(jws(P256, header, b"{}"))
    assert raised.value.problem.type.value == error


def envelope(**change: Any) -> bytes:
    members = json.loads(jws(P256, HEADER, b"{}")) | change
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 30_000,
        b'{"protected":"","protected":"","payload":"","signature":""}',
        envelope(signatures=[]),
        envelope(header={"kid": "x"}),
        envelope(protected=None),
        envelope(payload=None),
        envelope(signature=None),
        envelope(protected=5),
        envelope(payload="e30="),
        envelope(payload="e30\n"),
        envelope(payload="e3+/"),
        envelope(payload="e31"),
        envelope(payload="e"),
        envelope(protected=b64(b"[]")),
        envelope(protected=b64(b'{"alg":"ES256","alg":"RS256"}')),
        envelope(protected=b64(b"\xff")),
        envelope(signature="AAAA"),
        envelope(signature=""),
        b"eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
    ],
)
def test_what_is_not_a_flattened_jws_is_refused(body: bytes) -> None:
    assert error_of(body) == (400, "malformed")


def test_a_body_beyond_the_limit_is_refused() -> None:
    assert error_of(envelope(filler="x" * 200_000)) == (413, "malformed")


def test_the_inner_jws_has_no_nonce() -> None:
    without = {name: value for name, value in HEADER.items() if name != "nonce"}
    assert decode_jws(jws(P256, without, b"{}"), is_inner=True).header.nonce is None
    assert error_of(jws(P256, HEADER, b"{}"), is_inner=True) == (400, "malformed")


# Keys


def test_a_thumbprint_is_that_of_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjh"
        "Mstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvR"
        "L5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqD"
        "Kgw"
    )
    key = decode_jwk({"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_one_key_has_one_thumbprint() -> None:
    numbers = RSA.public_key().public_numbers()
    padded = {"kty": "RSA", "n": b64(b"\0" + numbers.n.to_bytes(256)), "e": integer(numbers.e)}
    assert decode_jwk(padded).thumbprint == decode_jwk(jwk_of(RSA)).thumbprint


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "RSA", "n": integer(RSA.public_key().public_numbers().n >> 1024), "e": "AQAB"},
        {"kty": "RSA", "n": integer((1 << 8192) + 1), "e": "AQAB"},
        {"kty": "RSA", "n": integer(1 << 2047), "e": "AQAB"},
        {"kty": "RSA", "n": jwk_of(RSA)["n"], "e": "AQ"},
        {"kty": "RSA", "n": jwk_of(RSA)["n"], "e": "BA"},
        {"kty": "RSA", "n": jwk_of(RSA)["n"], "e": b64(b"\x01" * 9)},
        {"kty": "EC", "crv": "P-256", "x": b64(b"\1" * 32), "y": b64(b"\2" * 32)},
        {"kty": "EC", "crv": "P-256", "x": b64(b"\0" * 32), "y": b64(b"\0" * 32)},
        {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA"},
    ],
)
def test_a_weak_or_invalid_key_is_a_bad_public_key(jwk: dict[str, Any]) -> None:
    with pytest.raises(ACMEError) as raised:
        decode_jwk(jwk)
    assert raised.value.problem.type.value == "badPublicKey"


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_account_keys_of_usual_sizes_are_taken(bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    assert decode_jwk(jwk_of(key)).key.key_size == bits  # type: ignore[union-attr]


# Hypothesis and the corpus

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def outcome(body: bytes) -> None:
    try:
        found = decode_jws(body)
    except ACMEError:
        return
    if found.header.jwk is not None:
        with suppress(ACMEError):
            verify_jws(found, found.header.jwk.key)


@given(st.binary(max_size=400))
def test_any_octets_are_a_message_or_an_error(octets: bytes) -> None:
    outcome(octets)


@given(header=st.dictionaries(st.sampled_from(["alg", "url", "nonce", "jwk", "kid", "crit", "x"]), JSON), payload=JSON)
def test_any_header_is_a_message_or_an_error(header: dict[str, Any], payload: Any) -> None:
    members = {
        "protected": b64(json.dumps(header).encode()),
        "payload": b64(json.dumps(payload).encode()),
        "signature": "AAAA",
    }
    outcome(json.dumps(members).encode())


@given(
    jwk=st.fixed_dictionaries(
        {"kty": st.sampled_from(["RSA", "EC", "OKP"])},
        optional={name: st.binary(max_size=70).map(b64) | JSON for name in ("n", "e", "x", "y")}
        | {"crv": st.sampled_from(["P-256", "P-384", "P-521", "Ed25519", "Ed448"]) | JSON},
    )
)
def test_any_jwk_is_a_key_or_an_error(jwk: dict[str, Any]) -> None:
    try:
        key = decode_jwk(jwk)
    except ACMEError:
        return
    assert decode_jwk(dict(key.members)) == key


@given(st.binary(max_size=100))
def test_base64url_has_one_spelling(octets: bytes) -> None:
    text = base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
    assert decode_base64url(text, "x") == octets


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_a_json_object_survives_or_is_refused(value: dict[str, Any]) -> None:
    try:
        found = decode_object(json.dumps(value).encode(), "x")
    except ACMEError:
        return
    assert json.dumps(found) == json.dumps(value)


@pytest.mark.parametrize("case", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_the_corpus_is_refused(case: Path) -> None:
    """Each file is a request body that once was a find, or that breaks another implementation."""
    with pytest.raises(ACMEError):
        decode_and_verify(case.read_bytes())
