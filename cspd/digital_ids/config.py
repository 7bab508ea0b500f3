"""``[digital_ids]``: what products for mobile device management may order.

::

    [digital_ids]
    token_lifetime = "1h"
    cleanup_schedule = "0 0 * * * *"

    [[digital_ids.configurations]]
    name = "Wi-Fi phones"
    ca = "demo~issuing"
    profile = "mdmws-p12-digital-signature-key-encipherment"
    parent_dn = "ou=Devices,o=My Company,c=US"
    rdn_format = "cn=<firstname> <lastname>"
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cspd.authority.ca_name import CAName
from cspd.authority.values import CAReference
from cspd.config.values import DurationOfSeconds, Section
from cspd.digital_ids.rdn_format import RDNFormat
from cspd.digital_ids.values import DigitalID
from cspd.jobs.cron import Cron
from cspd.x509.names import parse_name

MAX_LIFETIME = timedelta(days=366)
"""A challenge is a password on its way: one that counts for years is a mistake."""
RESERVED = frozenset({"intune"})
"""Words of SCEP's paths with four characters and more (R-CEGI-005)."""


def _digital_id_name(name: str) -> str:
    if name.lower() in RESERVED:
        raise ValueError(f"{name} is a word of SCEP's paths")
    if name != name.strip():
        raise ValueError("no space at the ends")
    return name


def _distinguished_name(text: str) -> str:
    parse_name(text)  # NameSyntaxError is a ValueError, and says what is wrong
    return text


def _rdn_format(text: str) -> str:
    RDNFormat.parse(text)
    return text


def _schedule(text: str) -> str:
    Cron.parse(text)
    return text


def _short_enough(span: timedelta) -> timedelta:
    if span > MAX_LIFETIME:
        raise ValueError(f"at most {MAX_LIFETIME.days} days")
    return span


DigitalIDName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ -]{4,64}$"), AfterValidator(_digital_id_name)]
"""Part of a URL, where its spaces are written ``%20`` (R-CEG-013)."""


class DigitalIDConfig(Section):
    """One of ``[[digital_ids.configurations]]``."""

    name: DigitalIDName
    ca: CAName
    """``organization~ca``."""
    profile: str
    parent_dn: Annotated[str, AfterValidator(_distinguished_name)] = ""
    """RFC 4514; follows the RDNs of the format."""
    rdn_format: Annotated[str, AfterValidator(_rdn_format)]
    """RFC 4514 with ``<variable>`` in its values."""
    keep_requested_names: bool = False
    """The subjectAltName of a device's request is kept. Whoever has a challenge then chooses these names."""

    def value(self) -> DigitalID:
        """The section as the rest of the server sees it."""
        return DigitalID(
            name=self.name,
            ca=CAReference.parse(self.ca),
            profile=self.profile,
            rdn_format=RDNFormat.parse(self.rdn_format),
            parent=parse_name(self.parent_dn),
            keeps_requested_names=self.keep_requested_names,
        )


class DigitalIDsConfig(Section):
    """The section as a whole; without it, or switched off, web service and MDM-SCEP are not there (R-CEG-024)."""

    enabled: bool = True
    token_lifetime: Annotated[DurationOfSeconds, AfterValidator(_short_enough)]
    """How long a challenge counts; a second or more (R-CEGI-078)."""
    cleanup_schedule: Annotated[str, AfterValidator(_schedule)]
    """When expired challenges are deleted: six cron fields, seconds first, UTC."""
    allow_server_made_verification_keys: bool = False
    """PKCS#12 of profiles with digitalSignature: a signing key that its user was not the first to have (R-CEG-052)."""
    allow_server_made_nonrepudiation_keys: bool = False
    """PKCS#12 of profiles with nonRepudiation, whose very meaning is that nobody else had the key (R-CEG-052)."""
    configurations: tuple[DigitalIDConfig, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [each.name for each in self.configurations]
        if len(set(names)) != len(names):
            raise ValueError("configurations: a name stands there twice")
        return self
