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

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from cspd.authentication.certificates import TrustAnchors
from cspd.authentication.config import AuthenticationName
from cspd.authority.ca_name import CAName
from cspd.authority.values import CAReference
from cspd.config.inspection import Inspection
from cspd.config.problems import KeyPath, Problem
from cspd.config.values import DurationOfSeconds, Section
from protocols.est.messages import ChannelBinding, Terms
from protocols.est.trust import BadTrustFile, faults_of, read_trust_file

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
    """Its TLS certificate, if it is one of ours and to be replaced, or of a CA of ``trust``."""
    SECRET = "secret"  # noqa: S105  # the name of a method
    """Reference number and authorization code of an enrollment secret, as user name and password."""
    CHALLENGE = "challenge"
    """The same two in the request: challengePassword, ``REFERENCE:CODE``."""


class LabelConfig(Section):
    """``[[protocols.est.labels]]``: a short path for one CA and profile; the rest is the section's unless set here."""

    id: LabelID
    ca: CAName
    """``organization~ca``."""
    profile: str
    authentication: Annotated[tuple[Authentication, ...], Field(min_length=1)] | None = None
    trust: tuple[str, ...] | None = None
    channel_binding: ChannelBinding | None = None
    approval: bool | None = None
    approval_retry: DurationOfSeconds | None = None
    approval_lifetime: DurationOfSeconds | None = None
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
    trust: tuple[str, ...] = ()
    """PEM files of other CAs whose certificates, shown in TLS, get a first certificate; needs "certificate"."""
    channel_binding: ChannelBinding = ChannelBinding.CHECKED
    """Whether requests are tied to their TLS connection by challengePassword (RFC 7030, 3.5)."""
    profiles: tuple[str, ...] = ()
    """Profiles that are served at ``/.well-known/est/TENANT/CA/PROFILE`` too, where the CA has them enabled."""
    labels: tuple[LabelConfig, ...] = ()
    default_label: LabelID | None = None
    """Which label is served without one: ``/.well-known/est/cacerts``."""
    approval: bool = False
    """Each request waits for ``cspctl request approve``."""
    approval_retry: DurationOfSeconds = timedelta(minutes=1)
    approval_lifetime: DurationOfSeconds = timedelta(days=7)
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
    def _fits_together(self) -> Self:
        for at, section in self._sections():
            asks = section.authentication
            if Authentication.BASIC in asks and not self.users:
                raise ValueError('users: the name of an [authentication.NAME], since authentication has "basic"')
            if section.trust and Authentication.CERTIFICATE not in asks:
                raise ValueError(f'{at}trust: needs authentication = ["certificate", ...]')
        return self

    def of_label(self, label: LabelConfig) -> ESTConfig:
        """The section as it is for a label: what that does not say is the section's."""
        own = {name: value for name, value in label if name not in ("id", "ca", "profile") and value is not None}
        return self.model_copy(update=own)

    def inspect(self, folder: Path, now: datetime) -> Inspection:
        """Read the files of ``trust``; see :class:`cspd.config.inspection.Inspected`."""
        problems: list[Problem] = []
        warnings: list[Problem] = []
        trusted: list[tuple[KeyPath, str]] = []
        for at, files in (((), self.trust), *((("labels", i), each.trust or ()) for i, each in enumerate(self.labels))):
            for index, file in enumerate(files):
                key: KeyPath = (*at, "trust", index)
                try:
                    faults = [faults_of(each, now) for each in read_trust_file(folder / file)]
                except BadTrustFile as error:
                    problems.append(Problem(what=str(error), remedy="Name a PEM file of the CAs", key=key))
                    continue
                trusted.append((key, file))
                warnings += [
                    Problem(what=f"{folder / file}: {fault}", remedy="Replace it", key=key) for fault in faults if fault
                ]
        return Inspection(problems, warnings, client_trust=trusted)

    def _sections(self) -> Iterator[tuple[str, ESTConfig]]:
        """What holds somewhere, each with the key it starts at."""
        yield "", self
        for label in self.labels:
            yield f"labels.{label.id}.", self.of_label(label)

    def terms(self, ca: CAReference, profile: str, trusted: TrustAnchors | None = None) -> Terms:
        """The terms of the section for a CA and profile; ``trusted`` are the CAs of its ``trust``."""
        return Terms(
            ca=ca,
            profile=profile,
            basic=Authentication.BASIC in self.authentication,
            certificate=Authentication.CERTIFICATE in self.authentication,
            secret=Authentication.SECRET in self.authentication,
            challenge=Authentication.CHALLENGE in self.authentication,
            trusted=trusted,
            channel_binding=self.channel_binding,
            approval=self.approval,
            retry_after=self.approval_retry,
            approval_lifetime=self.approval_lifetime,
            revoke_replaced=self.revoke_replaced,
            key_generation=self.server_key_generation,
        )
