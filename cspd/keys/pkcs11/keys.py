"""Private keys that stay in a token and yet sign, and decrypt, wherever ``cryptography`` takes a private key.

``x509.CertificateBuilder``, ``CertificateRevocationListBuilder`` and ``OCSPResponseBuilder`` look only at the abstract
classes and call ``sign``. A signature blocks, and so does a decryption: call them in a signing thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed

from cspd.keys.pkcs11.decryption import Decrypted, DecryptionRequest, decryption_request
from cspd.keys.pkcs11.signatures import SignatureRequest, ecdsa_request, ecdsa_signature_der, rsa_request

Signer = Callable[[SignatureRequest], bytes]
"""Has the token sign; raises refusals."""
Decrypter = Callable[[DecryptionRequest], Decrypted]
"""Has the token decrypt; raises refusals, and UnsupportedAlgorithm for a key that was not made for it."""


class TokenRSAPrivateKey(rsa.RSAPrivateKey):
    """An RSA key in a token: signs with PKCS #1 v1.5 and PSS, decrypts with PKCS #1 v1.5 and OAEP."""

    def __init__(self, public_key: rsa.RSAPublicKey, signer: Signer, decrypter: Decrypter) -> None:
        self._public_key = public_key
        self._signer = signer
        self._decrypter = decrypter

    @property
    def key_size(self) -> int:
        """The bit length of the modulus."""
        return self._public_key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """The public half."""
        return self._public_key

    def sign(
        self, data: Any, padding: AsymmetricPadding, algorithm: hashes.HashAlgorithm | Prehashed | NoDigestInfo
    ) -> bytes:
        """The signature; raises UnsupportedAlgorithm, and our refusals when the token does not sign."""
        return self._signer(rsa_request(bytes(data), padding, algorithm, self.key_size))

    def decrypt(self, ciphertext: Any, padding: AsymmetricPadding) -> bytes:
        """What was encrypted; raises ValueError if the padding does not fit, which nobody else may be told.

        Raises UnsupportedAlgorithm for a key or a padding that the token does not decrypt with, and our refusals.
        """
        request = decryption_request(bytes(ciphertext), padding, self._public_key)
        decrypted = self._decrypter(request)
        message = decrypted.octets
        if message is not None and decrypted.is_padded:
            message = request.unpad(message)
        if message is None:
            raise ValueError("decryption failed")
        return message

    def private_numbers(self) -> NoReturn:
        """Refused."""
        raise UnsupportedAlgorithm("the key does not leave the token")

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> NoReturn:
        """Refused."""
        raise UnsupportedAlgorithm("the key does not leave the token")

    def __copy__(self) -> TokenRSAPrivateKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenRSAPrivateKey:
        return self


class TokenEllipticCurvePrivateKey(ec.EllipticCurvePrivateKey):
    """An elliptic-curve key in a token: signs with ECDSA."""

    def __init__(self, public_key: ec.EllipticCurvePublicKey, signer: Signer) -> None:
        self._public_key = public_key
        self._signer = signer

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """The bit length of the curve's order."""
        return self._public_key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public_key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """DER of the signature; raises UnsupportedAlgorithm, and our refusals when the token does not sign."""
        return ecdsa_signature_der(self._signer(ecdsa_request(bytes(data), signature_algorithm, self.key_size)))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Refused: these keys sign."""
        raise UnsupportedAlgorithm("a signing key does not agree on keys")

    def private_numbers(self) -> NoReturn:
        """Refused."""
        raise UnsupportedAlgorithm("the key does not leave the token")

    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> NoReturn:
        """Refused."""
        raise UnsupportedAlgorithm("the key does not leave the token")

    def __copy__(self) -> TokenEllipticCurvePrivateKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenEllipticCurvePrivateKey:
        return self


__all__ = ["Decrypter", "Signer", "TokenEllipticCurvePrivateKey", "TokenRSAPrivateKey"]
