"""Declares the Simple Certificate Enrolment Protocol."""

from cspd.plugin import ProtocolDeclaration

scep = ProtocolDeclaration(
    name="scep",
    summary="SCEP: certificates for routers, printers, phones and managed devices (RFC 8894)",
    configuration="protocols.scep.config:SCEPConfig",
    factory="protocols.scep.factory:build",
    plain_http=True,
    commands="protocols.scep.commands:scep",
)
