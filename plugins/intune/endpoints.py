"""Where Microsoft's services are."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.scep.intune.config import IntuneConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where Microsoft's services are; the defaults are those of the public cloud (P-INT-10 to P-INT-14)."""

    authentication_authority: str = "https://login.microsoftonline.com/"
    graph_api_version: str = "1.0"
    graph_resource_url: str = "https://graph.microsoft.com/"
    intune_application_id: str = "0000000a-0000-0000-c000-000000000000"
    intune_resource_url: str = "https://api.manage.microsoft.com/"

    @classmethod
    def of(cls, config: IntuneConfig) -> Endpoints:
        """Those of conf, if it overrides the defaults; what is blank there is as by default (R-CEG-078)."""
        if not config.override_endpoints:
            return cls()
        return cls(**{name: value for name, value in config.endpoints if value is not None})

    def authority(self, tenant: str) -> str:
        """Who gives tokens for a tenant."""
        return f"{self.authentication_authority.rstrip('/')}/{tenant}"

    @property
    def graph_scope(self) -> str:
        """What a token for Graph is asked for."""
        return f"{self.graph_resource_url.rstrip('/')}/.default"

    @property
    def intune_scope(self) -> str:
        """What a token for Intune is asked for.

        The resource's name ends in a slash, and another follows: a token for the name without one is not taken.
        """
        return f"{self.intune_resource_url}/.default"

    @property
    def services_url(self) -> str:
        """Where Graph has the list of Intune's services."""
        version = self.graph_api_version
        path = version if version.startswith(("v", "beta")) else f"v{version}"
        application = self.intune_application_id
        return f"{self.graph_resource_url.rstrip('/')}/{path}/servicePrincipals/appId={application}/endpoints"
