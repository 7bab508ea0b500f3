"""Builds enrollment policies from ``[protocols.wstep.policy]`` and what enrollment was built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cspd.authentication.interfaces import PasswordCheck
from cspd.authority.interfaces import Authorities
from cspd.authority.values import Authority, AuthorityState
from cspd.directory.interfaces import Directory, HasDirectory
from cspd.plugin import Services
from cspd.refusals import NotFound
from protocols.wstep.audit import RefusalAudit
from protocols.wstep.authentication import Tickets, UserNames
from protocols.wstep.client_certificates import OurCertificates
from protocols.wstep.config import WSTEPConfig
from protocols.wstep.enrollment_servers import servers_at
from protocols.wstep.messages import Terms
from protocols.wstep.policy_endpoint import PolicyEndpoint
from protocols.wstep.policy_offers import IssuingCA
from protocols.wstep.policy_service import PolicyService


def build_policy_endpoint(
    configuration: WSTEPConfig,
    services: Services,
    *,
    checks: Mapping[str, PasswordCheck],
    tickets: Tickets | None,
    certificates: OurCertificates,
    audit: RefusalAudit,
) -> PolicyEndpoint | None:
    """The endpoint; None without the section."""
    policy = configuration.policy
    if policy is None:
        return None
    served = configuration.terms()
    cas = ServedCAs(services.authorities, served, public_https=services.public.https, kerberos=tickets is not None)
    return PolicyEndpoint(
        service=PolicyService(
            policy.terms(),
            issuing_cas=cas.of_tenant,
            profiles=services.profiles,
            clock=services.clock,
            server=services.public.https,
        ),
        user_names=UserNames(checks),
        tickets=tickets,
        certificates=certificates if policy.certificate else None,
        anonymous=policy.anonymous,
        tenants=services.tenants,
        audit=audit,
    )


def directories_of(checks: Mapping[str, PasswordCheck]) -> Sequence[Directory]:
    """Those behind the password checks, in their order."""
    return [check.directory for check in checks.values() if isinstance(check, HasDirectory)]


class ServedCAs:
    """The CAs of conf, as they are when somebody asks."""

    def __init__(self, authorities: Authorities, served: Sequence[Terms], *, public_https: str, kerberos: bool) -> None:
        self._authorities = authorities
        self._served = tuple(served)
        self._public = public_https
        self._kerberos = kerberos

    async def of_tenant(self, tenant: str) -> Sequence[IssuingCA]:
        """Those that issue, in the order of conf."""
        found = []
        for terms in self._served:
            authority = await self._active(terms)
            if authority is not None and authority.certificate_der is not None:
                servers = servers_at(
                    self._public,
                    tenant,
                    str(terms.ca),
                    kerberos=self._kerberos,
                    certificate_renewal=terms.certificate_renewal,
                )
                found.append(IssuingCA(terms=terms, certificate_der=authority.certificate_der, servers=servers))
        return found

    async def _active(self, terms: Terms) -> Authority | None:
        try:
            authority = await self._authorities.get(terms.ca)
        except NotFound:
            return None
        return authority if authority.state is AuthorityState.ACTIVE else None
