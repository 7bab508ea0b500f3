"""Answers GetPolicies ([MS-XCEP] 3.1.4.1): which templates a client may enroll by, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid5

from cspd.authority.profile_values import Profile
from cspd.clock import Clock
from cspd.directory.values import Account
from cspd.refusals import NotFound
from protocols.wstep.enrollment_servers import ServerAuthentication
from protocols.wstep.messages import Caller
from protocols.wstep.policy_changes import Changes
from protocols.wstep.policy_conf import conf_offers
from protocols.wstep.policy_messages import CA, CAURI, GetPolicies, GetPoliciesResponse, Response
from protocols.wstep.policy_offers import IssuingCA, Offers, directory_offers, filtered
from protocols.wstep.policy_oids import OIDTable
from protocols.wstep.policy_templates import to_policy

_NAMESPACE: Final = UUID("0d7be2b0-6d0b-5b86-8c06-3a5f0a2c9b1e")
ANYBODY: Final = "anybody"
"""Stands for a client that did not say who it is."""

IssuingCAs = Callable[[str], Awaitable[Sequence[IssuingCA]]]
"""The active CAs of a tenant, in the order of conf; raises NotFound for a tenant that is not served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTerms:
    """What conf says of policies."""

    friendly_name: str
    next_update_hours: int = 8
    ids: Mapping[str, UUID] = field(default_factory=dict)
    """By tenant; of others made from names."""


class PolicyService:
    """Tells policies."""

    def __init__(
        self,
        terms: PolicyTerms,
        *,
        issuing_cas: IssuingCAs,
        profiles: Mapping[str, Profile],
        clock: Clock,
        server: str,
    ) -> None:
        """``server`` names the installation, all of its nodes together: its public URL."""
        self._terms = terms
        self._issuing_cas = issuing_cas
        self._profiles = profiles
        self._clock = clock
        self._server = server
        self._changes = Changes()

    async def get_policies(self, message: GetPolicies, caller: Caller | None, *, tenant: str) -> GetPoliciesResponse:
        """The policies for a caller; None is a client that did not say who it is, where conf allows it.

        Raises NotFound for a tenant that is not served, and Unavailable.
        """
        cas = await self._issuing_cas(tenant)
        if not cas:
            raise NotFound(f"the tenant {tenant!r} enrolls nobody here")
        source, offers = await self._offers(caller, cas)
        answer = self._answer(message, offers, cas, policy_id=self._policy_id(tenant, source))
        key = f"{tenant}\n{ANYBODY if caller is None else caller.key}\n{message.request_filter}"
        is_unchanged = self._changes.is_unchanged(
            hashlib.sha256(key.encode()).hexdigest(),
            hashlib.sha256(repr(answer).encode()).digest(),
            last_update=message.client.last_update,
            now=self._clock.now(),
        )
        return _unchanged(answer.response) if is_unchanged else answer

    async def _offers(self, caller: Caller | None, cas: Sequence[IssuingCA]) -> tuple[str, Offers]:
        """What there is, and whose word that is."""
        if caller is None or caller.directory is None or not isinstance(caller.who, Account):
            return "conf", conf_offers(cas, self._profiles)
        account, directory = caller.who, caller.directory
        templates = await directory.templates(domain=account.domain)
        services = await directory.enrollment_services(domain=account.domain)
        return account.domain, directory_offers(account, templates, services, cas)

    def _answer(
        self, message: GetPolicies, told: Offers, cas: Sequence[IssuingCA], *, policy_id: str
    ) -> GetPoliciesResponse:
        oids = OIDTable()
        offers = filtered(told.offers, message.request_filter)
        policies = tuple(to_policy(offer, oids) for offer in offers)
        used = sorted({place for offer in offers for place in offer.cas})
        return GetPoliciesResponse(
            response=Response(
                policy_id=policy_id,
                policy_friendly_name=self._terms.friendly_name,
                next_update_hours=self._terms.next_update_hours,
                policies_not_changed=False,
                policies=policies,
            ),
            cas=tuple(_ca(cas[place], place, told) for place in used),
            oids=oids.oids(),
        )

    def _policy_id(self, tenant: str, source: str) -> str:
        chosen = self._terms.ids.get(tenant) or uuid5(_NAMESPACE, f"{self._server}\n{tenant}\n{source}")
        return f"{{{str(chosen).upper()}}}"


def _ca(ca: IssuingCA, place: int, told: Offers) -> CA:
    return CA(
        uris=tuple(
            CAURI(
                client_authentication=int(server.authentication),
                uri=server.url,
                priority=server.priority,
                renewal_only=server.renewal_only,
            )
            for server in ca.servers
            if told.may_renew_by_certificate or server.authentication is not ServerAuthentication.CERTIFICATE
        ),
        certificate_der=ca.certificate_der,
        enroll_permission=place in told.allowed_cas,
        ca_reference_id=place,
    )


def _unchanged(response: Response) -> GetPoliciesResponse:
    return GetPoliciesResponse(
        response=Response(
            policy_id=response.policy_id,
            policy_friendly_name=response.policy_friendly_name,
            next_update_hours=response.next_update_hours,
            policies_not_changed=True,
            policies=(),
        ),
        cas=(),
        oids=(),
    )
