"""Whether a certificate may be that of a registration authority (RFC 8894, 2.1.2 and 3.2; R-CEG-056, R-CEG-060)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from cspd.authority.profile_values import KeyUsageBit, Profile
from cspd.config.problems import Problem
from cspd.keys.generation import RSA_BITS
from cspd.keys.values import KeyType
from cspd.x509.certificate_paths import UNREADABLE
from protocols.scep.registration_authority_config import RegistrationAuthorityConfig, Role

_USAGES: Mapping[Role, tuple[KeyUsageBit, ...]] = {
    Role.BOTH: (KeyUsageBit.DIGITAL_SIGNATURE, KeyUsageBit.KEY_ENCIPHERMENT),
    Role.SIGNING: (KeyUsageBit.DIGITAL_SIGNATURE,),
    Role.ENCRYPTION: (KeyUsageBit.KEY_ENCIPHERMENT,),
}
_ATTRIBUTES: Mapping[KeyUsageBit, str] = {
    KeyUsageBit.DIGITAL_SIGNATURE: "digital_signature",
    KeyUsageBit.KEY_ENCIPHERMENT: "key_encipherment",
}


_KEYS: Mapping[Role, str] = {
    Role.BOTH: "profile",
    Role.SIGNING: "signing_profile",
    Role.ENCRYPTION: "encryption_profile",
}


def profile_problems(
    entries: Sequence[RegistrationAuthorityConfig], profiles: Mapping[str, Profile]
) -> Iterator[Problem]:
    """The profiles that are not there or cannot make a registration authority; the keys start at the section."""
    for index, entry in enumerate(entries):
        for role, name in entry.profiles.items():
            profile = profiles.get(name)
            fault = "is not there" if profile is None else _profile_fault(profile, role, entry.key_type)
            if fault:
                yield Problem(
                    what=f"the registration authority of {entry.ca} cannot be made: profile {name} {fault}",
                    remedy="Name one that fits",
                    key=("registration_authorities", index, _KEYS[role]),
                )


def _profile_fault(profile: Profile, role: Role, key_type: KeyType) -> str:
    """What makes all certificates by a profile unfit; empty: nothing."""
    lacking = [each.value for each in _USAGES[role] if each not in profile.key_usage]
    if lacking:
        return f"has no {' and '.join(lacking)} in its key_usage"
    if profile.basic_constraints.ca:
        return "is for CAs"
    if key_type not in profile.key_types:
        return f"takes no keys of type {key_type.value}"
    return ""


def find_faults(certificate: x509.Certificate, role: Role, now: datetime) -> Sequence[str]:
    """All that keeps a certificate from its role; empty: it may be used."""
    faults = []
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        faults.append("it is not valid now")
    public_key = certificate.public_key()
    if not isinstance(public_key, rsa.RSAPublicKey) or public_key.key_size not in RSA_BITS.values():
        faults.append("its key is not RSA of 2048, 3072 or 4096 bits")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return [*faults, "it has no keyUsage"]
    except UNREADABLE as error:
        return [*faults, f"its extensions cannot be read: {error}"]
    faults += [f"its keyUsage lacks {each.value}" for each in _USAGES[role] if not getattr(usage, _ATTRIBUTES[each])]
    return faults


__all__ = ["find_faults", "profile_problems"]
