"""From a profile and the checked facts of a request to a certificate builder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from cspd.authority.profile_values import ExtendedKeyUsageMode, KeyUsageBit, Presence, Profile
from cspd.keys.values import PublicKey
from cspd.x509.identifiers import subject_key_identifier

_EMPTY_NAME = x509.Name([])


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What a certificate says about the CA that signs it; a URL that is None is left out."""

    name: x509.Name
    key_identifier: bytes
    """The subjectKeyIdentifier of the issuer's certificate."""
    crl_url: str | None = None
    delta_crl_url: str | None = None
    ocsp_url: str | None = None
    """None: the CA runs without OCSP, and no authorityInfoAccess is written for it."""
    ca_certificate_url: str | None = None


class CertificateTemplate:
    """The certificates of one profile under one issuer: what does not vary is built once.

    ``issuer`` None makes self-signed certificates. Instances do not change and may be used from any thread.
    """

    def __init__(self, profile: Profile, issuer: Issuer | None) -> None:
        self._subject_alt_name_critical = profile.subject_alt_name.critical
        self._self_signed = issuer is None
        builder = x509.CertificateBuilder()
        if issuer is not None:
            builder = builder.issuer_name(issuer.name)
        for value, critical in _constant_extensions(profile, issuer):
            # Encoded here once: a builder takes bytes faster than it encodes values.
            builder = builder.add_extension(x509.UnrecognizedExtension(value.oid, value.public_bytes()), critical)
        self._builder = builder

    def assemble(
        self,
        *,
        subject: x509.Name,
        public_key: PublicKey,
        serial: int,
        not_before: datetime,
        not_after: datetime,
        subject_alt_names: Sequence[x509.GeneralName] = (),
        extensions: Sequence[x509.Extension[x509.ExtensionType]] = (),
    ) -> x509.CertificateBuilder:
        """See :func:`assemble`."""
        builder = self._builder.issuer_name(subject) if self._self_signed else self._builder
        builder = (
            builder.subject_name(subject)
            .public_key(public_key)
            .serial_number(serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectKeyIdentifier(subject_key_identifier(public_key)), critical=False)
        )
        if subject_alt_names:
            critical = self._subject_alt_name_critical or subject == _EMPTY_NAME
            builder = builder.add_extension(x509.SubjectAlternativeName(subject_alt_names), critical)
        for extension in extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return builder


def assemble(
    profile: Profile,
    *,
    issuer: Issuer | None,
    subject: x509.Name,
    public_key: PublicKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
    subject_alt_names: Sequence[x509.GeneralName] = (),
    extensions: Sequence[x509.Extension[x509.ExtensionType]] = (),
) -> x509.CertificateBuilder:
    """Put a certificate together, ready to be signed; ``issuer`` None makes a self-signed one.

    Decides nothing that a request may influence: names, validity and ``extensions`` (a requested extendedKeyUsage, with
    its criticality, among them) come checked. subjectAltName is critical when the profile says so or the subject is
    empty (RFC 5280, 4.1.2.6). Raises ValueError for an extension that the profile writes itself.
    """
    return CertificateTemplate(profile, issuer).assemble(
        subject=subject,
        public_key=public_key,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
        subject_alt_names=subject_alt_names,
        extensions=extensions,
    )


def _constant_extensions(profile: Profile, issuer: Issuer | None) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions that profile and issuer alone decide, with their criticality."""
    constraints = profile.basic_constraints
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=constraints.ca, path_length=constraints.path_length), True),
        (_key_usage(profile.key_usage), True),
    ]
    usages = profile.extended_key_usage
    if usages.mode is ExtendedKeyUsageMode.FIXED:
        found.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in usages.values]), usages.critical))
    if profile.certificate_policies.fixed:
        policies = [
            x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in profile.certificate_policies.fixed
        ]
        found.append((x509.CertificatePolicies(policies), profile.certificate_policies.critical))
    if profile.extensions.ocsp_no_check is Presence.ALWAYS:
        found.append((x509.OCSPNoCheck(), False))
    if issuer is not None:
        found += [(value, False) for value in _issuer_extensions(profile, issuer)]
    return found


def _issuer_extensions(profile: Profile, issuer: Issuer) -> list[x509.ExtensionType]:
    found: list[x509.ExtensionType] = []
    if profile.extensions.authority_key_identifier is Presence.ALWAYS:
        found.append(x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None))
    if profile.extensions.crl_distribution_points is Presence.ALWAYS:
        if issuer.crl_url is not None:
            found.append(x509.CRLDistributionPoints([_distribution_point(issuer.crl_url)]))
        if issuer.delta_crl_url is not None:
            found.append(x509.FreshestCRL([_distribution_point(issuer.delta_crl_url)]))
    if profile.extensions.authority_info_access is not Presence.NEVER:
        # The URL of the issuer's certificate is ours beyond the guide: clients that got no chain find it there.
        locations = (
            (AuthorityInformationAccessOID.OCSP, issuer.ocsp_url),
            (AuthorityInformationAccessOID.CA_ISSUERS, issuer.ca_certificate_url),
        )
        descriptions = [
            x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in locations if url
        ]
        if descriptions:
            found.append(x509.AuthorityInformationAccess(descriptions))
    return found


def _distribution_point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


def _key_usage(bits: frozenset[KeyUsageBit]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=KeyUsageBit.DIGITAL_SIGNATURE in bits,
        content_commitment=KeyUsageBit.NON_REPUDIATION in bits,
        key_encipherment=KeyUsageBit.KEY_ENCIPHERMENT in bits,
        data_encipherment=KeyUsageBit.DATA_ENCIPHERMENT in bits,
        key_agreement=KeyUsageBit.KEY_AGREEMENT in bits,
        key_cert_sign=KeyUsageBit.KEY_CERT_SIGN in bits,
        crl_sign=KeyUsageBit.CRL_SIGN in bits,
        encipher_only=False,
        decipher_only=False,
    )
