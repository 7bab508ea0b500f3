"""Extensions that a request may bring: each is read completely before it is copied into a certificate."""

from __future__ import annotations

import re

from asn1crypto.cms import SMIMECapabilites  # spelt so there
from asn1crypto.core import (
    Asn1Value,
    BMPString,
    Boolean,
    Integer,
    ObjectIdentifier,
    OctetString,
    Sequence,
    UTF8String,
)
from asn1crypto.x509 import CertificatePolicies, ExtKeyUsageSyntax, GeneralNames
from cryptography import x509

from cspd.x509.der import DERError, read
from cspd.x509.object_identifiers import REQUEST_EXTENSIONS

MAX_EXTENSION = 4096
"""Octets of one requested extension."""
MAX_EXTENSIONS = 32

SECURITY_IDENTIFIER = "1.3.6.1.4.1.311.25.2.1"
"""The otherName inside the NTDS CA security extension: the account's SID in ASCII."""
_SID = re.compile(rb"S-1-[0-9]{1,15}(?:-[0-9]{1,10}){1,15}")


class ExtensionError(ValueError):
    """An extension is not what its object identifier says."""


class CertificateTemplateOID(Sequence):  # type: ignore[misc]  # asn1crypto carries no types
    """CertificateTemplate of [MS-WCCE] 2.2.2.7.7.2 (V2 templates)."""

    _fields = [  # noqa: RUF012  # asn1crypto completes the list in place
        ("template_id", ObjectIdentifier),
        ("template_major_version", Integer, {"optional": True}),
        ("template_minor_version", Integer, {"optional": True}),
    ]


def requested(oid: str, value_der: bytes, *, critical: bool) -> x509.Extension[x509.UnrecognizedExtension]:
    """A requested extension in the form in which it is written: its DER, unchanged.

    An extension that conf can name (:data:`REQUEST_EXTENSIONS`) must have its structure; any other must at least be
    DER. Raises :class:`ExtensionError`.
    """
    if len(value_der) > MAX_EXTENSION:
        raise ExtensionError(f"extension {oid} has more than {MAX_EXTENSION} octets")
    try:
        _check(oid, value_der)
    except DERError as error:
        raise ExtensionError(f"extension {oid} is malformed: {error}") from error
    identifier = x509.ObjectIdentifier(oid)
    return x509.Extension(identifier, critical, x509.UnrecognizedExtension(identifier, value_der))


def _check(oid: str, value_der: bytes) -> None:
    if oid == REQUEST_EXTENSIONS["msTemplateName"]:
        if not read(_string_class(value_der), value_der, limit=MAX_EXTENSION).native:
            raise ExtensionError("the certificate template's name is empty")
        return
    value = read(_STRUCTURES.get(oid, Asn1Value), value_der, limit=MAX_EXTENSION)
    if oid in _LISTS and not len(value):
        raise ExtensionError(f"extension {oid} is an empty list")
    if oid == REQUEST_EXTENSIONS["ntdsCaSecurityExt"]:
        _check_security_identifier(value)


def _string_class(value_der: bytes) -> type[Asn1Value]:
    """BMPString says [MS-WCCE] 2.2.2.7.7.1; certreq and OpenSSL users also send UTF8String."""
    string_class: type[Asn1Value] = UTF8String if value_der[:1] == b"\x0c" else BMPString
    return string_class


def _check_security_identifier(names: GeneralNames) -> None:
    """GeneralNames with one otherName, whose value is ``[0] { OCTET STRING "S-1-5-21-..." }`` (KB5014754)."""
    if len(names) != 1 or names[0].name != "other_name":
        raise ExtensionError("the security identifier is not one otherName")
    other = names[0].chosen
    if other["type_id"].dotted != SECURITY_IDENTIFIER:
        raise ExtensionError("the security identifier's otherName has another type")
    sid = other["value"].parsed
    if not isinstance(sid, OctetString) or not _SID.fullmatch(sid.native):
        raise ExtensionError("the security identifier is not an OCTET STRING with a SID")


_STRUCTURES: dict[str, type[Asn1Value]] = {
    REQUEST_EXTENSIONS["certificatePolicies"]: CertificatePolicies,
    REQUEST_EXTENSIONS["extendedKeyUsage"]: ExtKeyUsageSyntax,
    REQUEST_EXTENSIONS["applicationPolicies"]: CertificatePolicies,  # the same syntax, says [MS-WCCE] 2.2.2.7.7.3
    REQUEST_EXTENSIONS["smimeCapabilities"]: SMIMECapabilites,
    REQUEST_EXTENSIONS["msTemplateOID"]: CertificateTemplateOID,
    REQUEST_EXTENSIONS["ntdsCaSecurityExt"]: GeneralNames,
    REQUEST_EXTENSIONS["pivInterimIndicator"]: Boolean,  # FIPS 201
}
_LISTS = frozenset(
    REQUEST_EXTENSIONS[name]
    for name in ("certificatePolicies", "extendedKeyUsage", "applicationPolicies", "smimeCapabilities")
)
