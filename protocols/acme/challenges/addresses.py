"""Where a validation may connect to: names under an attacker's control must not reach what only we can reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# All global unicast addresses that were ever given out (RFC 4291, 2.4). Outside lie those that carry an IPv4 address
# (IPv4-compatible, NAT64) and the deprecated site-local ones, which a gateway on the way would reach in our stead.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL = (
    ipaddress.IPv6Network("2002::/16"),  # 6to4 carries an IPv4 address as well
    ipaddress.IPv6Network("3fff::/20"),  # documentation (RFC 9637)
    ipaddress.IPv4Network("192.88.99.0/24"),  # the relay of 6to4 (RFC 7526)
    ipaddress.IPv4Network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890)
)


class AddressRules:
    """Global unicast addresses are allowed, others where the configuration says so (R-CEG-120)."""

    def __init__(self, allowed: Collection[IPNetwork]) -> None:
        self._allowed = tuple(allowed)

    def permit(self, address: IPAddress) -> bool:
        """Whether a validation may connect there."""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._allowed):
            return True
        if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
            return False
        if any(address in network for network in _SPECIAL):
            return False
        return address.is_global and not address.is_multicast
