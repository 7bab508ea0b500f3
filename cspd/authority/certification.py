"""Signing the certificates of CAs themselves: roots by ``basic-ca-root``, issuing CAs by ``basic-ca-subord``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.assembly import Issuer, assemble
from cspd.authority.issuers import issuer_of
from cspd.authority.profile_values import ExtensionPresence, Profile
from cspd.authority.rules import checked_expiry
from cspd.authority.serials import new_serial
from cspd.authority.urls import StatusURLs
from cspd.authority.values import Authority
from cspd.clock import Clock
from cspd.keys.interfaces import Keys
from cspd.keys.values import KeyReference, PublicKey
from cspd.refusals import Conflict
from cspd.x509.algorithms import signature_hash

ROOT_PROFILE = "basic-ca-root"
SUBORDINATE_PROFILE = "basic-ca-subord"


@dataclass(frozen=True, slots=True)
class PreparedCertificate:
    """A CA certificate that only lacks its signature; all checks are done."""

    builder: x509.CertificateBuilder
    signing_key: KeyReference
    serial: int
    public_key: PublicKey
    subject: x509.Name
    not_before: datetime
    not_after: datetime


class CACertifier:
    """Prepares and signs CA certificates and certificate requests; stores nothing."""

    def __init__(
        self, *, clock: Clock, random: Random, keys: Keys, profiles: Mapping[str, Profile], urls: StatusURLs
    ) -> None:
        self._clock = clock
        self._random = random
        self._keys = keys
        self._profiles = profiles
        self._urls = urls

    def new_id(self) -> str:
        """32 random hexadecimal digits."""
        return self._random.randbytes(16).hex()

    async def prepare_root(
        self, *, key: KeyReference, subject: x509.Name, not_after: datetime | None
    ) -> PreparedCertificate:
        """A self-signed certificate; raises BadValidity."""
        profile = self._profiles[ROOT_PROFILE]
        not_before = self._now()
        not_after = checked_expiry(profile, not_before=not_before, wanted=not_after, issuer_not_after=None)
        return self._prepare(
            profile,
            issuer=None,
            signing_key=key,
            public_key=await self._keys.public_key(key),
            subject=subject,
            not_before=not_before,
            not_after=not_after,
        )

    async def prepare_subordinate(
        self, root: Authority, *, key: KeyReference, subject: x509.Name, not_after: datetime | None
    ) -> PreparedCertificate:
        """A certificate under a root here; raises BadValidity, and Conflict for a root that has expired."""
        if root.certificate is None or root.key is None:
            raise Conflict(f"{root.reference} has no certificate or no key here")
        profile = self._profiles[SUBORDINATE_PROFILE]
        not_before = self._now()
        root_not_after = root.certificate.not_valid_after_utc
        if root_not_after <= not_before:
            raise Conflict(f"the certificate of {root.reference} has expired")
        not_after = checked_expiry(profile, not_before=not_before, wanted=not_after, issuer_not_after=root_not_after)
        return self._prepare(
            profile,
            issuer=issuer_of(root, self._urls),
            signing_key=root.key,
            public_key=await self._keys.public_key(key),
            subject=subject,
            not_before=not_before,
            not_after=not_after,
        )

    def prepare_link(
        self, signer: Authority, holder: Authority, *, not_before: datetime, not_after: datetime
    ) -> PreparedCertificate:
        """A certificate by one key of a root for another (RFC 9810, 4.4); both have a certificate.

        A root's in all but that it says where its status is, for it has an issuer to revoke it.
        """
        assert signer.key is not None
        assert holder.certificate is not None
        public_key = holder.certificate.public_key()
        assert isinstance(public_key, PublicKey)  # a key of ours
        return self._prepare(
            replace(self._profiles[ROOT_PROFILE], extensions=ExtensionPresence()),
            issuer=issuer_of(signer, self._urls),
            signing_key=signer.key,
            public_key=public_key,
            subject=holder.certificate.subject,
            not_before=not_before,
            not_after=not_after,
        )

    def check_expiry(self, profile_id: str, wanted: datetime | None, root: Authority | None = None) -> None:
        """Raise BadValidity for an end that would be refused, before a key is made for nothing."""
        issuer_not_after = root.certificate.not_valid_after_utc if root and root.certificate else None
        checked_expiry(
            self._profiles[profile_id], not_before=self._now(), wanted=wanted, issuer_not_after=issuer_not_after
        )

    async def sign(self, prepared: PreparedCertificate) -> x509.Certificate:
        """The certificate; raises Unavailable if the key cannot be used now."""
        return await self._keys.sign(
            prepared.signing_key, lambda key: prepared.builder.sign(key, signature_hash(key.public_key()))
        )

    async def request(self, *, key: KeyReference, subject: x509.Name) -> bytes:
        """A certificate request (PKCS#10, DER) for a CA elsewhere, asking for what a CA needs (R-CA-023)."""
        builder = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        signed = await self._keys.sign(key, lambda private: builder.sign(private, signature_hash(private.public_key())))
        return signed.public_bytes(Encoding.DER)

    def _prepare(
        self,
        profile: Profile,
        *,
        issuer: Issuer | None,
        signing_key: KeyReference,
        public_key: PublicKey,
        subject: x509.Name,
        not_before: datetime,
        not_after: datetime,
    ) -> PreparedCertificate:
        serial = new_serial(self._random.randbytes)
        builder = assemble(
            profile,
            issuer=issuer,
            subject=subject,
            public_key=public_key,
            serial=serial,
            not_before=not_before,
            not_after=not_after,
        )
        return PreparedCertificate(builder, signing_key, serial, public_key, subject, not_before, not_after)

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)
