"""Puts monitoring together."""

from __future__ import annotations

from cspd.plugin import EnrollmentURL, ProtocolService, Services
from protocols.monitoring.config import MonitoringConfig
from protocols.monitoring.endpoint import MonitoringEndpoint


def build(configuration: MonitoringConfig, services: Services) -> ProtocolService:
    """See :class:`cspd.plugin.ProtocolFactory`."""
    endpoint = MonitoringEndpoint(
        services.monitor,
        trusted=configuration.trusted,
        trust_client_certificates=configuration.trust_client_certificates,
    )
    url = f"{services.public.http}/health"
    shown = (EnrollmentURL(what="Health", url=url, command=f"curl {url}"),) if services.demo else ()
    return ProtocolService(routes=endpoint.routes(), enrollment_urls=shown)
