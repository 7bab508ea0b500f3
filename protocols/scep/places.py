"""Which CA and profile a plain path means (R-CEG-065, R-CEGI-001, R-CEGI-004)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from cspd.refusals import NotFound
from protocols.scep.config import SCEPConfig, ServiceConfig
from protocols.scep.interfaces import Authorizer, Place


class PlainPlaces:
    """Implements :class:`protocols.scep.interfaces.Places` for tenant, CA and profile."""

    def __init__(
        self,
        configuration: SCEPConfig,
        *,
        tenants: Collection[str],
        authorizer: Callable[[ServiceConfig], Authorizer],
    ) -> None:
        """``authorizer`` gives who says who may enroll at a service."""
        self._tenants = frozenset(tenants)
        self._places: dict[tuple[str, ...], Place] = {}
        for service in configuration.services:
            of_service = authorizer(service)
            for profile in configuration.profiles_of(service):
                place = Place(terms=configuration.terms(service, profile), authorizer=of_service)
                self._places[service.ca, profile] = place

    async def find(self, tenant: str, *names: str) -> Place:
        """What is served for a CA and profile; raises NotFound."""
        place = self._places.get(names) if tenant in self._tenants else None
        if place is None:
            raise NotFound("there is no such tenant, CA or profile here")
        return place
