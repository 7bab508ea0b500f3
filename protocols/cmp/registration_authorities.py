"""Registration authorities: who may vouch for others (RFC 9483, 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from cryptography import x509

from cspd.authentication.certificates import TrustAnchors
from cspd.authority.values import CAReference, CertificateRecord
from protocols.cmp.config import RegistrationAuthorityConfig

CMC_RA = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")
"""id-kp-cmcRA (RFC 6402, 2.10), which their certificates have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationAuthority:
    """Which certificates are those of a registration authority; one of ``trust`` and ``profile`` is given."""

    trust: TrustAnchors | None
    profile: str | None
    """The CA's own certificates by this profile."""
    cas: frozenset[CAReference]
    """Empty for all."""

    @classmethod
    def configured(cls, section: RegistrationAuthorityConfig, trust: Mapping[str, TrustAnchors]) -> Self:
        """What a section says; it names a trust that there is."""
        return cls(
            trust=None if section.trust is None else trust[section.trust],
            profile=section.profile,
            cas=frozenset(CAReference.parse(ca) for ca in section.cas),
        )


class RegistrationAuthorities:
    """All of ``[[protocols.cmp.registration_authorities]]``."""

    def __init__(self, authorities: Sequence[RegistrationAuthority] = ()) -> None:
        self._authorities = tuple(authorities)

    def any_for(self, ca: CAReference) -> bool:
        """Whether there may be one for this CA."""
        return bool(self._of(ca))

    def own(self, ca: CAReference, certificate: x509.Certificate, record: CertificateRecord) -> bool:
        """Whether a certificate that this CA issued is that of a registration authority."""
        return has_cmc_ra(certificate) and record.profile in {each.profile for each in self._of(ca)}

    def anchors(self, ca: CAReference, certificate: x509.Certificate) -> Sequence[TrustAnchors]:
        """What a stranger's certificate may go back to, any of them, to be that of a registration authority."""
        if not has_cmc_ra(certificate):
            return ()
        return tuple(each.trust for each in self._of(ca) if each.trust is not None)

    def _of(self, ca: CAReference) -> Sequence[RegistrationAuthority]:
        return [each for each in self._authorities if not each.cas or ca in each.cas]


def has_cmc_ra(certificate: x509.Certificate) -> bool:
    """Whether extendedKeyUsage names id-kp-cmcRA; anyExtendedKeyUsage is not enough for that much trust."""
    try:
        return CMC_RA in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
