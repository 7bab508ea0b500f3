"""Distinguished names as text: RFC 4514, with the aliases that people and products use for attribute types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from cryptography import x509

from cspd.x509.object_identifiers import is_dotted

MAX_LENGTH = 4096
"""Characters of a name as text."""

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

_SHORT_NAMES: Mapping[str, str] = MappingProxyType({oid: aliases[0] for oid, aliases in _ATTRIBUTES})

# Characters that RFC 4514, 2.4 wants escaped; a control character would break a log line or a terminal.
_SPECIAL = frozenset('"+,;<>\\')
_TWO_HEXADECIMAL_DIGITS = re.compile("[0-9A-Fa-f]{2}")
_EMPTY = x509.Name([])


class NameSyntaxError(ValueError):
    """The text is not a distinguished name."""


def attribute_name(oid: str) -> str:
    """The alias that names are written with, or the dotted identifier itself."""
    return _SHORT_NAMES.get(oid, oid)


def attribute_type(text: str) -> x509.ObjectIdentifier:
    """The attribute type that an alias (in any case) or a dotted text names; raises :class:`NameSyntaxError`."""
    alias = text.strip().lower()
    if alias in ATTRIBUTE_ALIASES:
        return ATTRIBUTE_ALIASES[alias]
    dotted = alias.removeprefix("oid.")
    if is_dotted(dotted):
        return x509.ObjectIdentifier(dotted)
    raise NameSyntaxError(f"unknown attribute type {text[:40]!r}")


def format_name(name: x509.Name) -> str:
    """Write a name as RFC 4514 does: the most specific part first, control characters escaped as ``\\0A``.

    Attribute types without a short name are dotted. Total: any name that a parser gives can be written.
    """
    return ",".join(
        "+".join(f"{short_name(part.oid)}={_escape(part.value)}" for part in rdn) for rdn in reversed(name.rdns)
    )


def short_name(oid: x509.ObjectIdentifier) -> str:
    """The first alias of an attribute type, or its dotted form."""
    return _SHORT_NAMES.get(oid.dotted_string, oid.dotted_string)


def attribute_names(text: str) -> list[str]:
    """The attribute types of a name as they are written, from left to right; raises :class:`NameSyntaxError`."""
    return [attribute.strip() for attribute, _, _ in attribute_pairs(text)]


def parse_name(text: str) -> x509.Name:
    """Read a name written as RFC 4514, 3 says, most specific part first; ``;`` separates like ``,``.

    Several values joined by ``+`` make one multi-valued part. Values become UTF8String, or what RFC 5280 asks for
    (PrintableString for countries, IA5String for e-mail and domain components). ``#`` values (BER in hexadecimal) are
    not read. Raises :class:`NameSyntaxError`; an empty text is the empty name.
    """
    if len(text) > MAX_LENGTH:
        raise NameSyntaxError(f"more than {MAX_LENGTH} characters")
    if not text.strip():
        return _EMPTY
    rdns: list[list[x509.NameAttribute[str]]] = [[]]
    for attribute, value, separator in attribute_pairs(text):
        rdns[-1].append(_attribute(attribute, value))
        if separator in (",", ";"):
            rdns.append([])
    try:
        return x509.Name(x509.RelativeDistinguishedName(rdn) for rdn in reversed(rdns))
    except ValueError as error:  # an attribute twice in one part
        raise NameSyntaxError(str(error)) from error


def attribute_pairs(text: str) -> Iterator[tuple[str, str, str]]:
    """Attribute, unescaped value and the separator after it, which is empty at the end; from left to right.

    Raises :class:`NameSyntaxError`.
    """
    offset = 0
    while True:
        attribute, equals, _ = text[offset:].partition("=")
        if not equals:
            raise NameSyntaxError(f"no '=' after {text[offset : offset + 40]!r}")
        value, offset = _value(text, offset + len(attribute) + 1)
        separator = text[offset : offset + 1]
        yield attribute, value, separator
        if not separator:
            return
        offset += 1


def _value(text: str, offset: int) -> tuple[str, int]:
    """The unescaped value that begins at ``offset``, and where its separator (or the end) is."""
    while text[offset : offset + 1] == " ":
        offset += 1
    if text[offset : offset + 1] == "#":
        raise NameSyntaxError("values in hexadecimal (#...) are not supported")
    octets = bytearray()
    kept = 0  # up to here trailing spaces are part of the value
    while offset < len(text) and (character := text[offset]) not in ",;+":
        if character == "\\":
            escaped, offset = _escaped(text, offset + 1)
            octets += escaped
            kept = len(octets)
        elif character in '"<>':
            raise NameSyntaxError(f"{character!r} needs a backslash before it")
        else:
            octets += character.encode("utf-8", "surrogatepass")
            offset += 1
    trailing = octets.rstrip(b" ")
    try:
        return bytes(octets[: max(kept, len(trailing))]).decode(), offset
    except UnicodeDecodeError as error:
        raise NameSyntaxError("not UTF-8") from error


def _escaped(text: str, offset: int) -> tuple[bytes, int]:
    """The octets after a backslash: two hexadecimal digits, or a special character."""
    character = text[offset : offset + 1]
    if (character and character in " #=") or character in _SPECIAL:
        return character.encode(), offset + 1
    digits = text[offset : offset + 2]
    if not _TWO_HEXADECIMAL_DIGITS.fullmatch(digits):
        raise NameSyntaxError("a backslash before neither a special character nor two hexadecimal digits")
    return bytes.fromhex(digits), offset + 2


def _attribute(attribute: str, value: str) -> x509.NameAttribute[str]:
    oid = attribute_type(attribute)
    try:
        return x509.NameAttribute(oid, value)
    except ValueError as error:
        raise NameSyntaxError(f"{short_name(oid)}: {error}") from error


def _escape(value: str | bytes) -> str:
    if isinstance(value, bytes):  # a BIT STRING (x500UniqueIdentifier)
        return "#" + value.hex()
    escaped = "".join(
        f"\\{character}" if character in _SPECIAL else character if character.isprintable() else _hexadecimal(character)
        for character in value
    )
    if len(value) > 1 and value.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    if value.startswith((" ", "#")):
        escaped = "\\" + escaped
    return escaped


def _hexadecimal(character: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in character.encode("utf-8", "surrogatepass"))
