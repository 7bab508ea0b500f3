"""Declares ACME."""

from cspd.plugin import ProtocolDeclaration

acme = ProtocolDeclaration(
    name="acme",
    summary="ACME: certificates for domain names that the client proves to control (RFC 8555)",
    configuration="protocols.acme.config:ACMEConfig",
    factory="protocols.acme.factory:build",
    plain_http=False,
)
