"""Which CA and profile a plain path means (R-CEG-065, R-CEGI-001, R-CEGI-004)."""

from __future__ import annotations

from collections.abc import Collection

from cspd.refusals import NotFound
from protocols.scep.config import SCEPConfig
from protocols.scep.interfaces import Authorizer, Place


class PlainPlaces:
    """Implements :class:`protocols.scep.interfaces.Places` for tenant, CA and profile."""

    def __init__(self, configuration: SCEPConfig, *, tenants: Collection[str], authorizer: Authorizer) -> None:
        self._tenants = frozenset(tenants)
        self._places = {
            (service.ca, profile): Place(terms=configuration.terms(service, profile), authorizer=authorizer)
            for service in configuration.services
            for profile in configuration.profiles_of(service)
        }

    async def find(self, tenant: str, *names: str) -> Place:
        """What is served for a CA and profile; raises NotFound."""
        place = self._places.get(names) if len(names) == 2 and tenant in self._tenants else None
        if place is None:
            raise NotFound("there is no such tenant, CA or profile here")
        return place
