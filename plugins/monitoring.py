"""Declares health and metrics."""

from cspd.plugin import ProtocolDeclaration

monitoring = ProtocolDeclaration(
    name="monitoring",
    summary="Monitoring: /health and /metrics for balancers and Prometheus",
    configuration="protocols.monitoring.config:MonitoringConfig",
    factory="protocols.monitoring.factory:build",
    plain_http=True,
)
