"""Which templates a client is offered, and at which CAs: those that it would get a certificate by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cspd.directory.security_descriptors import AUTO_ENROLL, ENROLL
from cspd.directory.values import Account, CertificateTemplate, EnrollmentService
from cspd.refusals import Refused
from protocols.wstep.enrollment_servers import EnrollmentServer
from protocols.wstep.enrollment_services import services_of
from protocols.wstep.messages import Terms
from protocols.wstep.policy_messages import EnrollmentPermission, RequestFilter
from protocols.wstep.policy_templates import Offer, policy_oid
from protocols.wstep.profile_choice import choose_profile
from protocols.wstep.template_rules import check_template

_CLIENT_VERSION, _SERVER_VERSION = 0x0F00_0000, 0x000F_0000
_MAX_VERSION = 0xF


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuingCA:
    """A CA of a tenant."""

    terms: Terms
    certificate_der: bytes
    servers: tuple[EnrollmentServer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What a client may have."""

    offers: tuple[Offer, ...]
    allowed_cas: frozenset[int]
    """The places of the CAs at which the client may enroll at all."""
    may_renew_by_certificate: bool
    """Whether URLs for renewals by certificate are for the client: they need an account that can be looked up."""


def directory_offers(
    account: Account,
    templates: Sequence[CertificateTemplate],
    services: Sequence[EnrollmentService],
    cas: Sequence[IssuingCA],
) -> Offers:
    """What a directory lets an account have, by the access lists of templates and enrollment services (R-CEGI-045).

    Left out are templates by which it may neither enroll nor enroll automatically, those that no CA of ours issues by,
    and those that ask for what is not done here (R-CEG-142, 143).
    """
    standing = [services_of(ca.certificate_der, services, ca.terms) for ca in cas]
    allowed = frozenset(
        place
        for place, its in enumerate(standing)
        if any(service.security.allows(ENROLL, account.group_sids) for service in its)
    )
    offers = []
    for template in templates:
        permission = EnrollmentPermission(
            enroll=template.security.allows(ENROLL, account.group_sids),
            auto_enroll=template.security.allows(AUTO_ENROLL, account.group_sids),
        )
        listing = tuple(
            place
            for place, its in enumerate(standing)
            if any(template.name in service.certificate_templates for service in its)
            and _is_issued(template, cas[place].terms)
        )
        if (permission.enroll or permission.auto_enroll) and listing and _is_supported(template):
            offers.append(Offer(template=template, permission=permission, cas=listing))
    return Offers(offers=tuple(offers), allowed_cas=allowed, may_renew_by_certificate=True)


def filtered(offers: Sequence[Offer], wanted: RequestFilter) -> tuple[Offer, ...]:
    """What a client asks for ([MS-XCEP] 3.1.4.1.3.22).

    A template says in its private key flags which versions of clients and servers it is for; 0 and less is no limit.
    """
    return tuple(
        offer
        for offer in offers
        if (wanted.policy_oids is None or policy_oid(offer.template) in wanted.policy_oids)
        and _is_within(offer.template, _CLIENT_VERSION, 24, wanted.client_version)
        and _is_within(offer.template, _SERVER_VERSION, 16, wanted.server_version)
    )


def _is_within(template: CertificateTemplate, mask: int, shift: int, version: int | None) -> bool:
    if version is None or version <= 0:
        return True
    return template.private_key_bits & mask <= min(version, _MAX_VERSION) << shift


def _is_issued(template: CertificateTemplate, terms: Terms) -> bool:
    """Whether there is a profile for it."""
    try:
        choose_profile(template, template.key_usage, mapped=terms.mapped, by_key_usage=terms.by_key_usage)
    except Refused:
        return False
    return True


def _is_supported(template: CertificateTemplate) -> bool:
    try:
        check_template(template)
    except Refused:
        return False
    return True
