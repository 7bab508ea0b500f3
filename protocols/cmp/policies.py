"""What conf says of headers: how late they may be, whom they may be for, which profiles they may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from cspd.authority.interfaces import Authorities
from cspd.authority.values import Authority
from protocols.cmp.config import CMPConfig, ExcludedCheck
from protocols.cmp.errors import PKIMessageRejected
from protocols.cmp.general_names import directory_name
from protocols.cmp.header_rules import HeaderPolicy
from protocols.cmp.interfaces import Terms
from protocols.cmp.status import PKIFailureInfo


class Policies:
    """Answers by the terms of a path."""

    def __init__(self, configuration: CMPConfig, authorities: Authorities) -> None:
        self._configuration = configuration
        self._authorities = authorities
        self._excluded: Mapping[str, frozenset[ExcludedCheck]] = {
            name: frozenset(configuration.rules_named(name).excluded_checks) for name in configuration.rules_by_name()
        }
        self._recipients: dict[str, tuple[Authority, frozenset[bytes]]] = {}

    async def policy_of(self, terms: Terms) -> HeaderPolicy:
        """How headers have to be; raises NotFound for a CA that is not there."""
        excluded = self._excluded[terms.rules]
        authority = await self._authorities.get(terms.ca)
        return HeaderPolicy(
            time_tolerance=(
                timedelta.max if ExcludedCheck.MESSAGE_TIME in excluded else self._configuration.time_tolerance
            ),
            recipients_der=None if ExcludedCheck.RECIPIENT in excluded else self._names_of(authority),
        )

    async def choose_profile(self, terms: Terms, profile: str) -> Terms:
        """The terms with another profile, if that is served and enabled on the CA; raises ``notAuthorized``."""
        if profile == terms.profile:
            return terms
        authority = await self._authorities.get(terms.ca)
        if profile not in self._configuration.profiles or profile not in authority.profiles:
            raise PKIMessageRejected(PKIFailureInfo.NOT_AUTHORIZED, "certProfile names a profile that is not here")
        return replace(terms, profile=profile)

    def _names_of(self, authority: Authority) -> frozenset[bytes]:
        """The CA by its name, which all of its certificates have."""
        known = self._recipients.get(authority.id)
        if known is None or known[0] is not authority:
            known = (authority, frozenset({directory_name(authority.subject)}))
            self._recipients[authority.id] = known
        return known[1]
