"""What the web service for device management and MDM-SCEP have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cspd.authority.profile_values import IssuanceMode, KeyUsageBit, Profile
from cspd.digital_ids.challenges import Challenges
from cspd.digital_ids.users import Users
from cspd.digital_ids.values import DigitalID
from cspd.jobs.values import Job
from cspd.refusals import Forbidden, NotFound


@dataclass(frozen=True, kw_only=True)
class DigitalIDs:
    """The configurations, their users and their challenges."""

    configured: Mapping[str, DigitalID]
    """By name, in the order of conf."""
    profiles: Mapping[str, Profile]
    challenges: Challenges
    users: Users
    cleanup_schedule: str
    allow_verification_keys: bool
    allow_nonrepudiation_keys: bool

    def get(self, name: str) -> DigitalID:
        """The configuration of that name; raises NotFound, code ``no-such-digital-id`` (R-CEG-085)."""
        found = self.configured.get(name)
        if found is None:
            raise NotFound("there is no such digital ID", code="no-such-digital-id")
        return found

    def profile_of(self, digital_id: DigitalID) -> Profile:
        """The profile that its certificates have."""
        return self.profiles[digital_id.profile]

    def check_server_made_key(self, digital_id: DigitalID) -> Profile:
        """Its profile; raises Forbidden where a key must not be made here (R-CEG-049, R-CEG-051, R-CEG-052)."""
        profile = self.profile_of(digital_id)
        if IssuanceMode.P12 not in profile.modes:
            raise Forbidden(f"profile {profile.id} does not allow PKCS#12", code="no-pkcs12")
        if KeyUsageBit.NON_REPUDIATION in profile.key_usage:
            if not self.allow_nonrepudiation_keys:
                raise Forbidden(
                    "server-made keys for nonRepudiation are not allowed here", code="nonrepudiation-keys-not-allowed"
                )
        elif KeyUsageBit.DIGITAL_SIGNATURE in profile.key_usage and not self.allow_verification_keys:
            raise Forbidden(
                "server-made keys for digitalSignature are not allowed here", code="verification-keys-not-allowed"
            )
        return profile

    def jobs(self) -> Sequence[Job]:
        """Deletes expired challenges."""
        return (
            Job(
                name="digital-ids-delete-expired-challenges",
                schedule=self.cleanup_schedule,
                run=self.challenges.delete_expired,
            ),
        )
