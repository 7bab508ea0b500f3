"""Declares the timestamping authority."""

from cspd.plugin import ProtocolDeclaration

tsp = ProtocolDeclaration(
    name="tsp",
    summary="Timestamping authority (RFC 3161, RFC 5816, ETSI EN 319 422)",
    configuration="protocols.tsp.config:TSPConfig",
    factory="protocols.tsp.factory:build",
    plain_http=True,
    commands="protocols.tsp.commands:tsa",
    command_name="tsa",
)
