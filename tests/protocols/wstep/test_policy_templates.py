from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.values import EnrollmentFlag, GeneralFlag, NameFlag, PrivateKeyFlag
from protocols.wstep.microsoft import (
    APPLICATION_POLICIES,
    CERTIFICATE_TEMPLATE,
    CERTIFICATE_TEMPLATE_NAME,
    decode_certificate_template,
    decode_template_name,
)
from protocols.wstep.policy_messages import CertificateEnrollmentPolicy, EnrollmentPermission, OIDGroup
from protocols.wstep.policy_oids import OIDTable
from protocols.wstep.policy_templates import Offer, encode_key_usage, policy_oid, to_policy
from tests.protocols.wstep.accounts import template

PERMISSION = EnrollmentPermission(enroll=True, auto_enroll=False)


def policy(**more: Any) -> tuple[CertificateEnrollmentPolicy, dict[int, tuple[str, OIDGroup, str]]]:
    oids = OIDTable()
    found = to_policy(Offer(template=template(**more), permission=PERMISSION, cas=(0,)), oids)
    return found, {each.oid_reference_id: (each.value, each.group, each.default_name) for each in oids.oids()}


def test_what_a_template_says_is_told() -> None:
    found, oids = policy(
        name="Web",
        display_name="Web servers",
        schema_version=3,
        major_revision=101,
        minor_revision=4,
        general_flags=GeneralFlag.MACHINE_TYPE,
        name_flags=NameFlag.SUBJECT_REQUIRE_DNS_AS_CN,
        enrollment_flags=EnrollmentFlag.AUTO_ENROLLMENT,
        private_key_flags=PrivateKeyFlag.EXPORTABLE_KEY,
        private_key_bits=0x5040010,
        minimal_key_size=384,
        key_algorithm="ECDSA_P384",
        hash_algorithm="SHA384",
        key_spec=1,
        crypto_providers=("Microsoft Software Key Storage Provider",),
        superseded_templates=("OldWeb",),
        validity=timedelta(days=365),
        renewal_overlap=timedelta(days=42),
    )
    attributes = found.attributes
    assert oids[found.policy_oid_reference] == (
        "1.3.6.1.4.1.311.21.8.1.2.3",
        OIDGroup.ENROLLMENT_OBJECT,
        "Web servers",
    )
    assert (attributes.common_name, attributes.policy_schema, attributes.permission) == ("Web", 3, PERMISSION)
    assert attributes.certificate_validity.validity_period_seconds == 31_536_000
    assert attributes.certificate_validity.renewal_period_seconds == 3_628_800
    assert (attributes.revision.major_revision, attributes.revision.minor_revision) == (101, 4)
    assert attributes.private_key_flags == 0x5040010
    assert (attributes.subject_name_flags, attributes.enrollment_flags) == (0x1000_0000, 0x20)
    assert attributes.general_flags == 0x40
    assert attributes.superseded_policies == ("OldWeb",)
    key = attributes.private_key_attributes
    assert (key.minimal_key_length, key.key_spec) == (384, 1)
    assert key.crypto_providers == ("Microsoft Software Key Storage Provider",)
    assert key.algorithm_oid_reference is not None
    assert oids[key.algorithm_oid_reference] == ("1.3.132.0.34", OIDGroup.PUBLIC_KEY, "ECDSA_P384")
    assert attributes.hash_algorithm_oid_reference is not None
    assert oids[attributes.hash_algorithm_oid_reference][:2] == ("2.16.840.1.101.3.4.2.2", OIDGroup.HASH_ALGORITHM)


def test_what_must_be_positive_is() -> None:
    found, _ = policy(minimal_key_size=0, major_revision=0, validity=timedelta(0), renewal_overlap=timedelta(0))
    assert found.attributes.private_key_attributes.minimal_key_length == 2048
    assert found.attributes.revision.major_revision == 1
    assert found.attributes.certificate_validity.validity_period_seconds == 1
    assert found.attributes.certificate_validity.renewal_period_seconds == 1


