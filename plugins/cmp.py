"""Declares the Certificate Management Protocol."""

from cspd.plugin import ProtocolDeclaration

cmp = ProtocolDeclaration(
    name="cmp",
    summary="CMP: certificates for devices and base stations (RFC 9810, RFC 9811, RFC 9483)",
    configuration="protocols.cmp.config:CMPConfig",
    factory="protocols.cmp.factory:build",
    plain_http=True,
    commands="protocols.cmp.commands:cmp",
)
