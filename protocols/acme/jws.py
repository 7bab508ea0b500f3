"""The envelope of every POST: a JSON Web Signature in flattened JSON serialization (RFC 7515; RFC 8555, 6.2).

:func:`decode_jws` reads, :func:`verify_jws` checks the signature; nothing of a payload may be believed in between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from protocols.acme.errors import ACMEError, ErrorType
from protocols.acme.json_text import decode_base64url, decode_object, malformed
from protocols.acme.jwk import JWK, VerificationKey, decode_jwk
from protocols.acme.messages import MAX_JWS, MAX_TEXT

SIGNATURE_ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "EdDSA")
"""What we can verify; the configuration may allow fewer. MAC algorithms and ``none`` are never among them."""

_ECDSA: Mapping[str, tuple[str, hashes.HashAlgorithm, int]] = {
    "ES256": ("secp256r1", hashes.SHA256(), 32),
    "ES384": ("secp384r1", hashes.SHA384(), 48),
    "ES512": ("secp521r1", hashes.SHA512(), 66),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedHeader:
    """The protected header. Exactly one of ``jwk`` and ``kid`` is given."""

    alg: str
    url: str
    nonce: str | None
    """None only in the inner JWS of a key change."""
    jwk: JWK | None = None
    kid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JWS:
    """A decoded, not yet verified, JWS."""

    header: ProtectedHeader
    payload: bytes
    signing_input: bytes
    signature: bytes

    @property
    def is_post_as_get(self) -> bool:
        """Whether the payload is empty (RFC 8555, 6.3)."""
        return not self.payload


def decode_jws(body: bytes, *, algorithms: Collection[str] = SIGNATURE_ALGORITHMS, is_inner: bool = False) -> JWS:
    """Read a JWS; ``is_inner`` reads the one within a key change, which has no nonce (RFC 8555, 7.3.5).

    Raises malformed, badSignatureAlgorithm (with what ``algorithms`` allows), badPublicKey or badNonce.
    """
    if len(body) > MAX_JWS:
        raise ACMEError(ErrorType.MALFORMED, f"the request has more than {MAX_JWS} octets", status=413)
    envelope = decode_object(body, "the request body")
    if "signatures" in envelope:
        raise malformed("the JWS must be in flattened JSON serialization with one signature")
    if "header" in envelope:
        raise malformed("the JWS must not have an unprotected header")
    protected, payload = envelope.get("protected"), envelope.get("payload")
    header_octets = decode_base64url(protected, "protected")
    payload_octets = decode_base64url(payload, "payload")
    signature = decode_base64url(envelope.get("signature"), "signature")
    header = _decode_header(header_octets, algorithms, is_inner=is_inner)
    return JWS(
        header=header,
        payload=payload_octets,
        signing_input=f"{protected}.{payload}".encode("ascii"),
        signature=signature,
    )


def _decode_header(octets: bytes, algorithms: Collection[str], *, is_inner: bool) -> ProtectedHeader:
    members = decode_object(octets, "the protected header")
    if "crit" in members:
        raise malformed("no critical header extension is supported")
    algorithm = members.get("alg")
    if not isinstance(algorithm, str):
        raise malformed("the protected header has no alg")
    if algorithm not in algorithms:
        raise ACMEError(
            ErrorType.BAD_SIGNATURE_ALGORITHM,
            "the signature algorithm is not supported",
            algorithms=tuple(name for name in SIGNATURE_ALGORITHMS if name in algorithms),
        )
    url = members.get("url")
    if not isinstance(url, str) or not url or len(url) > MAX_TEXT:
        raise malformed("the protected header has no url")
    if ("jwk" in members) == ("kid" in members):
        raise malformed("the protected header has exactly one of jwk and kid")
    kid = members.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise malformed("kid is not a string")
    jwk = decode_jwk(members["jwk"]) if "jwk" in members else None
    if jwk is None and kid is None:
        raise malformed("kid is not a string")
    return ProtectedHeader(alg=algorithm, url=url, nonce=_decode_nonce(members, is_inner=is_inner), jwk=jwk, kid=kid)


def _decode_nonce(members: Mapping[str, object], *, is_inner: bool) -> str | None:
    if is_inner:
        if "nonce" in members:
            raise malformed("the inner JWS must not have a nonce")
        return None
    nonce = members.get("nonce")
    if nonce is None:
        raise ACMEError(ErrorType.BAD_NONCE, "the protected header has no nonce")
    if not isinstance(nonce, str) or not nonce or len(nonce) > MAX_TEXT:
        raise malformed("nonce is not base64url")
    decode_base64url(nonce, "nonce")
    return nonce


def verify_jws(jws: JWS, key: VerificationKey) -> None:
    """Check the signature; raises malformed unless ``key`` made it with the algorithm of the header."""
    algorithm = jws.header.alg
    try:
        if algorithm == "RS256" and isinstance(key, rsa.RSAPublicKey):
            return key.verify(jws.signature, jws.signing_input, padding.PKCS1v15(), hashes.SHA256())
        if algorithm == "EdDSA" and isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            return key.verify(jws.signature, jws.signing_input)
        if algorithm in _ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            curve, hash_algorithm, size = _ECDSA[algorithm]
            if key.curve.name == curve:
                if len(jws.signature) != 2 * size:
                    raise InvalidSignature
                signature = encode_dss_signature(
                    int.from_bytes(jws.signature[:size]), int.from_bytes(jws.signature[size:])
                )
                return key.verify(signature, jws.signing_input, ec.ECDSA(hash_algorithm))
    except InvalidSignature as error:
        raise malformed("the signature of the JWS does not verify") from error
    raise malformed(f"{algorithm} does not go with this key")
