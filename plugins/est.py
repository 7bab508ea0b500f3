"""Declares Enrollment over Secure Transport."""

from cspd.plugin import ProtocolDeclaration

est = ProtocolDeclaration(
    name="est",
    summary="EST: certificates for devices over HTTPS (RFC 7030, RFC 8951, RFC 9908)",
    configuration="protocols.est.config:ESTConfig",
    factory="protocols.est.factory:build",
    plain_http=False,
)
