"""subjectAltName as orders write it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence

from cryptography import x509

from cspd.refusals import BadName
from cspd.x509 import tlv
from cspd.x509.general_names import USER_PRINCIPAL_NAME, GeneralNameError, check_general_name
from protocols.mdm.messages import AlternativeName, NameKind

_UTF8_STRING = 0x0C


def general_names(names: Sequence[AlternativeName]) -> tuple[x509.GeneralName, ...]:
    """The names of an order, checked; raises BadName."""
    built = []
    for name in names:
        try:
            general_name = _KINDS[name.kind](name.value)
            check_general_name(general_name)
        except (GeneralNameError, ValueError) as error:
            raise BadName(f"subjectAltNames, {name.kind.value}: {error}") from error
        built.append(general_name)
    return tuple(built)


def _principal(value: str) -> x509.OtherName:
    return x509.OtherName(USER_PRINCIPAL_NAME, tlv.element(_UTF8_STRING, value.encode()))


_KINDS: Mapping[NameKind, Callable[[str], x509.GeneralName]] = {
    NameKind.EMAIL: x509.RFC822Name,
    NameKind.DNS: x509.DNSName,
    NameKind.URI: x509.UniformResourceIdentifier,
    NameKind.IP: lambda value: x509.IPAddress(ipaddress.ip_address(value)),
    NameKind.UPN: _principal,
}
