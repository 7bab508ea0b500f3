"""Distinguished names: attribute types by their aliases."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography import x509

from cspd.x509.object_identifiers import is_dotted

_ATTRIBUTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("2.5.4.3", ("CN", "CommonName")),
    ("2.5.4.4", ("SN", "SurName")),  # not the serial number, although many tools read it so (R-PRO-007)
    ("2.5.4.5", ("SERIALNUMBER", "DeviceSerialNumber")),
    ("2.5.4.6", ("C", "Country")),
    ("2.5.4.7", ("L", "Locality")),
    ("2.5.4.8", ("ST", "S", "State")),
    ("2.5.4.9", ("STREET", "StreetAddress")),
    ("2.5.4.10", ("O", "Org", "Organization")),
    ("2.5.4.11", ("OU", "OrganizationalUnit", "OrganizationUnit", "OrgUnit")),
    ("2.5.4.12", ("T", "Title")),
    ("2.5.4.15", ("BUSINESSCATEGORY",)),
    ("2.5.4.17", ("POSTALCODE",)),
    ("2.5.4.42", ("givenName", "G")),
    ("2.5.4.43", ("I", "Initials")),
    ("2.5.4.97", ("ORGANIZATIONIDENTIFIER",)),
    ("0.9.2342.19200300.100.1.1", ("UID",)),
    ("0.9.2342.19200300.100.1.25", ("DC", "DomainComponent")),
    ("1.2.840.113549.1.9.1", ("E", "Email")),
    ("1.2.840.113549.1.9.2", ("unstructuredName",)),
    ("1.2.840.113549.1.9.8", ("unstructuredAddress",)),
    ("1.3.6.1.4.1.311.60.2.1.1", ("JurisdictionOfIncorporationLocalityName",)),
    ("1.3.6.1.4.1.311.60.2.1.2", ("JurisdictionOfIncorporationStateOrProvinceName",)),
    ("1.3.6.1.4.1.311.60.2.1.3", ("JurisdictionOfIncorporationCountryName",)),
    ("1.3.6.1.4.1.53087.1.2", ("TrademarkOfficeName",)),
    ("1.3.6.1.4.1.53087.1.3", ("TrademarkCountryOrRegionName",)),
    ("1.3.6.1.4.1.53087.1.4", ("TrademarkRegistration",)),
    ("1.3.6.1.4.1.53087.1.5", ("LegalEntityIdentifier",)),
    ("1.3.6.1.4.1.53087.1.6", ("WordMark",)),
    ("1.3.6.1.4.1.53087.1.13", ("MarkType",)),
    ("1.3.6.1.4.1.53087.3.2", ("StatuteCountryName",)),
    ("1.3.6.1.4.1.53087.3.3", ("StatuteStateOrProvinceName",)),
    ("1.3.6.1.4.1.53087.3.4", ("StatuteLocalityName",)),
    ("1.3.6.1.4.1.53087.3.5", ("StatuteCitation",)),
    ("1.3.6.1.4.1.53087.3.6", ("StatuteURL",)),
)

ATTRIBUTE_ALIASES: Mapping[str, x509.ObjectIdentifier] = MappingProxyType(
    {alias.lower(): x509.ObjectIdentifier(oid) for oid, aliases in _ATTRIBUTES for alias in aliases}
)
"""Attribute types by alias in lower case."""


def attribute_type(text: str) -> x509.ObjectIdentifier:
    """The attribute type that an alias (in any case) or a dotted text names; raises ValueError."""
    alias = text.strip().lower()
    if alias in ATTRIBUTE_ALIASES:
        return ATTRIBUTE_ALIASES[alias]
    if is_dotted(alias):
        return x509.ObjectIdentifier(alias)
    raise ValueError(f"unknown attribute type {text!r}")
