"""Proof of possession by an encrypted certificate (RFC 9810, 5.2.8.3.2).

Whoever confirms the certificate has decrypted it, and so has the key. For keys that cannot sign, or should not.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cspd.refusals import BadPublicKey
from cspd.x509.cms.content_encryption import RandomBytes
from cspd.x509.cms.enveloped import encode_enveloped
from cspd.x509.cms.recipients import recipient_of
from cspd.x509.crmf.encrypted_value import encode_encrypted_value
from cspd.x509.crmf.messages import EncryptedKey
from cspd.x509.public_keys import PublicKeyError, load_public_key

_ENVELOPED_DATA_SINCE = 3
"""pvno (RFC 9480, 2.20)."""


class CertificatesForKeys:
    """Implements :class:`protocols.cmp.interfaces.EncryptedCertificates`."""

    def __init__(self, *, random_bytes: RandomBytes) -> None:
        """``random_bytes`` is cryptographically strong."""
        self._random_bytes = random_bytes

    def check(self, public_key_der: bytes, *, pvno: int) -> None:
        """See :class:`protocols.cmp.interfaces.EncryptedCertificates`."""
        try:
            public_key = load_public_key(public_key_der)
        except PublicKeyError as error:
            raise BadPublicKey(str(error)) from error
        _check(public_key, pvno)

    async def encrypt(self, certificate_der: bytes, *, pvno: int = 3) -> EncryptedKey:
        """See :class:`protocols.cmp.interfaces.EncryptedCertificates`."""
        certificate = x509.load_der_x509_certificate(certificate_der)
        public_key = certificate.public_key()
        _check(public_key, pvno)
        if pvno < _ENVELOPED_DATA_SINCE:
            assert isinstance(public_key, rsa.RSAPublicKey)
            value_der = encode_encrypted_value(certificate_der, public_key, self._random_bytes)
            return EncryptedKey(value_der, is_enveloped_data=False)
        # The client does not have the certificate yet: it knows its key and maybe that key's identifier.
        recipient = recipient_of(certificate, oaep=True, by_key_identifier=True)
        _, enveloped_der = encode_enveloped(certificate_der, [recipient], random_bytes=self._random_bytes)
        return EncryptedKey(enveloped_der)


def _check(public_key: object, pvno: int) -> None:
    if isinstance(public_key, rsa.RSAPublicKey):
        return
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise BadPublicKey("nothing can be encrypted for a key of that kind: prove its possession by a signature")
    if pvno < _ENVELOPED_DATA_SINCE:
        raise BadPublicKey("before version 3 nothing can be encrypted for other keys than RSA")
