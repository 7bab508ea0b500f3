"""What an administrator has to put into Active Directory so that clients find a CA, as LDIF; and what is not there yet.

Below ``CN=Public Key Services,CN=Services,<configuration>``::

    CN=<name>,CN=Enrollment Services             the CA, its URLs, its templates
    CN=NTAuthCertificates                        CAs whose certificates are logons
    CN=<root>,CN=Certification Authorities       trusted roots
    CN=<name>,CN=AIA                             CA certificates for chains
    CN=<template>,CN=Certificate Templates       what is enrolled, and CN=...,CN=OID with it

Nothing here asks a directory or writes to one: the text is for ``ldifde`` or ``ldapmodify``, run by an administrator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cspd.directory.security_descriptors import ENROLL, encode_enrollers
from cspd.directory.security_identifiers import AUTHENTICATED_USERS, EVERYONE
from cspd.directory.values import CertificateTemplate, EnrollmentService, Group, TrustedAuthorities
from cspd.refusals import Conflict, Malformed, Rejected
from cspd.x509.names import format_name
from protocols.wstep import ldif
from protocols.wstep.ad_templates import template_differences, template_records
from protocols.wstep.enrollment_servers import EnrollmentServer, decode_enrollment_server, encode_enrollment_server
from protocols.wstep.template_rules import check_template

DEFAULT_TEMPLATE = "User"
NEEDED_TEMPLATE = "WSTEPUser"
"""Always listed (R-CEG-167)."""

_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")
_TEMPLATE_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceObjects:
    """One CA as it shall stand in the directory; the names have been checked by :func:`service_objects`."""

    configuration: str
    """The DN of the configuration naming context."""
    name: str
    dns_host_name: str
    servers: tuple[EnrollmentServer, ...]
    templates: tuple[str, ...]
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = field(default=())
    """The issuers of ``certificate``, the root last; without any it is a root itself."""
    new_templates: tuple[CertificateTemplate, ...] = ()
    """Those that are made, by :func:`protocols.wstep.ad_templates.directory_template`."""
    group: Group | None = None
    """Who may enroll at the service and by the new templates; None: whom an administrator lets."""

    @property
    def root(self) -> x509.Certificate:
        """The certificate at the end of the chain."""
        return self.chain[-1] if self.chain else self.certificate


def service_objects(
    *,
    configuration: str,
    name: str,
    dns_host_name: str,
    servers: Sequence[EnrollmentServer],
    ca_certificate_der: bytes,
    chain_der: Sequence[bytes] = (),
    templates: Sequence[str] = (DEFAULT_TEMPLATE,),
    existing: Sequence[EnrollmentService] = (),
    new_templates: Sequence[CertificateTemplate] = (),
    group: Group | None = None,
) -> ServiceObjects:
    """Check what an administrator wants to put into the directory.

    Raises Malformed for a service or template name that is none (R-CEG-163, 164) and for certificates that are not DER
    (R-CEG-166), and Conflict for a name that one of the ``existing`` services has.
    """
    if not _SERVICE_NAME.fullmatch(name):
        raise Malformed("a service name begins with a letter or digit; then letters, digits, spaces, '-' and '_'")
    if any(service.name.lower() == name.lower() for service in existing):
        raise Conflict(f"the forest has an enrollment service {name!r}")
    wanted = list(dict.fromkeys([*templates, *(each.name for each in new_templates), NEEDED_TEMPLATE]))
    for template in wanted:
        if not _TEMPLATE_NAME.fullmatch(template):
            raise Malformed(f"{template[:64]!r} is not the name of a template: it has no spaces")
    return ServiceObjects(
        configuration=configuration,
        name=name,
        dns_host_name=dns_host_name,
        servers=tuple(servers),
        templates=tuple(wanted),
        certificate=_certificate(ca_certificate_der),
        chain=tuple(map(_certificate, chain_der)),
        new_templates=tuple(new_templates),
        group=group,
    )


def to_ldif(objects: ServiceObjects, *, has_nt_auth: bool = True) -> str:
    """The LDIF (RFC 2849) that makes the entries; for ``ldifde -i -f`` and ``ldapmodify``.

    ``has_nt_auth``: the forest has NTAuthCertificates already, as it does after any CA of Microsoft's.
    """
    services = f"CN=Public Key Services,CN=Services,{objects.configuration}"
    own_der = objects.certificate.public_bytes(Encoding.DER)
    enrollers = None if objects.group is None else encode_enrollers(objects.group.sid)
    nt_auth = f"CN=NTAuthCertificates,{services}"
    records = [
        record for each in objects.new_templates for record in template_records(each, services, security=enrollers)
    ]
    records += [
        ldif.addition(
            f"{ldif.rdn(objects.name)},CN=Enrollment Services,{services}",
            "pKIEnrollmentService",
            ("displayName", [objects.name]),
            ("dNSHostName", [objects.dns_host_name]),
            ("cACertificate", [own_der]),
            ("cACertificateDN", [format_name(objects.certificate.subject)]),
            ("certificateTemplates", objects.templates),
            ("msPKI-Enrollment-Servers", [encode_enrollment_server(server) for server in objects.servers]),
            ("nTSecurityDescriptor", [] if enrollers is None else [enrollers]),
        ),
        _authority(
            f"{ldif.rdn(_common_name(objects.root))},CN=Certification Authorities,{services}",
            objects.root.public_bytes(Encoding.DER),
        ),
        _authority(f"{ldif.rdn(objects.name)},CN=AIA,{services}", own_der),
        ldif.further_values(nt_auth, "cACertificate", [own_der]) if has_nt_auth else _authority(nt_auth, own_der),
    ]
    return ldif.file(records)


def differences(objects: ServiceObjects, found: Sequence[EnrollmentService]) -> list[str]:
    """What of the enrollment service is not in the directory as it shall be; a sentence for each."""
    service = next((each for each in found if each.name.lower() == objects.name.lower()), None)
    if service is None:
        return [f"there is no enrollment service {objects.name!r}"]
    problems = []
    if service.dns_host_name.lower() != objects.dns_host_name.lower():
        problems.append(f"dNSHostName is {service.dns_host_name!r}, not {objects.dns_host_name!r}")
    if objects.certificate.public_bytes(Encoding.DER) not in service.ca_certificates_der:
        problems.append("cACertificate is not the certificate of the CA")
    missing = set(objects.templates) - service.certificate_templates
    problems += [f"certificateTemplates lacks {name}" for name in sorted(missing)]
    registered = []
    for value in service.enrollment_servers:
        try:
            registered.append(decode_enrollment_server(value))
        except Malformed as error:
            problems.append(f"msPKI-Enrollment-Servers has a value that cannot be read: {error.reason}")
    for server in objects.servers:
        if not any(_stands_for(each, server) for each in registered):
            problems.append(f"msPKI-Enrollment-Servers lacks {server.url}")
    return problems


def _stands_for(registered: EnrollmentServer, server: EnrollmentServer) -> bool:
    """An administrator may keep a URL for renewals, but not offer for first certificates what only renews."""
    return (registered.url, registered.authentication) == (server.url, server.authentication) and (
        registered.renewal_only or not server.renewal_only
    )


def trust_differences(objects: ServiceObjects, found: TrustedAuthorities) -> list[str]:
    """Which certificates the forest does not trust as it shall; a sentence for each."""
    own_der = objects.certificate.public_bytes(Encoding.DER)
    problems = []
    if found.logons is None:
        problems.append("there is no NTAuthCertificates")
    elif own_der not in found.logons:
        problems.append("NTAuthCertificates lacks the certificate of the CA")
    if objects.root.public_bytes(Encoding.DER) not in found.roots:
        problems.append(f"the trusted roots lack {_common_name(objects.root)}")
    if own_der not in found.chains:
        problems.append("AIA lacks the certificate of the CA")
    return problems


def templates_differences(objects: ServiceObjects, found: Sequence[CertificateTemplate]) -> list[str]:
    """Which templates of the service are missing, cannot be served, or are not those that are made for it."""
    known = {template.name.lower(): template for template in found}
    made = {template.name.lower(): template for template in objects.new_templates}
    problems = []
    for name in objects.templates:
        template = known.get(name.lower())
        if template is None:
            problems.append(f"there is no certificate template {name}")
            continue
        try:
            check_template(template)
        except Rejected as error:
            problems.append(error.reason)
        if name.lower() in made:
            problems += template_differences(made[name.lower()], template)
    return problems


def access_differences(
    objects: ServiceObjects, services: Sequence[EnrollmentService], templates: Sequence[CertificateTemplate]
) -> list[str]:
    """Where the group may not enroll: at the service, and by the templates that are made for it."""
    group = objects.group
    if group is None:
        return []
    sids = (group.sid, AUTHENTICATED_USERS, EVERYONE)
    made = {template.name.lower() for template in objects.new_templates}
    problems = [
        f"{group.account_name} may not enroll at {service.name}"
        for service in services
        if service.name.lower() == objects.name.lower() and not service.security.allows(ENROLL, sids)
    ]
    problems += [
        f"{group.account_name} may not enroll by the certificate template {template.name}"
        for template in templates
        if template.name.lower() in made and not template.security.allows(ENROLL, sids)
    ]
    return problems


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError) as error:
        raise Malformed("a CA certificate is given as DER, not as PEM or anything else") from error


def _authority(dn: str, certificate_der: bytes) -> str:
    return ldif.addition(
        dn,
        "certificationAuthority",
        ("cACertificate", [certificate_der]),
        # The class wants both lists; certutil writes a zero octet where there is none.
        ("authorityRevocationList", [b"\0"]),
        ("certificateRevocationList", [b"\0"]),
    )


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else format_name(certificate.subject)
