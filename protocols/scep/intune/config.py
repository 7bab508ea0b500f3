"""``[[protocols.scep.intune]]``: a CA that devices of Microsoft Intune enroll at.

::

    [[protocols.scep.intune]]
    ca = "demo~issuing"
    azure_application_id = "6731de76-14a6-49ae-97bc-6eba6914391e"
    azure_tenant = "example.onmicrosoft.com"
    application_secret = { store = "intune" }
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cspd.authority.ca_name import CAName
from cspd.config.inspection import Inspection
from cspd.config.problems import KeyPath, Problem
from cspd.config.values import SecretReference, Section
from cspd.jobs.cron import Cron, CronError
from protocols.scep.intune.application_certificate import BadApplicationCertificate, read_application_certificate

PROFILES = (
    "intune-digital-signature",
    "intune-digital-signature-key-encipherment",
    "intune-digital-signature-key-encipherment-clientauth",
    "intune-key-encipherment",
    "intune-non-repudiation",
)
"""Those that ship with cspd (R-CEG-083)."""
EXPIRY_WARNING = timedelta(days=30)
MAX_ORDERS = 500
"""What Intune gives in one answer."""

_GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+|beta")


def _https(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or not url.isascii():
        raise ValueError('an https URL, for example "https://graph.microsoft.com/"')
    return url


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ValueError('a version of the Graph API, for example "1.0"')
    return text


def _schedule(text: str) -> str:
    try:
        Cron.parse(text)
    except CronError as error:
        raise ValueError(str(error)) from error
    return text


def _blank_is_none(value: Any) -> Any:
    return None if value == "" else value


GUID = Annotated[str, Field(pattern=_GUID)]
_Blank = BeforeValidator(_blank_is_none)
_URL = Annotated[Annotated[str, AfterValidator(_https)] | None, _Blank]


class EndpointsConfig(Section):
    """``endpoints``: where Microsoft's services are, in other clouds than the public one; blank keeps the default."""

    authentication_authority: _URL = None
    graph_api_version: Annotated[Annotated[str, AfterValidator(_version)] | None, _Blank] = None
    graph_resource_url: _URL = None
    intune_application_id: Annotated[GUID | None, _Blank] = None
    intune_resource_url: _URL = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing is written."""
        return all(value is None for _, value in self)


class IntuneConfig(Section):
    """``[[protocols.scep.intune]]``: one for each CA (P-INT-02 to P-INT-15)."""

    ca: CAName
    """``organization~ca``."""
    profiles: Annotated[tuple[str, ...], Field(min_length=1)] = PROFILES
    """Served at ``/scep/TENANT/CA/PROFILE/intune/``, where the CA has them enabled."""
    azure_application_id: GUID
    """The application (client) id of the registration in Azure."""
    azure_tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$")]
    """Its directory: a domain or an id."""
    application_secret: SecretReference | None = None
    """Either a client secret of the registration,"""
    application_p12: str | None = None
    """or a PKCS #12 file with a key of RSA and the certificate that the registration has."""
    application_p12_password: SecretReference | None = None
    override_endpoints: bool = False
    endpoints: EndpointsConfig = EndpointsConfig()
    """Counts only with ``override_endpoints``."""
    revocation_schedule: Annotated[str, AfterValidator(_schedule)] = "0 0/15 * * * ?"
    """When Intune is asked for certificates to revoke: six cron fields, UTC."""
    revocation_batch: Annotated[int, Field(ge=1, le=MAX_ORDERS)] = 100
    """How many orders are fetched at a time."""

    @model_validator(mode="after")
    def _has_one_credential(self) -> Self:
        if (self.application_secret is None) == (self.application_p12 is None):
            raise ValueError("application_secret, or application_p12")
        if (self.application_p12 is None) != (self.application_p12_password is None):
            raise ValueError("application_p12 and application_p12_password: both or neither")
        return self

    def inspect(self, key: KeyPath) -> Inspection:
        """What can be said without files and secrets; ``key`` is where the section stands."""
        if self.endpoints.is_blank or self.override_endpoints:
            return Inspection()
        what = "is not used, because override_endpoints is false"
        return Inspection(warnings=[Problem(what=what, remedy="Set it to true", key=(*key, "endpoints"))])

    def inspect_secrets(
        self, key: KeyPath, folder: Path, now: datetime, secret: Callable[[SecretReference], bytes]
    ) -> Inspection:
        """Open the PKCS #12 file; see :class:`cspd.config.inspection.InspectedWithSecrets`."""
        if self.application_p12 is None or self.application_p12_password is None:
            return Inspection()
        at = (*key, "application_p12")
        try:
            password = secret(self.application_p12_password)
        except ValueError:  # has its own problem
            return Inspection()
        try:
            certificate = read_application_certificate(folder / self.application_p12, password)
        except BadApplicationCertificate as error:
            remedy = "Name a PKCS #12 file with a key of RSA, and its password"
            return Inspection(problems=[Problem(what=str(error), remedy=remedy, key=at)])
        return Inspection(warnings=list(_expiry(certificate.not_after, now, at)))


def _expiry(not_after: datetime, now: datetime, key: KeyPath) -> Sequence[Problem]:
    if now + EXPIRY_WARNING < not_after:
        return ()
    ends = "has ended" if not_after <= now else "ends"
    return (
        Problem(
            what=f"the certificate {ends} on {not_after:%Y-%m-%d %H:%M} UTC",
            remedy="Make another, and add it to the registration in Azure first",
            key=key,
        ),
    )
