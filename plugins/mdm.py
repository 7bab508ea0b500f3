"""The web service for mobile device management, as a protocol that conf can switch on."""

from cspd.plugin import ProtocolDeclaration

mdm = ProtocolDeclaration(
    name="mdm",
    summary="MDM web service: digital IDs for products that manage devices, by SOAP and JSON",
    configuration="protocols.mdm.config:MDMConfig",
    factory="protocols.mdm.factory:build",
    plain_http=False,
)
