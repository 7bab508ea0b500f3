"""``[protocols.est]``: Enrollment over Secure Transport.

::

    [protocols.est]
    users = ["devices"]                   # an [authentication.devices]
    profiles = ["tls-client"]
    default_label = "devices"

    [[protocols.est.labels]]
    id = "devices"
    ca = "demo~issuing"
    profile = "tls-client"
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cspd.authentication.config import AuthenticationName
from cspd.authority.values import CAReference
from cspd.config.values import Duration, Section
from cspd.refusals import Malformed
from protocols.est.messages import Terms


def _ca_reference(text: str) -> str:
    try:
        CAReference.parse(text)
    except Malformed as error:
        raise ValueError(error.reason) from error
    return text


def _positive(span: timedelta) -> timedelta:
    if span < timedelta(seconds=1):
        raise ValueError("a span of time of a second or more")
    return span


PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
# No underscore, which separates the parts of the form TENANT_CA_PROFILE; no name of an operation.
LabelID = Annotated[str, Field(pattern=r"^[A-Za-z0-9.~-]{1,64}$")]
_OPERATIONS = frozenset(
    {"cacerts", "simpleenroll", "simplereenroll", "serverkeygen", "csrattrs", "fullcmc", "crl", "revoke"}
)


class Authentication(Enum):
    """How a client may show who it is."""

    BASIC = "basic"
    """User name and password that one of ``users`` knows."""
    CERTIFICATE = "certificate"
    """Its TLS certificate, if it is one of ours and to be replaced."""


class LabelConfig(Section):
    """``[[protocols.est.labels]]``: a short path for one CA and profile; the rest is the section's unless set here."""

    id: LabelID
    ca: Annotated[str, AfterValidator(_ca_reference)]
    """``organization~ca``."""
    profile: str
    authentication: Annotated[tuple[Authentication, ...], Field(min_length=1)] | None = None
    approval: bool | None = None
    approval_retry: PositiveDuration | None = None
    approval_lifetime: PositiveDuration | None = None
    revoke_replaced: bool | None = None
    server_key_generation: bool | None = None

    @model_validator(mode="after")
    def _is_no_operation(self) -> Self:
        if self.id in _OPERATIONS:
            raise ValueError(f"id: {self.id} is the name of an operation")
        return self


class ESTConfig(Section):
    """Enrollment over Secure Transport."""

    users: tuple[AuthenticationName, ...] = ()
    """Who knows user names and passwords: ``[authentication.NAME]`` sections, asked in this order."""
    realm: Annotated[str, Field(pattern=r"^[ !#-\[\]-~]{1,64}$")] = "cspd EST"
    """What clients show to people who are asked for a password."""
    authentication: Annotated[tuple[Authentication, ...], Field(min_length=1)] = (
        Authentication.BASIC,
        Authentication.CERTIFICATE,
    )
    """Any of these will do."""
    profiles: tuple[str, ...] = ()
    """Profiles that are served at ``/.well-known/est/TENANT/CA/PROFILE`` too, where the CA has them enabled."""
    labels: tuple[LabelConfig, ...] = ()
    default_label: LabelID | None = None
    """Which label is served without one: ``/.well-known/est/cacerts``."""
    approval: bool = False
    """Each request waits for ``cspctl request approve``."""
    approval_retry: PositiveDuration = timedelta(minutes=1)
    approval_lifetime: PositiveDuration = timedelta(days=7)
    revoke_replaced: bool = False
    """Re-enrollment revokes the certificate that it replaces (superseded)."""
    server_key_generation: bool = False
    """serverkeygen makes keys for clients that cannot; they leave the server once and are not kept."""

    @model_validator(mode="after")
    def _labels_are_there(self) -> Self:
        ids = [label.id for label in self.labels]
        if len(set(ids)) != len(ids):
            raise ValueError("labels: an id stands there twice")
        if self.default_label is not None and self.default_label not in ids:
            raise ValueError(f"default_label: {self.default_label} is not the id of a label")
        return self

    @model_validator(mode="after")
    def _has_users(self) -> Self:
        asks = {method for label in self.labels for method in label.authentication or ()} | set(self.authentication)
        if Authentication.BASIC in asks and not self.users:
            raise ValueError('users: the name of an [authentication.NAME], since authentication has "basic"')
        return self

    def terms_of(self, label: LabelConfig) -> Terms:
        """The terms of a label, what it does not say taken from the section."""
        own = {name: value for name, value in label if name not in ("id", "ca", "profile") and value is not None}
        return self.model_copy(update=own).terms(CAReference.parse(label.ca), label.profile)

    def terms(self, ca: CAReference, profile: str) -> Terms:
        """The terms of the section for a CA and profile."""
        return Terms(
            ca=ca,
            profile=profile,
            basic=Authentication.BASIC in self.authentication,
            certificate=Authentication.CERTIFICATE in self.authentication,
            approval=self.approval,
            retry_after=self.approval_retry,
            approval_lifetime=self.approval_lifetime,
            revoke_replaced=self.revoke_replaced,
            key_generation=self.server_key_generation,
        )
