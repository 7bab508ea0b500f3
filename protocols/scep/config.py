"""``[protocols.scep]``: the Simple Certificate Enrolment Protocol.

::

    [protocols.scep]
    profiles = ["scep-digital-signature"]      # at /scep/TENANT/CA/PROFILE/

    [[protocols.scep.services]]
    ca = "demo~issuing"
    challenge = { store = "scep-challenge" }

    [[protocols.scep.registration_authorities]]
    ca = "demo~issuing"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cspd.authority.ca_name import CAName
from cspd.authority.profile_values import Profile, ProfileCategory
from cspd.authority.values import CAReference
from cspd.config.inspection import Inspection
from cspd.config.problems import KeyPath, Problem
from cspd.config.values import DurationOfSeconds, SecretReference, Section
from cspd.jobs.cron import Cron
from protocols.scep.algorithm_policy import AlgorithmPolicy
from protocols.scep.challenge_config import ChallengeSettings
from protocols.scep.interfaces import Terms
from protocols.scep.intune.config import IntuneConfig
from protocols.scep.registration_authority_checks import profile_problems
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig, check_mapped

DEFAULT_SCHEDULE = "0 37 * * * *"
RESERVED = frozenset({"intune", "mdm", "nop"})
"""What ends other paths, and so is no profile (R-CEG-012)."""


def _profile(text: str) -> str:
    if text in RESERVED:
        raise ValueError(f"{text} ends other paths and cannot be served as a profile")
    return text


def _cron(text: str) -> str:
    Cron.parse(text)  # raises CronError, a ValueError that says what is wrong
    return text


ProfileID = Annotated[str, AfterValidator(_profile)]


class ServiceConfig(ChallengeSettings):
    """``[[protocols.scep.services]]``: one CA; what is not said here is as in the section (P-SCP-02 to P-SCP-05)."""

    ca: CAName
    """``organization~ca``."""
    profiles: tuple[ProfileID, ...] | None = None
    revoke_replaced: bool = False
    """A certificate is revoked as superseded once its successor is issued."""
    renewal_without_challenge: bool = False
    """A request that is signed with the certificate that it renews needs no challenge password."""
    approval: bool = False
    """Each request waits for ``cspctl request approve``."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Only these addresses are served; none is for all."""
    signed_by_others: bool = False
    """A request may come in a message that another key signs: connectors of Google and of MDMs hand them on so."""
    next_ca: CAName | None = None
    """The CA that follows this one, for GetNextCACert."""
    allow_sha1: bool | None = None
    allow_des3: bool | None = None
    allow_des: bool | None = None


