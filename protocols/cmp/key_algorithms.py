"""The key types of profiles as AlgorithmIdentifiers of public keys (RFC 3279, RFC 5480, RFC 8410, RFC 9881)."""

from __future__ import annotations

from collections.abc import Mapping

from cspd.authority.profile_values import KeyUsageBit, Profile
from cspd.keys.generation import RSA_BITS
from cspd.keys.values import KeyType
from cspd.x509 import tlv
from cspd.x509.signatures import Algorithm

RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
EC_PUBLIC_KEY = "1.2.840.10045.2.1"

_SIGNING = frozenset(
    {
        KeyUsageBit.DIGITAL_SIGNATURE,
        KeyUsageBit.NON_REPUDIATION,
        KeyUsageBit.KEY_CERT_SIGN,
        KeyUsageBit.CRL_SIGN,
    }
)
_CURVES: Mapping[KeyType, str] = {
    KeyType.EC_P256: "1.2.840.10045.3.1.7",
    KeyType.EC_P384: "1.3.132.0.34",
    KeyType.EC_P521: "1.3.132.0.35",
}
_OTHERS: Mapping[KeyType, str] = {
    KeyType.ED25519: "1.3.101.112",
    KeyType.ED448: "1.3.101.113",
    KeyType.ML_DSA_44: "2.16.840.1.101.3.4.3.17",
    KeyType.ML_DSA_65: "2.16.840.1.101.3.4.3.18",
    KeyType.ML_DSA_87: "2.16.840.1.101.3.4.3.19",
}


def algorithm_of(key_type: KeyType) -> Algorithm:
    """How a SubjectPublicKeyInfo names a key of that type; all lengths of RSA have one name."""
    if key_type in RSA_BITS:
        return Algorithm(RSA_ENCRYPTION, tlv.NULL)
    if key_type in _CURVES:
        return Algorithm(EC_PUBLIC_KEY, tlv.object_identifier(_CURVES[key_type]))
    return Algorithm(_OTHERS[key_type])


def ordered(profile: Profile) -> list[KeyType]:
    """The key types of a profile in the order of :class:`KeyType`."""
    return [each for each in KeyType if each in profile.key_types]


def signature_algorithms(profile: Profile) -> tuple[Algorithm, ...]:
    """The algorithms of keys that the profile certifies for signatures (RFC 9810, 5.3.19.2)."""
    if not profile.key_usage & _SIGNING:
        return ()
    return tuple(dict.fromkeys(algorithm_of(each) for each in ordered(profile)))


def encryption_algorithms(profile: Profile) -> tuple[Algorithm, ...]:
    """The algorithms of keys that the profile certifies for encryption or key agreement (RFC 9810, 5.3.19.3)."""
    fitting: set[str] = set()
    if profile.key_usage & {KeyUsageBit.KEY_ENCIPHERMENT, KeyUsageBit.DATA_ENCIPHERMENT}:
        fitting.add(RSA_ENCRYPTION)
    if KeyUsageBit.KEY_AGREEMENT in profile.key_usage:
        fitting.add(EC_PUBLIC_KEY)
    algorithms = dict.fromkeys(algorithm_of(each) for each in ordered(profile))
    return tuple(each for each in algorithms if each.oid in fitting)
