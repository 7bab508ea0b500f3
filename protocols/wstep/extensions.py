"""The extensions of a certificate beside its names: the template's and the account's; of the request few."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from cspd.authority.values import RequestedExtension
from cspd.directory.values import Account, CertificateTemplate
from cspd.x509.csr import CertificationRequest
from protocols.wstep import microsoft

SMIME_CAPABILITIES = "1.2.840.113549.1.9.15"
_FROM_REQUESTS = frozenset({SMIME_CAPABILITIES, ExtensionOID.KEY_USAGE.dotted_string})


def extensions_for(
    account: Account, template: CertificateTemplate, csr: CertificationRequest
) -> tuple[RequestedExtension, ...]:
    """What to ask the core for in place of the request's extensions; the profile decides on what of it is written.

    Usages and policies are the template's, whatever the request says: with application policies of its own a request
    could make a certificate for servers one for logons (CVE-2024-49019). The SID is the account's, in every
    certificate. (A template may say that it does not want it; then a domain controller would take the certificate for
    whoever has its names later, known as ESC9. So that is not followed.) Key usage was compared with the template, and
    S/MIME capabilities harm nobody.
    """
    usages = template.application_policies or template.extended_key_usage
    return (*harmless_extensions(csr), *_usages(usages, template), _template(template), _security_identifier(account))


def harmless_extensions(csr: CertificationRequest) -> tuple[RequestedExtension, ...]:
    """What of a request's extensions is passed on: key usage and S/MIME capabilities."""
    return tuple(
        RequestedExtension(
            oid=extension.oid.dotted_string, critical=extension.critical, value_der=extension.value.public_bytes()
        )
        for extension in csr.extensions
        if extension.oid.dotted_string in _FROM_REQUESTS
    )


def _usages(usages: tuple[str, ...], template: CertificateTemplate) -> Iterable[RequestedExtension]:
    if not usages:
        return
    value = x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in usages])
    eku = ExtensionOID.EXTENDED_KEY_USAGE.dotted_string
    yield RequestedExtension(oid=eku, critical=eku in template.critical_extensions, value_der=value.public_bytes())
    yield RequestedExtension(
        oid=microsoft.APPLICATION_POLICIES, critical=False, value_der=microsoft.encode_application_policies(usages)
    )


def _template(template: CertificateTemplate) -> RequestedExtension:
    """By object identifier; by name for version 1, which is how its clients know it again."""
    if template.schema_version < 2 or not template.oid:
        return RequestedExtension(
            oid=microsoft.CERTIFICATE_TEMPLATE_NAME,
            critical=False,
            value_der=microsoft.encode_template_name(template.name),
        )
    value = microsoft.encode_certificate_template(template.oid, template.major_revision, template.minor_revision)
    return RequestedExtension(oid=microsoft.CERTIFICATE_TEMPLATE, critical=False, value_der=value)


def _security_identifier(account: Account) -> RequestedExtension:
    return RequestedExtension(
        oid=microsoft.NTDS_CA_SECURITY, critical=False, value_der=microsoft.encode_security_identifier(account.sid)
    )
