"""Which CA a path means (R-CEG-010, R-CEG-135)."""

from __future__ import annotations

from collections.abc import Collection

from cspd.authority.values import CAReference
from cspd.refusals import NotFound
from protocols.wstep.config import WSTEPConfig
from protocols.wstep.messages import Terms


class Places:
    """Finds the terms of the CAs that conf lists."""

    def __init__(self, configuration: WSTEPConfig, *, tenants: Collection[str]) -> None:
        self._tenants = frozenset(tenants)
        self._terms = {terms.ca: terms for terms in configuration.terms()}

    def find(self, tenant: str, ca: str) -> Terms:
        """What is served for a tenant and a CA; raises NotFound."""
        terms = self.of_ca(ca) if tenant in self._tenants else None
        if terms is None:
            raise NotFound("there is no such tenant or CA here")
        return terms

    def of_ca(self, ca: str) -> Terms | None:
        """What is served for a CA; None for any that is not."""
        organization, _, ca_id = ca.partition("~")
        return self._terms.get(CAReference(organization, ca_id))
