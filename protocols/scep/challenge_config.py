"""What a service of SCEP takes for a challenge: a part of ``[[protocols.scep.services]]``.

::

    [[protocols.scep.services]]
    ca = "demo~issuing"
    challenge = { store = "scep-challenge" }      # one password for all devices
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from pydantic import model_validator

from cspd.audit.events import AuditLog
from cspd.authentication.secrets import EnrollmentSecrets
from cspd.config.problems import KeyPath, Problem
from cspd.config.values import SecretReference, Section
from cspd.refusals import Unavailable
from protocols.scep.challenges import ChallengeAuthorizer, ChallengeRules


class ChallengeSettings(Section):
    """The base of the section of a service."""

    challenge: SecretReference | None = None
    """The static challenge password of the CA, for every profile of it."""
    insecure: bool = False
    """Requests without challenge are accepted; without ``challenge``, all are. A wrong one is refused if there is a
    right one."""
    one_time_challenges: bool = True
    """One-time challenges are accepted (``cspctl scep challenge create``)."""

    @model_validator(mode="after")
    def _lets_somebody_in(self) -> Self:
        if self.challenge is None and not self.insecure and not self.one_time_challenges:
            raise ValueError("challenge: without one, and without one_time_challenges, nobody can enroll")
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
            yield Problem(
                what=f"{who}, for any name that the profile allows", remedy="Remove it", key=(*key, "insecure")
            )


def challenge_authorizer(
    settings: ChallengeSettings,
    *,
    secret: Callable[[SecretReference], bytes],
    secrets: EnrollmentSecrets,
    audit: AuditLog,
) -> ChallengeAuthorizer:
    """Who may enroll at the places of a service; raises Unavailable."""
    return ChallengeAuthorizer(rules=settings.rules(secret), secrets=secrets, audit=audit)
