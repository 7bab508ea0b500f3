from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cspd.directory.security_descriptors import AUTO_ENROLL, AccessControlEntry, SecurityDescriptor
from cspd.directory.values import CertificateTemplate, EnrollmentFlag, GeneralFlag, PrivateKeyFlag
from cspd.refusals import BadPublicKey, Forbidden, Rejected
from protocols.wstep import template_rules
from protocols.wstep.template_rules import check_access, check_key, check_template
from tests.protocols.wstep.accounts import ALICE, MACHINE, SERVICE, STAFF, granted, template


@pytest.mark.parametrize(
    ("asking", "what"),
    [
        (template(enrollment_flags=EnrollmentFlag.PEND_ALL_REQUESTS), "approval"),
        (template(ra_signatures=1), "on behalf"),
        (template(private_key_flags=PrivateKeyFlag.REQUIRE_PRIVATE_KEY_ARCHIVAL), "archival"),
        (template(private_key_flags=PrivateKeyFlag.ATTEST_REQUIRED), "attestation"),
        (template(private_key_flags=PrivateKeyFlag.REQUIRE_ALTERNATE_SIGNATURE_ALGORITHM), "signature format"),
        (template(general_flags=GeneralFlag.IS_CA), "certification authority"),
    ],
)
def test_what_is_not_supported_is_refused(asking: CertificateTemplate, what: str) -> None:
    with pytest.raises(Rejected, match=what) as refused:
        check_template(asking)
    assert refused.value.refusal_code == template_rules.TEMPLATE_UNSUPPORTED


def test_what_harms_nobody_is_not() -> None:
    check_template(
        template(
            private_key_flags=PrivateKeyFlag.EXPORTABLE_KEY
            | PrivateKeyFlag.ATTEST_PREFERRED
            | PrivateKeyFlag(0x1010000),
            enrollment_flags=EnrollmentFlag.AUTO_ENROLLMENT | EnrollmentFlag.PUBLISH_TO_DS,
            general_flags=GeneralFlag.MACHINE_TYPE | GeneralFlag(0x20200),
        )
    )


@pytest.mark.requirement("R-CEGI-045")
def test_who_may_enroll() -> None:
    """The template and the enrollment service each have to allow it."""
    check_access(ALICE, template(), [SERVICE])
    other = replace(SERVICE, certificate_templates=frozenset({"Other"}))
    closed = replace(SERVICE, security=granted("S-1-5-21-1-2-3-9999"))
    for account, services, code in (
        (MACHINE, [SERVICE], template_rules.TEMPLATE_DENIED),
        (ALICE, [], template_rules.TEMPLATE_DENIED),
        (ALICE, [other], template_rules.TEMPLATE_DENIED),
        (ALICE, [closed], template_rules.SERVICE_DENIED),
        (ALICE, [closed, other], template_rules.SERVICE_DENIED),
    ):
        with pytest.raises(Forbidden) as refused:
            check_access(account, template(), services)
        assert refused.value.refusal_code == code
    check_access(ALICE, template(), [closed, SERVICE])


def test_automatic_enrollment_is_another_right() -> None:
    automatic = SecurityDescriptor((AccessControlEntry(sid=STAFF, grants=True, mask=0x100, object_type=AUTO_ENROLL),))
    check_access(ALICE, template(security=automatic), [SERVICE], automatic=True)
    with pytest.raises(Forbidden):
        check_access(ALICE, template(security=automatic), [SERVICE])
    with pytest.raises(Forbidden):
        check_access(ALICE, template(), [SERVICE], automatic=True)


def test_rsa_keys_have_the_templates_bits() -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    check_key(key, template())
    check_key(ec.generate_private_key(ec.SECP256R1()).public_key(), template())
    with pytest.raises(BadPublicKey) as refused:
        check_key(key, template(minimal_key_size=3072))
    assert refused.value.refusal_code == template_rules.KEY_TOO_SHORT
