"""Changes of a directory as text: LDIF (RFC 2849), for ``ldifde`` and ``ldapmodify``."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from cspd.x509.names import format_name

Attribute = tuple[str, Sequence[str | bytes]]
"""Its name and values: text, or octets, which are written in base64."""

_SAFE = re.compile(r"[\x21-\x39\x3b\x3d-\x7e][\x20-\x7e]*")
_LINE = 76


def file(records: Iterable[str]) -> str:
    """A file of records."""
    return "\n".join(["version: 1\n", *records])


def addition(dn: str, object_class: str, *attributes: Attribute) -> str:
    """A record that makes an entry; attributes without values are left out."""
    return _record(dn, ("changetype", ["add"]), ("objectClass", [object_class]), *attributes)


def further_values(dn: str, name: str, values: Sequence[str | bytes]) -> str:
    """A record that gives an attribute of an entry more values."""
    return _record(dn, ("changetype", ["modify"]), ("add", [name]), (name, values)) + "-\n"


def rdn(common_name: str) -> str:
    """``CN=...``, escaped (RFC 4514)."""
    return format_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))


def _record(dn: str, *attributes: Attribute) -> str:
    lines = [_attribute("dn", dn)]
    lines += [_attribute(name, value) for name, values in attributes for value in values]
    return "".join(lines)


def _attribute(name: str, value: str | bytes) -> str:
    """One attribute; in base64 where RFC 2849 does not allow the text as it is; folded."""
    if isinstance(value, str) and _SAFE.fullmatch(value) and not value.endswith(" "):
        text = f"{name}: {value}"
    else:
        octets = value if isinstance(value, bytes) else value.encode()
        text = f"{name}:: {base64.b64encode(octets).decode('ascii')}"
    return "\n ".join(_folded(text)) + "\n"


def _folded(text: str) -> Iterable[str]:
    yield text[:_LINE]
    for start in range(_LINE, len(text), _LINE - 1):
        yield text[start : start + _LINE - 1]
