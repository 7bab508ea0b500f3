"""Declares the OCSP responder of our own CAs."""

from cspd.plugin import ProtocolDeclaration

ocsp = ProtocolDeclaration(
    name="ocsp",
    summary="OCSP: the status of a certificate, signed (RFC 6960, RFC 5019, RFC 9654)",
    configuration="protocols.ocsp.config:OCSPConfig",
    factory="protocols.ocsp.factory:build",
    plain_http=True,
)
