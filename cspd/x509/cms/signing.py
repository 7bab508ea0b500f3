"""Making a SignedData (RFC 5652, 5): what is signed, then the message around the signature.

::

    signing = SignedDataBuilder(certificate_der, digest, signer.algorithm_der)
    attributes_der = signing.signed_attributes(content_type, content, more)
    message = signing.message(content_type, content, attributes_der, await signer.sign(attributes_der), chain_der)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from cryptography.hazmat.primitives import hashes

from cspd.x509 import tlv
from cspd.x509.certificate_fields import fields_of
from cspd.x509.cms.signed import encode_attributes, encode_content_info
from cspd.x509.cms.values import CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_TIME

_CONTEXT_0 = 0xA0
_KEY_IDENTIFIER = 0x80
_VERSION_1, _VERSION_3 = tlv.integer(1), tlv.integer(3)
_DIGESTS = {
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}


class SignedDataBuilder:
    """Builds messages of one signer; what they have in common is made once."""

    def __init__(
        self,
        certificate_der: bytes,
        digest: hashes.HashAlgorithm,
        signature_algorithm_der: bytes,
        *,
        key_identifier: bytes | None = None,
    ) -> None:
        """``certificate_der`` is the signer's. ``digest`` is SHA-512 for EdDSA and ML-DSA (RFC 8419, RFC 9882).

        ``key_identifier`` is the subjectKeyIdentifier of the certificate for messages that name the signer by it; None:
        they name it by issuer and serial number.
        """
        self._certificate_der = certificate_der
        self._digest = digest
        # Parameters of SHA-1 are NULL as everybody wrote them then; SHA-2 has none (RFC 5754, 2).
        parameters = tlv.NULL if digest.name == "sha1" else b""
        self._digest_der = tlv.sequence(tlv.object_identifier(_DIGESTS[digest.name]), parameters)
        self._signature_algorithm_der = signature_algorithm_der
        if key_identifier is None:
            self._signer_version, self._sid = _VERSION_1, fields_of(certificate_der).issuer_and_serial_number
        else:
            self._signer_version, self._sid = _VERSION_3, tlv.element(_KEY_IDENTIFIER, key_identifier)

    def signed_attributes(
        self,
        content_type: str,
        content: bytes | None,
        more: Mapping[str, Iterable[bytes]] | None = None,
        *,
        signing_time: datetime | None = None,
    ) -> bytes:
        """The SET OF attributes to be signed, DER; ``more`` are values, DER, by object identifier.

        ``content`` None is a message without content: there is none, or it is elsewhere (RFC 5652, 5.2).
        """
        hasher = hashes.Hash(self._digest)
        hasher.update(content or b"")
        attributes: dict[str, Iterable[bytes]] = {
            CONTENT_TYPE: [tlv.object_identifier(content_type)],
            MESSAGE_DIGEST: [tlv.element(tlv.OCTET_STRING, hasher.finalize())],
            **(more or {}),
        }
        if signing_time is not None:
            attributes[SIGNING_TIME] = [tlv.time(signing_time)]  # as RFC 5652, 11.3 has it
        return encode_attributes(attributes)

    def message(
        self,
        content_type: str,
        content: bytes | None,
        signed_attributes_der: bytes,
        signature: bytes,
        certificates_der: Iterable[bytes] = (),
    ) -> bytes:
        """The whole ContentInfo, DER; the signer's certificate and ``certificates_der`` go with it."""
        certificates = sorted({self._certificate_der, *certificates_der})
        return encode_content_info(
            SIGNED_DATA,
            self._signed_data(content_type, content, signed_attributes_der, signature, certificates),
        )

    def signed_data(
        self,
        content_type: str,
        content: bytes,
        signed_attributes_der: bytes,
        signature: bytes,
        certificates_der: Iterable[bytes] = (),
    ) -> bytes:
        """The bare SignedData, as it is enveloped in another message; the signer's certificate goes first in it.

        RFC 9483, 4.1.6 asks for that order. It is not the one of DER, which nothing asks of certificates (RFC 5652,
        5.1 lets them be BER).
        """
        certificates = dict.fromkeys((self._certificate_der, *certificates_der))
        return self._signed_data(content_type, content, signed_attributes_der, signature, certificates)

    def _signed_data(
        self,
        content_type: str,
        content: bytes | None,
        signed_attributes_der: bytes,
        signature: bytes,
        certificates_der: Iterable[bytes],
    ) -> bytes:
        signer_info = tlv.sequence(
            self._signer_version,
            self._sid,
            self._digest_der,
            bytes((_CONTEXT_0,)) + signed_attributes_der[1:],
            self._signature_algorithm_der,
            tlv.element(tlv.OCTET_STRING, signature),
        )
        encapsulated = tlv.sequence(
            tlv.object_identifier(content_type),
            b"" if content is None else tlv.element(_CONTEXT_0, tlv.element(tlv.OCTET_STRING, content)),
        )
        is_version_1 = content_type == DATA and self._signer_version == _VERSION_1
        return tlv.sequence(
            _VERSION_1 if is_version_1 else _VERSION_3,
            tlv.element(tlv.SET, self._digest_der),
            encapsulated,
            tlv.element(_CONTEXT_0, b"".join(certificates_der)),
            tlv.element(tlv.SET, signer_info),
        )
