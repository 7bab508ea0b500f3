"""``[protocols.monitoring]``."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from cspd.config.values import Section

_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class MonitoringConfig(Section):
    """Who may see more than whether the server works."""

    trusted: tuple[IPv4Network | IPv6Network, ...] = _LOOPBACK
    """Networks whose clients see reasons and metrics; all others see the overall state alone (R-PLAT-127)."""
    trust_client_certificates: bool = False
    """Whether a client certificate that the listener verified is as good: right only on a listener whose
    ``client_trust`` is for operators."""
