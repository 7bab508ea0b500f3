"""What a certificate is to say, for accounts of a directory and for static users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from cspd.authority.values import RequestedExtension
from cspd.directory.interfaces import Directory
from cspd.directory.values import Account, CertificateTemplate, EnrollmentService
from cspd.refusals import BadName, NotFound, Rejected
from cspd.x509.csr import CertificationRequest
from protocols.wstep import microsoft
from protocols.wstep.errors import NO_TEMPLATE, UNKNOWN_TEMPLATE
from protocols.wstep.extensions import extensions_for, harmless_extensions
from protocols.wstep.identity import BAD_SUBJECT, CertificateNames, names_for
from protocols.wstep.messages import StaticUser, Terms
from protocols.wstep.policy_conf import mapped_name
from protocols.wstep.profile_choice import choose_profile, requested_key_usage
from protocols.wstep.renewal import PreviousCertificate
from protocols.wstep.requested_template import TemplateName, TemplateOID
from protocols.wstep.template_rules import check_access, check_key, check_renewed_key, check_template


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to ask of issuance."""

    template: str
    """For the audit trail."""
    profile: str
    names: CertificateNames
    extensions: tuple[RequestedExtension, ...]
    validity: timedelta = timedelta(0)
    """What the template wants; zero: nothing."""


def decide_for_account(
    account: Account,
    template: CertificateTemplate,
    services: Sequence[EnrollmentService],
    csr: CertificationRequest,
    *,
    previous: PreviousCertificate | None,
    terms: Terms,
) -> Decision:
    """By the template that the request names, and the account.

    ``services`` are those of the CA, ``previous`` the account's certificate that is renewed.
    Raises Forbidden and a Rejected.
    """
    check_template(template)
    check_access(account, template, services)
    check_key(csr.public_key, template)
    if previous is not None:
        check_renewed_key(csr.public_key_der, template, previous_der=previous.public_key_der)
    chosen = choose_profile(
        template, requested_key_usage(csr, template), mapped=terms.mapped, by_key_usage=terms.by_key_usage
    )
    return Decision(
        template=template.name,
        profile=chosen.id,
        names=names_for(
            account,
            template,
            CertificateNames(csr.subject, csr.subject_alt_names),
            is_mapped=chosen.is_mapped,
            rules=terms.names,
            previous=None if previous is None else previous.names,
        ),
        extensions=extensions_for(account, template, csr),
        validity=template.validity,
    )


async def find_template(
    directory: Directory, domain: str, asked: TemplateOID | TemplateName | None
) -> CertificateTemplate:
    """The template in the forest of a domain (R-CEG-144).

    Raises NotFound with the code :data:`UNKNOWN_TEMPLATE`, Rejected with the code :data:`NO_TEMPLATE`, and Unavailable.
    """
    try:
        match asked:
            case TemplateOID(oid):
                return await directory.template_by_oid(oid, domain=domain)
            case TemplateName(name):
                return await directory.template_by_name(name, domain=domain)
    except NotFound as error:
        raise NotFound("there is no such certificate template", code=UNKNOWN_TEMPLATE, detail=error.reason) from error
    raise Rejected("the request names no certificate template", code=NO_TEMPLATE)


def decide_for_static_user(
    user: StaticUser, csr: CertificationRequest, asked: TemplateOID | TemplateName | None, *, terms: Terms
) -> Decision:
    """For who has no account: the user name is all that there is to say, and nothing of the request's names.

    The certificate has no SID, so that no domain controller takes it for an account's (KB5014754), and is for clients.
    A template is looked for in the map of conf alone.
    """
    match asked:
        case TemplateName(name):
            pass
        case TemplateOID(oid):
            name = mapped_name(oid, terms.mapped) or ""
        case None:
            name = ""
    template = CertificateTemplate(name=name, display_name=name, oid="")
    chosen = choose_profile(
        template, requested_key_usage(csr, template), mapped=terms.mapped, by_key_usage=terms.by_key_usage
    )
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return Decision(
        template=name,
        profile=chosen.id,
        names=_static_names(user, terms),
        extensions=(
            *harmless_extensions(csr),
            RequestedExtension(
                oid=ExtensionOID.EXTENDED_KEY_USAGE.dotted_string, critical=False, value_der=usage.public_bytes()
            ),
        ),
    )


def _static_names(user: StaticUser, terms: Terms) -> CertificateNames:
    try:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user.name)])
    except ValueError as error:
        raise BadName("the user name is too long for a subject", code=BAD_SUBJECT) from error
    parent = terms.names.parent
    if parent is not None:
        subject = x509.Name([*parent.rdns, *subject.rdns])
    local, at, domain = user.name.rpartition("@")
    has_form = bool(local and at and "." in domain) and user.name.isprintable()
    return CertificateNames(subject, (microsoft.user_principal_name(user.name),) if has_form else ())
