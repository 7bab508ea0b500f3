"""Structures of Microsoft's in requests and certificates, DER in and out ([MS-WCCE] 2.2.2.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from cryptography import x509

from cspd.x509 import tlv
from cspd.x509.cursor import Cursor
from cspd.x509.extensions import SECURITY_IDENTIFIER
from cspd.x509.general_names import USER_PRINCIPAL_NAME

CERTIFICATE_TEMPLATE_NAME: Final = "1.3.6.1.4.1.311.20.2"
CERTIFICATE_TEMPLATE: Final = "1.3.6.1.4.1.311.21.7"
APPLICATION_POLICIES: Final = "1.3.6.1.4.1.311.21.10"
NTDS_CA_SECURITY: Final = "1.3.6.1.4.1.311.25.2"
NTDS_REPLICATION: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.25.1")
"""otherName of a domain controller: its objectGUID."""
SID_URI: Final = "tag:microsoft.com,2022-09-14:sid:"
"""What a SID follows in a uniformResourceIdentifier (KB5014754): for certificates whose extensions others choose."""

MAX_TEMPLATE_NAME: Final = 256
_BMP_STRING, _UNIVERSAL_STRINGS = 0x1E, (0x1E, tlv.UTF8_STRING)
_EXPLICIT = 0xA0


def encode_security_identifier(sid: str) -> bytes:
    """The value of the NTDS CA security extension: GeneralNames with one otherName, the SID as text in octets."""
    value = tlv.element(_EXPLICIT, tlv.element(tlv.OCTET_STRING, sid.encode("ascii")))
    return tlv.sequence(tlv.element(_EXPLICIT, tlv.object_identifier(SECURITY_IDENTIFIER) + value))


def encode_certificate_template(oid: str, major: int, minor: int) -> bytes:
    """The value of the template extension, version 2 ([MS-WCCE] 2.2.2.7.7.2)."""
    return tlv.sequence(tlv.object_identifier(oid), tlv.integer(major), tlv.integer(minor))


def decode_certificate_template(value_der: bytes) -> str:
    """The template's object identifier, dotted; raises :class:`cspd.x509.tlv.DERError`."""
    whole = Cursor.over(value_der)
    template = whole.enter(tlv.SEQUENCE)
    whole.finish()
    oid = template.object_identifier()
    for _ in range(2):  # the versions, which the directory knows better
        if not template.is_at_end:
            template.integer()
    template.finish()
    return oid


def encode_template_name(name: str) -> bytes:
    """The value of the certificate type extension, version 1: BMPString, as Windows writes it."""
    return tlv.element(_BMP_STRING, name.encode("utf-16-be"))


def decode_template_name(value_der: bytes) -> str:
    """The template's name; raises :class:`cspd.x509.tlv.DERError`.

    [MS-WCCE] 2.2.2.7.7.1 has a SEQUENCE with a UTF8String. Windows sends a BMPString without one, and others a
    UTF8String without one.
    """
    whole = Cursor.over(value_der)
    if whole.peek() == tlv.SEQUENCE:
        inner = whole.enter(tlv.SEQUENCE)
        whole.finish()
        whole = inner
    identifier = whole.peek()
    if identifier not in _UNIVERSAL_STRINGS:
        raise tlv.DERError("the template's name is neither BMPString nor UTF8String")
    contents = whole.contents(identifier)
    whole.finish()
    try:
        name = contents.decode("utf-16-be" if identifier == _BMP_STRING else "utf-8")
    except UnicodeDecodeError as error:
        raise tlv.DERError("the template's name is no text") from error
    if not 1 <= len(name) <= MAX_TEMPLATE_NAME or not name.isprintable():
        raise tlv.DERError("the template's name is empty, too long, or not printable")
    return name


def encode_application_policies(oids: Sequence[str]) -> bytes:
    """The value of the application policies extension: the syntax of certificatePolicies."""
    return tlv.sequence(*(tlv.sequence(tlv.object_identifier(oid)) for oid in oids))


def user_principal_name(name: str) -> x509.OtherName:
    """The otherName of a user principal name."""
    return x509.OtherName(USER_PRINCIPAL_NAME, tlv.element(tlv.UTF8_STRING, name.encode()))


def directory_guid(guid: UUID) -> x509.OtherName:
    """The otherName of an objectGUID, in the octets that the directory has."""
    return x509.OtherName(NTDS_REPLICATION, tlv.element(tlv.OCTET_STRING, guid.bytes_le))


def security_identifier_uri(sid: str) -> x509.UniformResourceIdentifier:
    """The URI of a SID (KB5014754)."""
    return x509.UniformResourceIdentifier(SID_URI + sid)
