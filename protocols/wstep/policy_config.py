"""``[protocols.wstep.policy]``: enrollment policies are told (MS-XCEP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from pydantic import Field

from cspd.config.values import Section
from protocols.wstep.policy_service import PolicyTerms


class PolicyConfig(Section):
    """Enrollment policies: by user name, and by Kerberos where enrollment is; other ways by switches."""

    friendly_name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")] = "cspd"
    """What clients show to people."""
    next_update_hours: Annotated[int, Field(ge=1, le=8760)] = 8
    """How long clients keep what they were told."""
    ids: Mapping[str, UUID] = Field(default_factory=dict)
    """The id of a tenant's policies; that of others is made from the server's public URL, the tenant and the domain."""
    certificate: bool = False
    """At ``/wstep/certificate/policy/TENANT`` to who has a TLS client certificate of a CA that is served here."""
    anonymous: bool = False
    """At ``/wstep/anonymous/policy/TENANT`` to anybody: the templates that conf maps, not those of a directory."""

    def terms(self) -> PolicyTerms:
        """What the service has to know."""
        return PolicyTerms(
            friendly_name=self.friendly_name, next_update_hours=self.next_update_hours, ids=dict(self.ids)
        )
