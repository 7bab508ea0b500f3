"""Declares certificate enrollment of Windows."""

from cspd.plugin import ProtocolDeclaration

wstep = ProtocolDeclaration(
    name="wstep",
    summary="WSTEP: certificates for users and machines of Active Directory (MS-WSTEP)",
    configuration="protocols.wstep.config:WSTEPConfig",
    factory="protocols.wstep.factory:build",
    plain_http=False,
    commands="protocols.wstep.commands:wstep",
)
