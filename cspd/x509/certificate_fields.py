"""Fields of a certificate as they are encoded in it.

Who hashes or repeats a name has to take the octets of the certificate: encoded anew it could have other string types.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cspd.x509 import tlv

_VERSION = 0xA0  # [0] EXPLICIT


@dataclass(frozen=True, slots=True)
class CertificateFields:
    """Parts of a TBSCertificate (RFC 5280, 4.1), DER."""

    serial_number: bytes
    """An INTEGER."""
    issuer: bytes
    """A Name."""
    subject: bytes
    """A Name."""
    subject_public_key_info: bytes

    @property
    def issuer_and_serial_number(self) -> bytes:
        """IssuerAndSerialNumber (RFC 5652, 10.2.4)."""
        return tlv.sequence(self.issuer, self.serial_number)

    @property
    def public_key(self) -> bytes:
        """The value of the BIT STRING subjectPublicKey, without the octet that counts unused bits.

        Raises DERError where there is none.
        """
        info = self.subject_public_key_info
        position, end = tlv.read_only(info, 0, len(info), tlv.SEQUENCE)
        _, position = tlv.read(info, position, end, tlv.SEQUENCE)
        start, stop = tlv.read_only(info, position, end, tlv.BIT_STRING)
        return info[start + 1 : stop]


@lru_cache(maxsize=64)  # a request looks at its signer's certificate, and at ours, several times
def fields_of(certificate_der: bytes) -> CertificateFields:
    """Cut the fields out of a certificate, DER; raises DERError for bytes that are none."""
    position, end = tlv.read_only(certificate_der, 0, len(certificate_der), tlv.SEQUENCE)
    position, end = tlv.read(certificate_der, position, end, tlv.SEQUENCE)
    identifier, _, stop = tlv.read_any(certificate_der, position, end)
    if identifier == _VERSION:
        position = stop
    fields: list[bytes] = []
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
    for expected in (tlv.INTEGER, *(tlv.SEQUENCE,) * 5):
        _, stop = tlv.read(certificate_der, position, end, expected)
        fields.append(certificate_der[position:stop])
        position = stop
    return CertificateFields(fields[0], fields[2], fields[4], fields[5])
