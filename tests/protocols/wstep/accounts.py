"""Accounts and templates of a small company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cspd.authority.profile_values import KeyUsageBit
from cspd.directory.security_descriptors import ENROLL, AccessControlEntry, SecurityDescriptor
from cspd.directory.values import (
    Account,
    AccountKind,
    CertificateTemplate,
    EnrollmentService,
    GeneralFlag,
    NameFlag,
)
from cspd.x509.csr import CertificationRequest, parse_csr
from cspd.x509.names import parse_name

KEY = ec.derive_private_key(7, ec.SECP256R1())
STAFF = "S-1-5-21-1-2-3-2000"

ALICE = Account(
    kind=AccountKind.USER,
    domain="example.com",
    netbios_domain="EXAMPLE",
    account_name="alice",
    distinguished_name="CN=Alice Adams,OU=Staff,DC=example,DC=com",
    common_name="Alice Adams",
    sid="S-1-5-21-1-2-3-1001",
    guid=UUID("00112233-4455-6677-8899-aabbccddeeff"),
    user_principal_name="alice@example.com",
    mail="alice.adams@example.com",
    group_sids=frozenset({"S-1-5-21-1-2-3-1001", STAFF, "S-1-1-0"}),
)
MACHINE = Account(
    kind=AccountKind.MACHINE,
    domain="example.com",
    netbios_domain="EXAMPLE",
    account_name="WS1$",
    distinguished_name="CN=WS1,CN=Computers,DC=example,DC=com",
    common_name="WS1",
    sid="S-1-5-21-1-2-3-1002",
    guid=UUID("00112233-4455-6677-8899-aabbccddee00"),
    user_principal_name="WS1$@example.com",
    dns_host_name="ws1.example.com",
    service_principal_names=("HOST/WS1", "HOST/ws1.example.com"),
    group_sids=frozenset({"S-1-5-21-1-2-3-1002", "S-1-5-21-1-2-3-515"}),
)
CONTROLLER = replace(
    MACHINE,
    account_name="DC1$",
    common_name="DC1",
    dns_host_name="dc1.example.com",
    group_sids=frozenset({"S-1-5-21-1-2-3-516"}),
)


NO_FLAGS = NameFlag(0)


def template(name_flags: NameFlag = NO_FLAGS, **more: Any) -> CertificateTemplate:
    """One by which STAFF enrolls."""
    settings: dict[str, Any] = {
        "name": "Staff",
        "display_name": "Staff",
        "oid": "1.3.6.1.4.1.311.21.8.1.2.3",
        "schema_version": 2,
        "major_revision": 100,
        "minor_revision": 4,
        "name_flags": name_flags,
        "minimal_key_size": 2048,
        "key_usage": frozenset({KeyUsageBit.DIGITAL_SIGNATURE, KeyUsageBit.KEY_ENCIPHERMENT}),
        "extended_key_usage": ("1.3.6.1.5.5.7.3.2",),
        "validity": timedelta(days=365),
        "security": granted(STAFF),
        **more,
    }
    return CertificateTemplate(**settings)


def granted(*sids: str) -> SecurityDescriptor:
    return SecurityDescriptor(
        tuple(AccessControlEntry(sid=sid, grants=True, mask=0x100, object_type=ENROLL) for sid in sids)
    )


SERVICE = EnrollmentService(
    name="CSPD",
    dns_host_name="ca.example.com",
    certificate_templates=frozenset({"Staff"}),
    security=granted("S-1-1-0"),
)
MACHINE_TEMPLATE = template(
    NameFlag.SUBJECT_REQUIRE_DNS_AS_CN | NameFlag.SUBJECT_ALT_REQUIRE_DNS, general_flags=GeneralFlag.MACHINE_TYPE
)


def csr(
    subject: str = "",
    *names: x509.GeneralName,
    extensions: Sequence[tuple[str, bytes]] = (),
    key_usage: x509.KeyUsage | None = None,
) -> CertificationRequest:
    """A request as :func:`cspd.x509.csr.parse_csr` reads it; ``extensions`` by object identifier, DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(parse_name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for oid, value in extensions:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(unknown, critical=False)
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    return parse_csr(builder.sign(KEY, SHA256()).public_bytes(Encoding.DER))


def key_usage(*bits: str) -> x509.KeyUsage:
    known = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    rest = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{bit: bit in bits for bit in (*known, *rest)})
