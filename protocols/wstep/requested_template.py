"""Which certificate template a request is for (R-CEG-144)."""

from __future__ import annotations

from dataclasses import dataclass

from cspd.refusals import BadExtension
from cspd.x509 import tlv
from cspd.x509.csr import CertificationRequest
from protocols.wstep.microsoft import (
    CERTIFICATE_TEMPLATE,
    CERTIFICATE_TEMPLATE_NAME,
    decode_certificate_template,
    decode_template_name,
)


@dataclass(frozen=True, slots=True)
class TemplateOID:
    """A template of version 2 or later, by its object identifier."""

    oid: str


@dataclass(frozen=True, slots=True)
class TemplateName:
    """A template by its name, as requests for templates of version 1 say it."""

    name: str


def requested_template(csr: CertificationRequest, *, name: str | None = None) -> TemplateOID | TemplateName | None:
    """The template that a request names; ``name`` is what stands beside the request (``CertificateTemplate``).

    The extension with the object identifier goes before that with the name, and both before what stands beside: only
    they are signed with the key that is to be certified. None for a request that names none.
    Raises BadExtension for an extension that cannot be read.
    """
    values = {extension.oid.dotted_string: extension.value for extension in csr.extensions}
    try:
        if CERTIFICATE_TEMPLATE in values:
            return TemplateOID(decode_certificate_template(values[CERTIFICATE_TEMPLATE].public_bytes()))
        if CERTIFICATE_TEMPLATE_NAME in values:
            return TemplateName(decode_template_name(values[CERTIFICATE_TEMPLATE_NAME].public_bytes()))
    except tlv.DERError as error:
        raise BadExtension(f"the extension that names the certificate template is malformed: {error}") from error
    return None if name is None else TemplateName(name)
