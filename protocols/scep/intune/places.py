"""Which CA and profile a path of Intune means (R-CEG-076, R-CEGI-001, R-CEGI-110)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cspd.authority.values import CAReference
from cspd.refusals import NotFound
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.interfaces import Authorizer, Place, Terms
from protocols.scep.intune.config import IntuneConfig


class IntunePlaces:
    """Implements :class:`protocols.scep.interfaces.Places` for tenant, CA and profile.

    What the section of SCEP says about passwords, renewal, obsolete algorithms and approval does not count here
    (R-CEG-069, R-CEGI-113, R-CEGI-114).
    """

    def __init__(
        self,
        configurations: Sequence[IntuneConfig],
        *,
        tenants: Collection[str],
        authorizers: Mapping[str, Authorizer],
    ) -> None:
        """``authorizers`` are by the name of their CA."""
        self._tenants = frozenset(tenants)
        self._places = {
            (each.ca, profile): Place(terms=_terms(each, profile), authorizer=authorizers[each.ca])
            for each in configurations
            for profile in each.profiles
        }

    async def find(self, tenant: str, *names: str) -> Place:
        """What is served for a CA and profile; raises NotFound."""
        place = self._places.get((names[0], names[1])) if tenant in self._tenants and len(names) == 2 else None
        if place is None:
            raise NotFound("there is no such tenant, CA or profile for Intune here")
        return place


def _terms(configuration: IntuneConfig, profile: str) -> Terms:
    return Terms(
        ca=CAReference.parse(configuration.ca),
        profile=profile,
        policy=AlgorithmPolicy(),
        gives_crls=False,
    )