class SCEPConfig(Section):
    """The Simple Certificate Enrolment Protocol."""

    profiles: tuple[ProfileID, ...] = ()
    """Profiles that are served at ``/scep/TENANT/CA/PROFILE/``, where the CA has them enabled."""
    services: tuple[ServiceConfig, ...] = ()
    """CAs that are served; others are not (R-CEG-065)."""
    intune: tuple[IntuneConfig, ...] = ()
    """CAs that devices of Microsoft Intune enroll at."""
    allow_sha1: bool = False
    """Messages with digests of SHA-1 are accepted, and answered so."""
    allow_des3: bool = False
    """Messages encrypted with Triple DES are accepted, and answered so."""
    allow_des: bool = False
    registration_authorities: tuple[RegistrationAuthorityConfig, ...] = ()
    """Who opens envelopes and signs answers, for each CA that is served (R-CEGI-007)."""
    renew_registration_authorities: Annotated[str, AfterValidator(_cron)] = DEFAULT_SCHEDULE
    """When their certificates are looked at for renewal: six cron fields, UTC."""
    approval_lifetime: DurationOfSeconds = timedelta(days=7)
    transaction_lifetime: DurationOfSeconds = timedelta(minutes=60)
    """How long a request that comes again gets the same certificate."""
    time_tolerance: DurationOfSeconds | None = None
    """How far signingTime may be from the time of the server; it is not looked at unless this is set."""
    max_message_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 64 * 1024

    @model_validator(mode="after")
    def _cas_are_unique(self) -> Self:
        for what, names in (
            ("services", [service.ca for service in self.services]),
            ("intune", [each.ca for each in self.intune]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what}: {', '.join(twice)} stands there twice")
        return self

    @model_validator(mode="after")
    def _cas_have_registration_authorities(self) -> Self:
        served = [*(service.ca for service in self.services), *(each.ca for each in self.intune)]
        check_mapped(self.registration_authorities, served)
        return self

    def profiles_of(self, service: ServiceConfig) -> Sequence[str]:
        """The profiles that are served for a CA."""
        return self.profiles if service.profiles is None else service.profiles

    def terms(self, service: ServiceConfig, profile: str) -> Terms:
        """The terms of a CA and profile."""
        return Terms(
            ca=CAReference.parse(service.ca),
            profile=profile,
            policy=self.policy(service),
            renewal_without_challenge=service.renewal_without_challenge,
            revoke_replaced=service.revoke_replaced,
            approval=service.approval,
            approval_lifetime=self.approval_lifetime,
            networks=service.networks,
            signed_by_others=service.signed_by_others,
            next_ca=None if service.next_ca is None else CAReference.parse(service.next_ca),
        )

    def policy(self, service: ServiceConfig | None = None) -> AlgorithmPolicy:
        """The algorithms of a CA, or of the section."""

        def choose(own: bool | None, of_section: bool) -> bool:
            return of_section if own is None else own

        if service is None:
            return AlgorithmPolicy(allow_sha1=self.allow_sha1, allow_des3=self.allow_des3, allow_des=self.allow_des)
        return AlgorithmPolicy(
            allow_sha1=choose(service.allow_sha1, self.allow_sha1),
            allow_des3=choose(service.allow_des3, self.allow_des3),
            allow_des=choose(service.allow_des, self.allow_des),
        )

    def inspect(self, folder: Path, now: datetime) -> Inspection:
        """Warn of what is insecure; see :class:`cspd.config.inspection.Inspected`."""
        warnings: list[Problem] = []
        for index, service in enumerate(self.services):
            warnings += service.challenge_warnings(("services", index))
        for index, each in enumerate(self.intune):
            warnings += each.inspect(("intune", index)).warnings
        return Inspection(warnings=warnings)

    def inspect_secrets(self, folder: Path, now: datetime, secret: Callable[[SecretReference], bytes]) -> Inspection:
        """Open what only opens with a secret; see :class:`cspd.config.inspection.InspectedWithSecrets`."""
        found = [each.inspect_secrets(("intune", index), folder, now, secret) for index, each in enumerate(self.intune)]
        found += [
            each.inspect_challenge_secrets(("services", index), secret) for index, each in enumerate(self.services)
        ]
        return Inspection(
            problems=[problem for each in found for problem in each.problems],
            warnings=[warning for each in found for warning in each.warnings],
        )

    def inspect_profiles(self, profiles: Mapping[str, Profile]) -> Sequence[Problem]:
        """What is not there, or is for nobody who enrolls; see :class:`cspd.config.inspection.UsesProfiles`."""
        named: list[tuple[KeyPath, str]] = [(("profiles", index), name) for index, name in enumerate(self.profiles)]
        for number, service in enumerate(self.services):
            named += [(("services", number, "profiles", i), name) for i, name in enumerate(service.profiles or ())]
        for number, each in enumerate(self.intune):
            named += [(("intune", number, "profiles", i), name) for i, name in enumerate(each.profiles)]
        unfit = [
            Problem(
                what=f'there is no profile "{name}" for devices', remedy="`cspctl profile list` shows them", key=key
            )
            for key, name in named
            if name not in profiles or profiles[name].category is not ProfileCategory.SUBSCRIBER
        ]
        return (*unfit, *profile_problems(self.registration_authorities, profiles))
