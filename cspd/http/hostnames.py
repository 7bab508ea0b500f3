"""Is a certificate for a host? (RFC 9525; without a subjectAltName the common name counts, R-PLAT-023)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

__all__ = ["names_of", "unmatched"]


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and IP addresses that a certificate is for, in lower case."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value).lower() for attribute in common_names)
    dns_names = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    return (*dns_names, *(str(address) for address in names.get_values_for_type(x509.IPAddress)))


def unmatched(certificate: x509.Certificate, host_names: Sequence[str]) -> tuple[str, ...]:
    """Those of ``host_names`` that the certificate is not for; an IP address only matches itself."""
    names = names_of(certificate)
    return tuple(host for host in host_names if not any(_matches(name, _normal(host)) for name in names))


def _matches(name: str, host: str) -> bool:
    if name == host:
        return True
    # A wildcard stands for one whole leftmost label, and never for part of an address (RFC 9525, 6.3).
    label, _, parent = host.partition(".")
    return name.startswith("*.") and bool(label) and "." in parent and not _is_address(host) and name[2:] == parent


def _normal(host: str) -> str:
    if _is_address(host):
        return str(ip_address(host))
    return host.rstrip(".").encode("idna").decode("ascii").lower() if not host.isascii() else host.rstrip(".").lower()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
