"""Whether a template can be served, and who may enroll by it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from cspd.directory.security_descriptors import AUTO_ENROLL, ENROLL
from cspd.directory.values import (
    Account,
    CertificateTemplate,
    EnrollmentFlag,
    EnrollmentService,
    GeneralFlag,
    PrivateKeyFlag,
)
from cspd.refusals import BadPublicKey, Forbidden, Rejected

TEMPLATE_UNSUPPORTED = "template-unsupported"
TEMPLATE_DENIED = "template-denied"
SERVICE_DENIED = "service-denied"
KEY_TOO_SHORT = "key-too-short"
KEY_CHANGED = "renewal-with-another-key"


def check_template(template: CertificateTemplate) -> None:
    """Refuse what a template asks for and this server does not do (spec of the guide, L20833-20938; R-CEG-142, 143).

    Raises Rejected with the code :data:`TEMPLATE_UNSUPPORTED`.
    """
    for is_asked, what in (
        (EnrollmentFlag.PEND_ALL_REQUESTS in template.enrollment_flags, "approval by a certificate manager"),
        (template.ra_signatures > 0, "signatures of others: enrollment on behalf of somebody"),
        (PrivateKeyFlag.REQUIRE_PRIVATE_KEY_ARCHIVAL in template.private_key_flags, "archival of the private key"),
        (PrivateKeyFlag.ATTEST_REQUIRED in template.private_key_flags, "attestation of the key"),
        (
            PrivateKeyFlag.REQUIRE_ALTERNATE_SIGNATURE_ALGORITHM in template.private_key_flags,
            "the alternate signature format",
        ),
        (GeneralFlag.IS_CA in template.general_flags, "a certification authority"),
    ):
        if is_asked:
            raise Rejected(
                f"the certificate template {template.name} asks for {what}, which is not supported",
                code=TEMPLATE_UNSUPPORTED,
            )


def check_access(
    account: Account, template: CertificateTemplate, services: Sequence[EnrollmentService], *, automatic: bool = False
) -> None:
    """Whether an account may enroll by a template at a service (R-CEGI-045).

    ``services`` are the enrollment services of the directory that stand for this CA: one of them has to list the
    template and let the account enroll there. ``automatic`` asks for the right to enroll automatically, which clients
    do not tell when they enroll: it is for whoever tells them what they may (XCEP).
    Raises Forbidden with the code :data:`TEMPLATE_DENIED` or :data:`SERVICE_DENIED`.
    """
    right: UUID = AUTO_ENROLL if automatic else ENROLL
    if not template.security.allows(right, account.group_sids):
        raise Forbidden(f"{account} may not enroll by the certificate template {template.name}", code=TEMPLATE_DENIED)
    listing = [service for service in services if template.name in service.certificate_templates]
    if not listing:
        raise Forbidden(f"the certificate template {template.name} is not issued here", code=TEMPLATE_DENIED)
    if not any(service.security.allows(ENROLL, account.group_sids) for service in listing):
        raise Forbidden(f"{account} may not enroll here", code=SERVICE_DENIED)


def check_key(public_key: PublicKeyTypes, template: CertificateTemplate) -> None:
    """An RSA key must have the bits that the template wants; other keys are the profile's to judge.

    (The template's minimum is in bits of its own algorithm: 2048 must not refuse P-256.)
    Raises BadPublicKey with the code :data:`KEY_TOO_SHORT`.
    """
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size < template.minimal_key_size:
        raise BadPublicKey(
            f"the certificate template {template.name} wants a key of {template.minimal_key_size} bits",
            code=KEY_TOO_SHORT,
        )


def check_renewed_key(public_key_der: bytes, template: CertificateTemplate, *, previous_der: bytes) -> None:
    """A renewal has the old key where the template wants that (CT_FLAG_REQUIRE_SAME_KEY_RENEWAL, [MS-CRTD] 2.27).

    Both keys are SubjectPublicKeyInfo. Raises BadPublicKey with the code :data:`KEY_CHANGED`.
    """
    if PrivateKeyFlag.REQUIRE_SAME_KEY_RENEWAL in template.private_key_flags and public_key_der != previous_der:
        raise BadPublicKey(
            f"the certificate template {template.name} wants renewals to keep their key", code=KEY_CHANGED
        )
