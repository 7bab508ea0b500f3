"""A CA as the issuer of certificates: what they say about it, worked out once."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes

from cspd.authority.assembly import CertificateTemplate, Issuer
from cspd.authority.policy.validity import Period
from cspd.authority.profile_values import Profile
from cspd.authority.rows import key_identifier
from cspd.authority.urls import StatusURLs
from cspd.authority.values import Authority
from cspd.keys.values import KeyReference
from cspd.refusals import Conflict
from cspd.x509.algorithms import signature_hash


def issuer_of(authority: Authority, urls: StatusURLs) -> Issuer:
    """What certificates say about a CA; raises :class:`Conflict` for one that has no certificate.

    The CRL's URL is always there (A-4): without a schedule the CRL is made when somebody asks for it.
    """
    if authority.certificate is None or authority.certificate_id is None:
        raise Conflict(f"CA {authority.reference} has no certificate yet")
    reference = authority.reference
    return Issuer(
        name=authority.certificate.subject,
        key_identifier=key_identifier(authority.certificate),
        crl_url=urls.crl(reference, authority.key_index),
        delta_crl_url=urls.delta_crl(reference, authority.key_index) if authority.delta_crl_hours else None,
        ocsp_url=urls.ocsp(reference) if authority.ocsp_enabled else None,
        ca_certificate_url=urls.ca_certificate(reference, authority.certificate_id),
    )


class SigningAuthority:
    """A CA that signs now: everything about it that the issuance of one certificate needs.

    Made from one state of the CA; a change of the CA makes a new :class:`Authority` and so a new one of these.
    Raises :class:`Conflict` for a CA that has no key or no certificate here.
    """

    def __init__(self, authority: Authority, urls: StatusURLs) -> None:
        if authority.key is None or authority.certificate is None or authority.certificate_der is None:
            raise Conflict(f"CA {authority.reference} does not sign here")
        self.authority = authority
        self.key: KeyReference = authority.key
        self.certificate = authority.certificate
        self.certificate_id = authority.certificate_id or ""
        self.chain_der = (authority.certificate_der, *authority.chain_der)
        self.period = Period(
            not_before=self.certificate.not_valid_before_utc, not_after=self.certificate.not_valid_after_utc
        )
        self.signature_hash: hashes.HashAlgorithm | None = signature_hash(self.certificate.public_key())
        self._issuer = issuer_of(authority, urls)
        self._templates: dict[str, tuple[Profile, CertificateTemplate]] = {}

    def template(self, profile: Profile) -> CertificateTemplate:
        """The template of a profile, made the first time it is asked for."""
        known = self._templates.get(profile.id)
        if known is None or known[0] is not profile:
            known = self._templates[profile.id] = (profile, CertificateTemplate(profile, self._issuer))
        return known[1]
