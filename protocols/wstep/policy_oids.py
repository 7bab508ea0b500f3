"""The object identifiers of an answer: each stands there once, and others refer to it ([MS-XCEP] 3.1.4.1.3.16)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocols.wstep.microsoft import APPLICATION_POLICIES, CERTIFICATE_TEMPLATE, CERTIFICATE_TEMPLATE_NAME
from protocols.wstep.policy_messages import OID, OIDGroup

KEY_USAGE: Final = "2.5.29.15"
EXTENDED_KEY_USAGE: Final = "2.5.29.37"
"""Extensions of policies."""

_EXTENSIONS: Final[Mapping[str, str]] = {
    KEY_USAGE: "Key Usage",
    EXTENDED_KEY_USAGE: "Enhanced Key Usage",
    CERTIFICATE_TEMPLATE: "Certificate Template Information",
    CERTIFICATE_TEMPLATE_NAME: "Certificate Template Name",
    APPLICATION_POLICIES: "Application Policies",
}
"""By the names that Windows has for them."""


class OIDTable:
    """Counts object identifiers, for one answer."""

    def __init__(self) -> None:
        self._oids: dict[tuple[str, OIDGroup], OID] = {}

    def refer(self, value: str, group: OIDGroup, default_name: str = "") -> int:
        """The number of an object identifier; the name of the first who refers to it stays."""
        key = value, group
        if key not in self._oids:
            name = default_name or _EXTENSIONS.get(value) or value
            self._oids[key] = OID(value=value, group=group, oid_reference_id=len(self._oids), default_name=name)
        return self._oids[key].oid_reference_id

    def oids(self) -> tuple[OID, ...]:
        """All of them, in the order of their numbers."""
        return tuple(self._oids.values())
