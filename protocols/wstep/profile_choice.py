"""Which certificate profile a request is issued under: the template's, or that of its key usage (R-CEG-136, 137)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.values import CertificateTemplate
from cspd.refusals import BadExtension
from cspd.x509.csr import CertificationRequest

NO_PROFILE = "no-profile"

_SIGNATURE = KeyUsageBit.DIGITAL_SIGNATURE
_ENCIPHERMENT = KeyUsageBit.KEY_ENCIPHERMENT
_NON_REPUDIATION = KeyUsageBit.NON_REPUDIATION
_MEMBERS: Mapping[str, KeyUsageBit] = {
    "digital_signature": _SIGNATURE,
    "content_commitment": _NON_REPUDIATION,
    "key_encipherment": _ENCIPHERMENT,
    "data_encipherment": KeyUsageBit.DATA_ENCIPHERMENT,
    "key_agreement": KeyUsageBit.KEY_AGREEMENT,
    "key_cert_sign": KeyUsageBit.KEY_CERT_SIGN,
    "crl_sign": KeyUsageBit.CRL_SIGN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilesByKeyUsage:
    """The four profiles of requests whose template is not mapped (P-WST-32 to 35), by their ids."""

    digital_signature: str
    key_encipherment: str
    digital_signature_and_key_encipherment: str
    digital_signature_and_non_repudiation: str

    def profile(self, key_usage: frozenset[KeyUsageBit]) -> str | None:
        """The profile for exactly these bits; None for any other combination (R-CEGI-031)."""
        return {
            frozenset({_SIGNATURE}): self.digital_signature,
            frozenset({_ENCIPHERMENT}): self.key_encipherment,
            frozenset({_SIGNATURE, _ENCIPHERMENT}): self.digital_signature_and_key_encipherment,
            frozenset({_SIGNATURE, _NON_REPUDIATION}): self.digital_signature_and_non_repudiation,
        }.get(key_usage)


@dataclass(frozen=True, slots=True)
class ChosenProfile:
    """A profile, and whether conf maps the template to it."""

    id: str
    is_mapped: bool


def choose_profile(
    template: CertificateTemplate,
    key_usage: frozenset[KeyUsageBit],
    *,
    mapped: Mapping[str, str],
    by_key_usage: ProfilesByKeyUsage,
) -> ChosenProfile:
    """The profile of a request.

    ``mapped`` is the map of conf, from names of templates (in any case, as the directory compares them) to ids of
    profiles. Raises BadExtension with the code :data:`NO_PROFILE` when nothing fits.
    """
    wanted = template.name.lower()
    for name, profile in mapped.items():
        if name.lower() == wanted:
            return ChosenProfile(profile, is_mapped=True)
    found = by_key_usage.profile(key_usage)
    if found is None:
        bits = " + ".join(bit.value for bit in KeyUsageBit if bit in key_usage) or "none"
        raise BadExtension(f"no profile has the key usage {bits}", code=NO_PROFILE)
    return ChosenProfile(found, is_mapped=False)


def requested_key_usage(csr: CertificationRequest, template: CertificateTemplate) -> frozenset[KeyUsageBit]:
    """The key usage that a request asks for; the template's if it asks for none.

    Raises BadExtension with the code :data:`NO_PROFILE` for bits that the template does not have.
    """
    for extension in csr.extensions:
        if isinstance(extension.value, x509.KeyUsage):
            asked = _bits(extension.value)
            if template.key_usage and not asked <= template.key_usage:
                extra = ", ".join(sorted(bit.value for bit in asked - template.key_usage))
                raise BadExtension(f"the template {template.name} has not the key usage {extra}", code=NO_PROFILE)
            return asked
    return template.key_usage


def _bits(key_usage: x509.KeyUsage) -> frozenset[KeyUsageBit]:
    return frozenset(bit for member, bit in _MEMBERS.items() if getattr(key_usage, member))
