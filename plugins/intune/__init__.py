"""Connects to Microsoft Intune by the interface that Microsoft publishes for certification authorities.

Source: https://github.com/microsoft/Intune-Resource-Access, ``src/CsrValidation``.

login authority  client credentials by MSAL: a token for Graph, one for Intune    :mod:`plugins.intune.tokens`
Graph            where Intune's services of this tenant are                       :mod:`plugins.intune.discovery`
Intune           validateRequest, successNotification, failureNotification,
                 downloadRevocationRequests, uploadRevocationResults              :mod:`plugins.intune.service`
"""

from cspd.plugin import ConnectorDeclaration

intune = ConnectorDeclaration(
    kind="scep-validation",
    name="intune",
    summary="Microsoft Intune, which says whether a device of its may enroll and hears what became of it",
    factory="plugins.intune.assembly:build",
)
