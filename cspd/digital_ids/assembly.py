"""Builds what ``[digital_ids]`` describes."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from cspd.audit.events import AuditLog
from cspd.authority.profile_values import Profile, ProfileCategory
from cspd.clock import Clock
from cspd.config.problems import Problem
from cspd.digital_ids.challenges import Challenges
from cspd.digital_ids.config import DigitalIDsConfig
from cspd.digital_ids.service import DigitalIDs
from cspd.digital_ids.users import Users
from cspd.store.interfaces import Database


def build_digital_ids(
    section: DigitalIDsConfig,
    *,
    clock: Clock,
    random: Random,
    database: Database,
    audit: AuditLog,
    profiles: Mapping[str, Profile],
) -> DigitalIDs:
    """Build it; every profile that a configuration names is among ``profiles`` (:func:`unknown_profiles`)."""
    users = Users(clock=clock, random=random, database=database)
    configured = [each.value() for each in section.configurations]
    return DigitalIDs(
        configured={each.name: each for each in configured},
        profiles=profiles,
        challenges=Challenges(
            clock=clock, random=random, database=database, audit=audit, users=users, lifetime=section.token_lifetime
        ),
        users=users,
        cleanup_schedule=section.cleanup_schedule,
        allow_verification_keys=section.allow_server_made_verification_keys,
        allow_nonrepudiation_keys=section.allow_server_made_nonrepudiation_keys,
    )


def unknown_profiles(section: DigitalIDsConfig, profiles: Mapping[str, Profile]) -> list[Problem]:
    """The profiles that configurations name and that end users cannot have."""
    return [
        Problem(
            what=f'there is no profile "{each.profile}" for users and devices',
            remedy="`cspctl profile list` shows them",
            key=("digital_ids", "configurations", index, "profile"),
        )
        for index, each in enumerate(section.configurations)
        if each.profile not in profiles or profiles[each.profile].category is not ProfileCategory.SUBSCRIBER
    ]
