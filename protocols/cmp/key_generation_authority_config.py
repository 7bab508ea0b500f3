"""``[[protocols.cmp.key_generation_authorities]]``: who signs the keys that are made for the clients of a CA.

::

    [[protocols.cmp.key_generation_authorities]]
    ca = "demo~issuing"
    key_type = "rsa-3072"
    keys = "hsm"
"""

from __future__ import annotations

from cspd.authority.ca_name import CAName
from cspd.authority.profile_values import ExtendedKeyUsageMode, KeyUsageBit, Profile
from cspd.config.values import PositiveDuration, Section
from cspd.keys.config import ProviderName
from cspd.keys.values import KeyType

CM_KGA = "1.3.6.1.5.5.7.3.32"
"""id-kp-cmKGA (RFC 9480, 2.2)."""
DEFAULT_PROFILE = "cmp-key-generation"


class KeyGenerationAuthorityConfig(Section):
    """One CA, and what its key generation authority is made by."""

    ca: CAName
    """``organization~ca``."""
    profile: str = DEFAULT_PROFILE
    """A certificate profile of the CA, with digitalSignature in keyUsage and cmKGA in extendedKeyUsage."""
    key_type: KeyType = KeyType.EC_P256
    keys: ProviderName | None = None
    """Where the key is made: ``software`` or a ``[keys.pkcs11.NAME]``; the default of ``[keys]`` if not given."""
    renew_before: PositiveDuration | None = None
    """How long before its end a certificate is renewed, in the second half of its life; a third of it if not set."""

    def fault_of(self, profile: Profile | None) -> str:
        """What makes the profile unfit; empty: nothing."""
        if profile is None:
            return "is not there"
        usage = profile.extended_key_usage
        if usage.mode is not ExtendedKeyUsageMode.FIXED or CM_KGA not in usage.values:
            return "has no cmKGA in its extended_key_usage"
        if KeyUsageBit.DIGITAL_SIGNATURE not in profile.key_usage:
            return "has no digitalSignature in its key_usage"
        if self.key_type not in profile.key_types:
            return f"takes no keys of type {self.key_type.value}"
        return ""


__all__ = ["CM_KGA", "DEFAULT_PROFILE", "KeyGenerationAuthorityConfig"]
