"""``[[protocols.scep.registration_authorities]]``: who opens envelopes and signs answers for a CA.

::

    [[protocols.scep.registration_authorities]]
    ca = "demo~issuing"

    [[protocols.scep.registration_authorities]]
    ca = "demo~devices"
    signing_profile = "scep-digital-signature"
    encryption_profile = "scep-key-encipherment"
    subject = "CN=Devices SCEP,O=Example"
    key_type = "rsa-3072"
    keys = "hsm"
    renew_before = "60d"
    grace = "14d"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, model_validator

from cspd.authority.ca_name import CAName
from cspd.config.values import PositiveDuration, Section
from cspd.keys.config import ProviderName
from cspd.keys.generation import RSA_BITS
from cspd.keys.values import KeyType
from cspd.x509.names import parse_name

DEFAULT_PROFILE = "scep-digital-signature-key-encipherment"


class Role(Enum):
    """What a certificate of a registration authority is for (RFC 8894, 2.1.2)."""

    BOTH = "signing and encryption"
    SIGNING = "signing"
    ENCRYPTION = "encryption"

    @property
    def opens_envelopes(self) -> bool:
        """Whether clients envelope for it."""
        return self is not Role.SIGNING


def _rsa(key_type: KeyType) -> KeyType:
    if key_type not in RSA_BITS:
        raise ValueError(f"one of {', '.join(each.value for each in RSA_BITS)}: envelopes need a key that decrypts")
    return key_type


def _distinguished_name(text: str) -> str:
    if not parse_name(text).rdns:  # raises NameSyntaxError, a ValueError that says what is wrong
        raise ValueError("a distinguished name that is not empty")
    return text


class RegistrationAuthorityConfig(Section):
    """One CA that is served, and what its registration authority is made by."""

    ca: CAName
    """``organization~ca``."""
    profile: str = DEFAULT_PROFILE
    """A certificate profile of the CA whose keyUsage has digitalSignature and keyEncipherment."""
    signing_profile: str | None = None
    """Instead of ``profile``: one whose keyUsage has digitalSignature."""
    encryption_profile: str | None = None
    """With it: one whose keyUsage has keyEncipherment, for a second key and certificate."""
    subject: Annotated[str, AfterValidator(_distinguished_name)] | None = None
    """A distinguished name; the CA's, with ``SCEP RA`` behind its common name, if not given."""
    key_type: Annotated[KeyType, AfterValidator(_rsa)] = KeyType.RSA_2048
    """RSA, because SCEP envelopes need key transport (R-CEG-060)."""
    keys: ProviderName | None = None
    """Where the key is made: ``software`` or a ``[keys.pkcs11.NAME]``; the default of ``[keys]`` if not given."""
    renew_before: PositiveDuration | None = None
    """How long before its end a certificate is renewed, in the second half of its life; a third of it if not set."""
    grace: PositiveDuration = timedelta(days=30)
    """How long the previous key still decrypts; then it is destroyed (R-CEG-059)."""

    @model_validator(mode="after")
    def _one_certificate_or_two(self) -> RegistrationAuthorityConfig:
        if (self.signing_profile is None) != (self.encryption_profile is None):
            raise ValueError("signing_profile and encryption_profile are given together, or neither")
        if self.signing_profile is not None and "profile" in self.model_fields_set:
            raise ValueError("profile, or signing_profile and encryption_profile")
        return self

    @property
    def profiles(self) -> Mapping[Role, str]:
        """The profile of each certificate; that for signing first."""
        if self.signing_profile is None or self.encryption_profile is None:
            return {Role.BOTH: self.profile}
        return {Role.SIGNING: self.signing_profile, Role.ENCRYPTION: self.encryption_profile}


def check_mapped(entries: Sequence[RegistrationAuthorityConfig], served: Iterable[str]) -> None:
    """Raise ValueError for a CA that stands there twice, and for those of ``served`` without entry (R-CEGI-007)."""
    cas = [entry.ca for entry in entries]
    twice = sorted({ca for ca in cas if cas.count(ca) > 1})
    if twice:
        raise ValueError(f"registration_authorities: {', '.join(twice)} stands there twice")
    missing = sorted(set(served) - set(cas))
    if missing:
        raise ValueError(f"registration_authorities: there is none for {', '.join(missing)}")


__all__ = ["DEFAULT_PROFILE", "RegistrationAuthorityConfig", "Role", "check_mapped"]
