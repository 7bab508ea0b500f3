"""Signing responses with the key of a delegated responder (RFC 6960, 4.2.2.2)."""

from __future__ import annotations

from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from cspd.authority.responders import Responder
from cspd.keys.interfaces import Keys
from cspd.keys.values import PrivateKey
from cspd.refusals import NotFound, Unavailable
from cspd.x509.algorithms import signature_hash
from protocols.ocsp import codec, der
from protocols.ocsp.issuers import key_hash
from protocols.ocsp.messages import ResponseData

_ECDSA_WITH = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
_RSA_WITH = {
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
}
_WITHOUT_HASH: tuple[tuple[type, str], ...] = (
    (ed25519.Ed25519PublicKey, "1.3.101.112"),  # RFC 8410
    (ed448.Ed448PublicKey, "1.3.101.113"),
    (mldsa.MLDSA44PublicKey, "2.16.840.1.101.3.4.3.17"),  # RFC 9881
    (mldsa.MLDSA65PublicKey, "2.16.840.1.101.3.4.3.18"),
    (mldsa.MLDSA87PublicKey, "2.16.840.1.101.3.4.3.19"),
)


class ResponseSigner:
    """Signs with one responder; everything that its responses have in common is encoded once."""

    def __init__(self, responder: Responder, keys: Keys) -> None:
        public_key = x509.load_der_x509_certificate(responder.certificate_der).public_key()
        self.responder = responder
        self.responder_key_hash = key_hash(responder.certificate_der)
        self._keys = keys
        self._hash = signature_hash(public_key)
        self._ecdsa: ec.ECDSA | None = None
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            assert self._hash is not None
            self._ecdsa = ec.ECDSA(self._hash)
        self._algorithm_der = _algorithm_identifier(public_key, self._hash)
        self._certs_der = codec.encode_certs(responder.certificate_der)

    async def sign(self, response_data: ResponseData) -> bytes:
        """Sign and give the whole OCSPResponse, DER.

        Raises :class:`Unavailable` when the key cannot be used now.
        """
        response_data_der = codec.encode_response_data(response_data)
        try:
            signature = await self._keys.sign(self.responder.key, lambda key: self._signature(key, response_data_der))
        except NotFound as error:  # not the client's mistake, as a NotFound would say to it
            raise Unavailable("the responder has no key", detail=str(error)) from error
        return codec.encode_successful(
            response_data_der, signature, algorithm_der=self._algorithm_der, certs_der=self._certs_der
        )

    def _signature(self, key: PrivateKey, octets: bytes) -> bytes:
        if self._ecdsa is not None:  # asked first, since isinstance with an abstract class costs a microsecond
            return cast(ec.EllipticCurvePrivateKey, key).sign(octets, self._ecdsa)
        if isinstance(key, rsa.RSAPrivateKey):
            assert self._hash is not None
            return key.sign(octets, padding.PKCS1v15(), self._hash)
        assert not isinstance(key, ec.EllipticCurvePrivateKey)  # for it the certificate has an elliptic curve key
        return key.sign(octets)


def _algorithm_identifier(public_key: object, hash_: hashes.HashAlgorithm | None) -> bytes:
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        assert hash_ is not None
        return der.sequence(der.object_identifier(_ECDSA_WITH[hash_.name]))
    if isinstance(public_key, rsa.RSAPublicKey):
        assert hash_ is not None
        return der.sequence(der.object_identifier(_RSA_WITH[hash_.name]), der.NULL)
    for kind, oid in _WITHOUT_HASH:
        if isinstance(public_key, kind):
            return der.sequence(der.object_identifier(oid))
    raise TypeError(f"no signature algorithm for {type(public_key).__name__}")
