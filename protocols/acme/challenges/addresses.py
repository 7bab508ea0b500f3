"""Where a validation may connect to: names under an attacker's control must not reach what only we can reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# IPv6 addresses that carry an IPv4 address, which a gateway on the way would reach in our stead.
_TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("2002::/16"))


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
        if isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _TRANSLATED):
            return False
        return address.is_global and not address.is_multicast
