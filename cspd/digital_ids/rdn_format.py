"""RDN formats: ``cn=<firstname> <lastname>`` and the variables of an order become a subject (R-CEG-086 to 089).

A format is read once, into attribute types and the pieces of their values; a subject is built from those as values,
never by putting text together. So there is nothing to escape: the value ``x,ou=Admins`` is a common name with a comma
in it, whatever the format (R-CEG-088).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from cspd.refusals import BadName, Malformed
from cspd.x509.names import MAX_LENGTH, NameSyntaxError, attribute_pairs, attribute_type, short_name

MAX_VARIABLES = 32
MAX_VALUE = 256
"""Characters of a variable's value."""

_VARIABLE = re.compile(r"<([A-Za-z][A-Za-z0-9_.-]{0,63})>")
_FIRST_MARK = 0xE000
"""Of the Private Use Area: while a format is read, one such character stands for each of its variables."""
_MARK = re.compile("([\ue000-\uf8ff])")


class RDNFormatError(ValueError):
    """The text is not an RDN format; the message says why."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A place in a value that an order fills."""

    name: str


@dataclass(frozen=True, slots=True)
class AttributeFormat:
    """An attribute type, and its value in pieces."""

    type: x509.ObjectIdentifier
    pieces: tuple[str | Variable, ...]

    def build(self, variables: Mapping[str, str]) -> x509.NameAttribute[str]:
        """The attribute; raises Malformed for a variable that is missing, BadName for a value that cannot be."""
        value = "".join(piece if isinstance(piece, str) else _value_of(piece, variables) for piece in self.pieces)
        try:
            return x509.NameAttribute(self.type, value)
        except ValueError as error:  # too long, or not the characters of the attribute
            raise BadName(f"{short_name(self.type)}: {error}") from error


@dataclass(frozen=True, slots=True)
class RDNFormat:
    """A format that was read; ``rdns`` stand as written, the most specific first."""

    text: str
    rdns: tuple[tuple[AttributeFormat, ...], ...]
    variables: tuple[str, ...]
    """The names of all variables, each once, in the order of the text."""

    @classmethod
    def parse(cls, text: str) -> RDNFormat:
        """Read one or more RDNs (RFC 4514) with ``<variable>`` in their values; raises :class:`RDNFormatError`."""
        if len(text) > MAX_LENGTH:
            raise RDNFormatError(f"more than {MAX_LENGTH} characters")
        if _MARK.search(text):
            raise RDNFormatError("a character of the Private Use Area")
        names = tuple(dict.fromkeys(_VARIABLE.findall(text)))
        if not 1 <= len(names) <= MAX_VARIABLES:
            raise RDNFormatError(f"1 to {MAX_VARIABLES} variables, for example cn=<firstname> <lastname>")
        marked = _VARIABLE.sub(lambda found: chr(_FIRST_MARK + names.index(found[1])), text)
        rdns: list[list[AttributeFormat]] = [[]]
        try:
            for attribute, value, separator in attribute_pairs(marked):
                rdns[-1].append(AttributeFormat(attribute_type(attribute), _pieces(value, names)))
                if separator in (",", ";"):
                    rdns.append([])
        except NameSyntaxError as error:
            raise RDNFormatError(_MARK.sub(lambda found: f"<{_name_of(found[1], names)}>", str(error))) from error
        for rdn in rdns:
            if len({attribute.type for attribute in rdn}) != len(rdn):
                raise RDNFormatError("an attribute twice in one RDN")
        return cls(text, tuple(tuple(rdn) for rdn in rdns), names)

    def build(self, variables: Mapping[str, str], parent: x509.Name) -> x509.Name:
        """The subject: these RDNs, then those of the parent.

        Variables that the format does not have are left aside. Raises Malformed, code ``missing-variable``, which names
        all that are missing (R-CEG-087), and BadName for a value that cannot stand in its attribute.
        """
        missing = [name for name in self.variables if name not in variables]
        if missing:
            raise Malformed(f"missing variable: {', '.join(missing)}", code="missing-variable")
        # A Name begins with the root, its text with the most specific RDN.
        built = [x509.RelativeDistinguishedName(each.build(variables) for each in rdn) for rdn in self.rdns]
        return x509.Name([*parent.rdns, *reversed(built)])


def _value_of(variable: Variable, variables: Mapping[str, str]) -> str:
    value = variables[variable.name].strip(" ")
    if not value:
        raise BadName(f"variable {variable.name} is empty")
    if len(value) > MAX_VALUE:
        raise BadName(f"variable {variable.name} has more than {MAX_VALUE} characters")
    if not value.isprintable():
        raise BadName(f"variable {variable.name} has characters that cannot be printed")
    return value


def _pieces(value: str, names: tuple[str, ...]) -> tuple[str | Variable, ...]:
    pieces = [piece for piece in _MARK.split(value) if piece]
    if not pieces:
        raise RDNFormatError("an attribute without a value")
    return tuple(Variable(_name_of(piece, names)) if _MARK.fullmatch(piece) else piece for piece in pieces)


def _name_of(mark: str, names: tuple[str, ...]) -> str:
    index = ord(mark) - _FIRST_MARK
    if index >= len(names):  # written as an escape: \EE\80\9F
        raise RDNFormatError("a character of the Private Use Area")
    return names[index]
