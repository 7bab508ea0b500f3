"""``[protocols.wstep]``: certificate enrollment of Windows.

::

    [authentication.corp]
    kind = "active-directory"
    ...

    [protocols.wstep]
    users = ["corp"]

    [protocols.wstep.kerberos]
    keytab = "http.keytab"
    principal = "HTTP/ca.example.com"

    [[protocols.wstep.services]]
    ca = "demo~issuing"
    parent_dn = "ou=Devices,o=Example,c=US"

    [protocols.wstep.services.templates]
    WSTEPUser = "wstep-digital-signature"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cspd.authentication.config import AuthenticationName
from cspd.authority.ca_name import CAName
from cspd.authority.values import CAReference
from cspd.config.values import Section
from cspd.x509.names import NameSyntaxError, parse_name
from protocols.wstep.identity import NameRules
from protocols.wstep.messages import Terms
from protocols.wstep.policy_config import PolicyConfig
from protocols.wstep.profile_choice import ProfilesByKeyUsage


def _distinguished_name(text: str) -> str:
    try:
        parse_name(text)
    except NameSyntaxError as error:
        raise ValueError(str(error)) from error
    return text


DistinguishedName = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_distinguished_name)]
TemplateName = Annotated[str, Field(pattern=r"^[^\s/\\\"<>]{1,64}$")]
Zone = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$")]


class KerberosConfig(Section):
    """``[protocols.wstep.kerberos]``: tickets are accepted at ``/wstep/kerberos/...`` (P-WST-17 to P-WST-20)."""

    keytab: str
    """A file with the keys of the service."""
    principal: Annotated[str, Field(pattern=r"^HTTP/[A-Za-z0-9.-]{1,253}(@[A-Za-z0-9.-]{1,253})?$")]
    """``HTTP/<fqdn>``: the host name by which clients reach the server."""
    allow_deprecated: bool = False
    """Tickets with 3DES and RC4 are accepted too."""
    replay_cache: str | None = None
    """A file that remembers tickets; the library's own if not set."""


class ServiceConfig(Section):
    """``[[protocols.wstep.services]]``: one CA (P-WST-30 to P-WST-36)."""

    ca: CAName
    """``organization~ca``."""
    parent_dn: DistinguishedName | None = None
    """Appended to every subject."""
    digital_signature: str = "wstep-digital-signature"
    """The profile of requests with this key usage, whose template is not mapped; the same for those below."""
    key_encipherment: str = "wstep-key-encipherment"
    digital_signature_and_key_encipherment: str = "wstep-digital-signature-key-encipherment"
    digital_signature_and_non_repudiation: str = "wstep-non-repudiation"
    templates: Mapping[TemplateName, str] = Field(default_factory=dict)
    """Names of certificate templates to ids of profiles."""
    enrollment_services: tuple[str, ...] = ()
    """Names of the directory's enrollment services that stand for this CA; none: those that have its certificate."""
    dns_zones: tuple[Zone, ...] = ()
    """Zones of which a request may supply any host name, where its template lets it supply names."""

    certificate_renewal: bool | None = None
    """Whether accounts renew by their TLS client certificate alone; None: as ``[protocols.wstep]`` says."""

    def terms(self, *, certificate_renewal: bool = False) -> Terms:
        """The terms of the CA; ``certificate_renewal`` is that of ``[protocols.wstep]``."""
        own = self.certificate_renewal
        return Terms(
            ca=CAReference.parse(self.ca),
            names=NameRules(
                parent=None if self.parent_dn is None else parse_name(self.parent_dn), dns_zones=self.dns_zones
            ),
            by_key_usage=ProfilesByKeyUsage(
                digital_signature=self.digital_signature,
                key_encipherment=self.key_encipherment,
                digital_signature_and_key_encipherment=self.digital_signature_and_key_encipherment,
                digital_signature_and_non_repudiation=self.digital_signature_and_non_repudiation,
            ),
            mapped=dict(self.templates),
            enrollment_services=frozenset(name.lower() for name in self.enrollment_services),
            certificate_renewal=certificate_renewal if own is None else own,
        )


class WSTEPConfig(Section):
    """Certificate enrollment of Windows."""

    users: Annotated[tuple[AuthenticationName, ...], Field(min_length=1)]
    """Who knows accounts: ``[authentication.NAME]`` sections, asked in this order: directories, static users."""
    kerberos: KerberosConfig | None = None
    services: tuple[ServiceConfig, ...] = ()
    """CAs that are served; others are not (R-CEG-135)."""
    policy: PolicyConfig | None = None
    """Enrollment policies are told (MS-XCEP); not without this section."""
    certificate_renewal: bool = False
    """At ``/wstep/certificate/services/TENANT/CA`` accounts renew by TLS client certificate, without a password."""
    max_message_bytes: Annotated[int, Field(ge=16384, le=1 << 20)] = 256 * 1024

    def terms(self) -> tuple[Terms, ...]:
        """The terms of each CA."""
        return tuple(each.terms(certificate_renewal=self.certificate_renewal) for each in self.services)

    @model_validator(mode="after")
    def _cas_are_unique(self) -> Self:
        names = [service.ca for service in self.services]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"services: {', '.join(twice)} stands there twice")
        return self
