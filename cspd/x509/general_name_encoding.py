"""GeneralNames (RFC 5280, 4.2.1.6): DER to the names of ``cryptography``, which reads them only inside certificates."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cryptography import x509

from cspd.x509 import tlv
from cspd.x509.general_names import GeneralNameError

MAX_ENCODED_NAMES = 64 * 1024
"""Octets."""

_OTHER_NAME, _RFC822_NAME, _DNS_NAME, _DIRECTORY_NAME = 0xA0, 0x81, 0x82, 0xA4
_URI, _IP_ADDRESS, _REGISTERED_ID = 0x86, 0x87, 0x88
_EXPLICIT_VALUE = 0xA0


def decode_general_names(names_der: bytes) -> tuple[x509.GeneralName, ...]:
    """The names of a GeneralNames, DER, in their order.

    Raises :class:`cspd.x509.general_names.GeneralNameError` for bytes that are no GeneralNames, and for x400Address and
    ediPartyName, which nobody uses. The syntax of the names is not checked here (``check_general_name`` does).
    """
    if len(names_der) > MAX_ENCODED_NAMES:
        raise GeneralNameError(f"more than {MAX_ENCODED_NAMES} octets of names")
    names: list[x509.GeneralName] = []
    try:
        position, end = tlv.read_only(names_der, 0, len(names_der), tlv.SEQUENCE)
        if position == end:
            raise GeneralNameError("an empty list of names")
        while position < end:
            identifier, start, position = tlv.read_any(names_der, position, end)
            names.append(_decoded(identifier, names_der[start:position]))
    except (tlv.DERError, ValueError) as error:
        raise GeneralNameError(f"not GeneralNames: {error}") from error
    return tuple(names)


def encode_general_names(names: Sequence[x509.GeneralName]) -> bytes:
    """The DER of a GeneralNames with these names, one at least."""
    return x509.SubjectAlternativeName(names).public_bytes()


def _decoded(identifier: int, contents: bytes) -> x509.GeneralName:
    if identifier == _DNS_NAME:
        return x509.DNSName(contents.decode("ascii"))
    if identifier == _RFC822_NAME:
        return x509.RFC822Name(contents.decode("ascii"))
    if identifier == _URI:
        return x509.UniformResourceIdentifier(contents.decode("ascii"))
    if identifier == _IP_ADDRESS:
        return x509.IPAddress(ipaddress.ip_address(contents))
    if identifier == _DIRECTORY_NAME:
        return x509.DirectoryName(x509.Name.from_bytes(contents))
    if identifier == _REGISTERED_ID:
        return x509.RegisteredID(x509.ObjectIdentifier(tlv.read_object_identifier(contents, 0, len(contents))))
    if identifier == _OTHER_NAME:
        start, stop = tlv.read(contents, 0, len(contents), tlv.OBJECT_IDENTIFIER)
        type_id = tlv.read_object_identifier(contents, start, stop)
        start, stop = tlv.read_only(contents, stop, len(contents), _EXPLICIT_VALUE)
        tlv.check_well_formed(contents, start, stop)
        return x509.OtherName(x509.ObjectIdentifier(type_id), contents[start:stop])
    raise GeneralNameError(f"a name with the tag {identifier:#04x}")