def test_a_hash_algorithm_is_for_version_3_alone() -> None:
    found, _ = policy(schema_version=2, hash_algorithm="SHA256")
    assert found.attributes.hash_algorithm_oid_reference is None


def extensions(**more: Any) -> dict[str, tuple[bool, bytes]]:
    found, oids = policy(**more)
    told = {}
    for each in found.attributes.extensions:
        value, group, _ = oids[each.oid_reference]
        assert group is OIDGroup.EXTENSION_OR_ATTRIBUTE
        assert each.value_der is not None
        told[value] = each.critical, each.value_der
    return told


def test_extensions_of_version_2() -> None:
    told = extensions(
        application_policies=("1.3.6.1.5.5.7.3.2", "1.3.6.1.4.1.311.20.2.2"),
        critical_extensions=("1.3.6.1.4.1.311.21.10",),
    )
    eku, key_usage = ExtensionOID.EXTENDED_KEY_USAGE.dotted_string, ExtensionOID.KEY_USAGE.dotted_string
    assert list(told) == [CERTIFICATE_TEMPLATE, eku, key_usage, APPLICATION_POLICIES]
    assert decode_certificate_template(told[CERTIFICATE_TEMPLATE][1]) == "1.3.6.1.4.1.311.21.8.1.2.3"
    assert told[key_usage] == (True, bytes.fromhex("030205a0"))
    assert told[eku][0] is False
    assert told[APPLICATION_POLICIES][0] is True
    expected = x509.ExtendedKeyUsage(
        [x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2"), x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.2")]
    )
    assert told[eku][1] == expected.public_bytes()


def test_extensions_of_version_1() -> None:
    told = extensions(schema_version=1, name="User", extended_key_usage=(), key_usage=frozenset())
    assert list(told) == [CERTIFICATE_TEMPLATE_NAME]
    assert decode_template_name(told[CERTIFICATE_TEMPLATE_NAME][1]) == "User"


def test_templates_without_object_identifier_have_one() -> None:
    nameless = [replace(template(), oid="", name=name) for name in ("User", "User2", "Machine")]
    assert len({policy_oid(each) for each in nameless}) == 3
    assert policy_oid(nameless[0]) == "1.3.6.1.4.1.311.20.2.85.115.101.114"


def test_key_usage_is_der() -> None:
    assert encode_key_usage(frozenset()) == b"\x03\x01\x00"
    for count in range(1, 7):
        for bits in combinations([bit for bit in KeyUsageBit if bit is not KeyUsageBit.KEY_AGREEMENT], count):
            known = x509.KeyUsage(
                digital_signature=KeyUsageBit.DIGITAL_SIGNATURE in bits,
                content_commitment=KeyUsageBit.NON_REPUDIATION in bits,
                key_encipherment=KeyUsageBit.KEY_ENCIPHERMENT in bits,
                data_encipherment=KeyUsageBit.DATA_ENCIPHERMENT in bits,
                key_agreement=False,
                key_cert_sign=KeyUsageBit.KEY_CERT_SIGN in bits,
                crl_sign=KeyUsageBit.CRL_SIGN in bits,
                encipher_only=False,
                decipher_only=False,
            )
            assert encode_key_usage(frozenset(bits)) == known.public_bytes()


def test_an_object_identifier_stands_there_once() -> None:
    oids = OIDTable()
    assert oids.refer("1.2", OIDGroup.CERTIFICATE_POLICY, "first") == 0
    assert oids.refer("1.2", OIDGroup.CERTIFICATE_POLICY, "second") == 0
    assert oids.refer("1.2", OIDGroup.EXTENDED_KEY_USAGE) == 1
    assert [(each.value, each.default_name) for each in oids.oids()] == [("1.2", "first"), ("1.2", "1.2")]


@pytest.mark.parametrize(("name", "expected"), [("RSA", "1.2.840.113549.1.1.1"), ("DSA", None), ("", None)])
def test_key_algorithms(name: str, expected: str | None) -> None:
    found, oids = policy(key_algorithm=name)
    reference = found.attributes.private_key_attributes.algorithm_oid_reference
    assert (None if reference is None else oids[reference][0]) == expected
