"""What a service of SCEP takes for a challenge, and who hands them out: a part of ``[[protocols.scep.services]]``.

::

    [[protocols.scep.services]]
    ca = "demo~issuing"
    challenge = { store = "scep-challenge" }      # one password for all devices

    [protocols.scep.services.webhook]             # one-time challenges for an MDM
    key = { store = "mdm-webhook" }

    [protocols.scep.services.mscep_admin]         # and for what expects Microsoft's NDES
    users = ["mdm"]                               # an [authentication.mdm]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cspd.audit.events import AuditLog
from cspd.authentication.config import AuthenticationName
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.config.inspection import Inspection
from cspd.config.problems import KeyPath, Problem
from cspd.config.values import DurationOfSeconds, SecretReference, Section
from cspd.refusals import Unavailable
from protocols.scep.challenges import ChallengeAuthorizer, ChallengeRules
from protocols.scep.webhook import MIN_KEY

SHORT_CHALLENGE = 12
"""Characters of a static challenge that nobody is warned of; wrong ones are audited, and there is no limit to them."""
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]


class WebhookConfig(Section):
    """``[protocols.scep.services.webhook]``: ``/scep/TENANT/CA/PROFILE/challenge``; a key, users, or both."""

    key: SecretReference | None = None
    """Deliveries may be signed with it: 16 bytes at least."""
    users: tuple[AuthenticationName, ...] = ()
    """Names of ``[authentication.NAME]`` whose users may ask by HTTP Basic, as Jamf Pro does."""
    lifetime: DurationOfSeconds = timedelta(minutes=60)
    """How long a challenge is good for."""
    max_outstanding: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Challenges of one user, or of the key, that nobody has used yet, for a CA and profile."""
    signature_header: HeaderName = "X-Cspd-Signature"
    timestamp_header: HeaderName = "X-Cspd-Timestamp"
    tolerance: DurationOfSeconds = timedelta(minutes=5)
    """How far the timestamp of a signed delivery may be from the time of the server."""

    @model_validator(mode="after")
    def _lets_somebody_ask(self) -> Self:
        if self.key is None and not self.users:
            raise ValueError("key, users, or both")
        return self

    @model_validator(mode="after")
    def _remembers_deliveries(self) -> Self:
        # A challenge that expired is forgotten, and so is that its delivery was answered.
        if self.key is not None and self.lifetime < 2 * self.tolerance:
            raise ValueError("lifetime: at least twice the tolerance")
        return self


class AdminPageConfig(Section):
    """``[protocols.scep.services.mscep_admin]``: ``/scep/TENANT/CA/PROFILE/mscep_admin/``."""

    users: Annotated[tuple[AuthenticationName, ...], Field(min_length=1)]
    """Names of ``[authentication.NAME]`` whose users may see the page."""
    lifetime: DurationOfSeconds = timedelta(minutes=60)
    max_outstanding: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    """Challenges of one user that nobody has used yet, for a CA and profile; then the password cache is full."""
    reusable: bool = False
    """One challenge of 32 digits for any number of devices, shown to a user throughout each ``lifetime``."""
    digits: Literal[16, 32] = 16
    """Hexadecimal digits of a challenge."""
    encoding: Literal["utf-16", "utf-8"] = "utf-16"
    """NDES has ``utf-16``, and most programs expect nothing else."""


class ChallengeSettings(Section):
    """The base of the section of a service."""

    challenge: SecretReference | None = None
    """The static challenge password of the CA, for every profile of it."""
    insecure: bool = False
    """Requests without challenge are accepted; without ``challenge``, all are. A wrong one is refused if there is a
    right one."""
    one_time_challenges: bool = True
    """One-time challenges are accepted (``cspctl scep challenge create``)."""
    webhook: WebhookConfig | None = None
    mscep_admin: AdminPageConfig | None = None

    @model_validator(mode="after")
    def _lets_somebody_in(self) -> Self:
        if self.challenge is None and not self.insecure and not self.one_time_challenges:
            raise ValueError("challenge: without one, and without one_time_challenges, nobody can enroll")
        if not self.one_time_challenges and (self.webhook is not None or self.mscep_admin is not None):
            raise ValueError("one_time_challenges: webhook and mscep_admin hand them out")
        return self

    def rules(self, secret: Callable[[SecretReference], bytes]) -> ChallengeRules:
        """With the password that the section refers to; raises Unavailable if it cannot be had."""
        try:
            static = None if self.challenge is None else secret(self.challenge)
        except ValueError as error:
            raise Unavailable(f"challenge: {error}") from error
        return ChallengeRules(static=static, insecure=self.insecure, one_time=self.one_time_challenges)

    def challenge_warnings(self, key: KeyPath) -> Iterator[Problem]:
        """For the inspection of the section, which stands at ``key``."""
        if self.insecure:
            who = "anybody gets a certificate" if self.challenge is None else "whoever sends no challenge is let in"
            what = f"{who}, for any name that the profile allows"
            yield Problem(what=what, remedy="Remove it", key=(*key, "insecure"))

    def inspect_challenge_secrets(self, key: KeyPath, secret: Callable[[SecretReference], bytes]) -> Inspection:
        """Whether the secrets are long enough; one that cannot be had is told elsewhere."""
        problems: list[Problem] = []
        warnings: list[Problem] = []
        if self.challenge is not None and 0 < (length := _length(self.challenge, secret)) < SHORT_CHALLENGE:
            what = f"{length} characters can be guessed, and whoever does can enroll for any name"
            warnings.append(Problem(what=what, remedy=f"{SHORT_CHALLENGE} at least", key=(*key, "challenge")))
        if self.webhook is not None and self.webhook.key is not None:
            length = _length(self.webhook.key, secret)
            if 0 < length < MIN_KEY:
                what = f"the key has {length} bytes and needs {MIN_KEY}"
                problems.append(
                    Problem(what=what, remedy="`openssl rand -hex 32` makes one", key=(*key, "webhook", "key"))
                )
        return Inspection(problems, warnings)


def _length(reference: SecretReference, secret: Callable[[SecretReference], bytes]) -> int:
    """Bytes of a secret; 0 if it cannot be had."""
    try:
        return len(secret(reference))
    except ValueError:
        return 0


def challenge_authorizer(
    settings: ChallengeSettings,
    *,
    secret: Callable[[SecretReference], bytes],
    secrets: EnrollmentSecrets,
    audit: AuditLog,
) -> ChallengeAuthorizer:
    """Who may enroll at the places of a service; raises Unavailable."""
    return ChallengeAuthorizer(rules=settings.rules(secret), secrets=secrets, audit=audit)
