"""A CA, a directory and a service that tells policies of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cspd.authority.values import CAReference
from cspd.directory.values import Account, CertificateTemplate, EnrollmentService
from cspd.refusals import NotFound
from protocols.wstep.enrollment_servers import enrollment_servers
from protocols.wstep.identity import NameRules
from protocols.wstep.messages import Caller, StaticUser, Terms
from protocols.wstep.policy_messages import GetPolicies
from protocols.wstep.policy_offers import IssuingCA
from protocols.wstep.policy_service import PolicyService, PolicyTerms
from protocols.wstep.profile_choice import ProfilesByKeyUsage
from tests.protocols.wstep.accounts import ALICE, SERVICE
from tests.support.clocks import FrozenClock
from tests.support.running import result_of
from tests.unit.http.certificates import make

ISSUING = make("Example Issuing", is_ca=True)
OTHER = make("Example Other", is_ca=True)
SERVERS = enrollment_servers("ca.example.com", "demo", "demo~issuing", kerberos=True)
STATIC = Caller(who=StaticUser(name="demo", method="people"))
BY_KEY_USAGE = ProfilesByKeyUsage(
    digital_signature="wstep-digital-signature",
    key_encipherment="wstep-key-encipherment",
    digital_signature_and_key_encipherment="wstep-digital-signature-key-encipherment",
    digital_signature_and_non_repudiation="wstep-non-repudiation",
)


def issuing_ca(
    ca: str = "issuing", certificate_der: bytes = ISSUING.der, *, services: Sequence[str] = (), **mapped: str
) -> IssuingCA:
    terms = Terms(
        ca=CAReference("demo", ca),
        names=NameRules(),
        by_key_usage=BY_KEY_USAGE,
        mapped=mapped,
        enrollment_services=frozenset(name.lower() for name in services),
    )
    return IssuingCA(terms=terms, certificate_der=certificate_der, servers=SERVERS)


def enrollment_service(*templates: str, **more: Any) -> EnrollmentService:
    told = {"ca_certificates_der": (ISSUING.der,), "security": SERVICE.security, **more}
    return EnrollmentService(
        name=told.pop("name", "CSPD"), dns_host_name="ca", certificate_templates=frozenset(templates), **told
    )


@dataclass
class StubDirectory:
    """Implements the part of :class:`cspd.directory.interfaces.Directory` that policies are made of."""

    told_templates: Sequence[CertificateTemplate] = ()
    told_services: Sequence[EnrollmentService] = ()
    asked: list[str] = field(default_factory=list)

    async def templates(self, *, domain: str) -> Sequence[CertificateTemplate]:
        self.asked.append(domain)
        return self.told_templates

    async def enrollment_services(self, *, domain: str) -> Sequence[EnrollmentService]:
        return self.told_services


@dataclass
class Server:
    """A service, and the directory by which it knows accounts."""

    service: PolicyService
    directory: Any

    def get(self, message: GetPolicies, who: Account | Caller | None = ALICE, tenant: str = "demo") -> Any:
        caller = Caller(who=who, directory=self.directory) if isinstance(who, Account) else who
        return result_of(self.service.get_policies(message, caller, tenant=tenant))


def policy_service(
    directory: Any = None,
    cas: Sequence[IssuingCA] = (issuing_ca(),),
    *,
    profiles: Mapping[str, Any] | None = None,
    clock: FrozenClock | None = None,
    server: str = "https://ca.example.com",
    **terms: Any,
) -> Server:
    async def issuing_cas(tenant: str) -> Sequence[IssuingCA]:
        if tenant != "demo":
            raise NotFound("no such tenant")
        return cas

    service = PolicyService(
        PolicyTerms(friendly_name="Example", **terms),
        issuing_cas=issuing_cas,
        profiles=profiles or {},
        clock=clock or FrozenClock(),
        server=server,
    )
    return Server(service, directory)
