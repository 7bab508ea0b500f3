"""What is said about enrollment policies, in the words and the order of [MS-XCEP] 3.1.4.1.

A field says which element it is; that table is all the codec knows. None is written as ``xsi:nil``, and so is a
collection of nothing, which the schema does not allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final

NAMESPACE: Final = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"
GET_POLICIES_ACTION: Final = f"{NAMESPACE}/IPolicy/GetPolicies"
GET_POLICIES_RESPONSE_ACTION: Final = f"{NAMESPACE}/IPolicy/GetPoliciesResponse"
GET_POLICIES: Final = f"{{{NAMESPACE}}}GetPolicies"

MAX_POLICY_OIDS: Final = 256
MAX_OID: Final = 256
"""Characters of an object identifier in a filter."""

_ELEMENT, _ITEM = "element", "item"


def _element(name: str) -> Mapping[str, str]:
    return {_ELEMENT: name}


def _collection(name: str, item: str) -> Mapping[str, str]:
    """An element that holds one ``item`` for each value."""
    return {_ELEMENT: name, _ITEM: item}


class OIDGroup(IntEnum):
    """What an object identifier is of (3.1.4.1.3.16)."""

    HASH_ALGORITHM = 1
    ENCRYPTION_ALGORITHM = 2
    PUBLIC_KEY = 3
    SIGNING_ALGORITHM = 4
    RDN = 5
    EXTENSION_OR_ATTRIBUTE = 6
    EXTENDED_KEY_USAGE = 7
    CERTIFICATE_POLICY = 8
    ENROLLMENT_OBJECT = 9
    """A certificate template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the client has, and would like (3.1.4.1.3.9)."""

    last_update: datetime | None = None
    """When it last got policies here, by its own clock."""
    preferred_language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """Which policies the client wants (3.1.4.1.3.22)."""

    policy_oids: tuple[str, ...] | None = None
    """Of templates, dotted; None: all."""
    client_version: int | None = None
    server_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetPolicies:
    """The request (3.1.4.1.2.1)."""

    client: Client
    request_filter: RequestFilter = field(default=RequestFilter())


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateValidity:
    """How long a certificate shall last, and how long before its end it is renewed (3.1.4.1.3.8)."""

    validity_period_seconds: int = field(metadata=_element("validityPeriodSeconds"))
    renewal_period_seconds: int = field(metadata=_element("renewalPeriodSeconds"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentPermission:
    """What the client may (3.1.4.1.3.11)."""

    enroll: bool = field(metadata=_element("enroll"))
    auto_enroll: bool = field(metadata=_element("autoEnroll"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKeyAttributes:
    """What the client's key has to be (3.1.4.1.3.20)."""

    minimal_key_length: int = field(metadata=_element("minimalKeyLength"))
    key_spec: int | None = field(metadata=_element("keySpec"))
    key_usage_property: int | None = field(metadata=_element("keyUsageProperty"))
    permissions: str | None = field(metadata=_element("permissions"))
    algorithm_oid_reference: int | None = field(metadata=_element("algorithmOIDReference"))
    crypto_providers: tuple[str, ...] = field(metadata=_collection("cryptoProviders", "provider"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The version of a template (3.1.4.1.3.24)."""

    major_revision: int = field(metadata=_element("majorRevision"))
    minor_revision: int | None = field(metadata=_element("minorRevision"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RARequirements:
    """Who else has to sign requests (3.1.4.1.3.21)."""

    ra_signatures: int = field(metadata=_element("rASignatures"))
    ra_ekus: tuple[int, ...] = field(metadata=_collection("rAEKUs", "oIDReference"))
    ra_policies: tuple[int, ...] = field(metadata=_collection("rAPolicies", "oIDReference"))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyArchivalAttributes:
    """How a private key is encrypted for archival (3.1.4.1.3.15); never sent here."""

    symmetric_algorithm_oid_reference: int = field(metadata=_element("symmetricAlgorithmOIDReference"))
    symmetric_algorithm_key_length: int = field(metadata=_element("symmetricAlgorithmKeyLength"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """An extension of requests and certificates (3.1.4.1.3.12)."""

    oid_reference: int = field(metadata=_element("oIDReference"))
    critical: bool = field(metadata=_element("critical"))
    value_der: bytes | None = field(metadata=_element("value"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a policy says (3.1.4.1.3.1)."""

    common_name: str = field(metadata=_element("commonName"))
    policy_schema: int = field(metadata=_element("policySchema"))
    certificate_validity: CertificateValidity = field(metadata=_element("certificateValidity"))
    permission: EnrollmentPermission = field(metadata=_element("permission"))
    private_key_attributes: PrivateKeyAttributes = field(metadata=_element("privateKeyAttributes"))
    revision: Revision = field(metadata=_element("revision"))
    superseded_policies: tuple[str, ...] = field(metadata=_collection("supersededPolicies", "commonName"))
    private_key_flags: int | None = field(metadata=_element("privateKeyFlags"))
    subject_name_flags: int | None = field(metadata=_element("subjectNameFlags"))
    enrollment_flags: int | None = field(metadata=_element("enrollmentFlags"))
    general_flags: int | None = field(metadata=_element("generalFlags"))
    hash_algorithm_oid_reference: int | None = field(metadata=_element("hashAlgorithmOIDReference"))
    ra_requirements: RARequirements | None = field(metadata=_element("rARequirements"))
    key_archival_attributes: KeyArchivalAttributes | None = field(metadata=_element("keyArchivalAttributes"))
    extensions: tuple[Extension, ...] = field(metadata=_collection("extensions", "extension"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateEnrollmentPolicy:
    """A template, and the CAs that issue by it (3.1.4.1.3.7)."""

    policy_oid_reference: int = field(metadata=_element("policyOIDReference"))
    cas: tuple[int, ...] = field(metadata=_collection("cAs", "cAReference"))
    attributes: Attributes = field(metadata=_element("attributes"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The policies of a server (3.1.4.1.3.23)."""

    policy_id: str = field(metadata=_element("policyID"))
    policy_friendly_name: str | None = field(metadata=_element("policyFriendlyName"))
    next_update_hours: int | None = field(metadata=_element("nextUpdateHours"))
    policies_not_changed: bool | None = field(metadata=_element("policiesNotChanged"))
    policies: tuple[CertificateEnrollmentPolicy, ...] = field(metadata=_collection("policies", "policy"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CAURI:
    """Where a CA is reached (3.1.4.1.3.5)."""

    client_authentication: int = field(metadata=_element("clientAuthentication"))
    uri: str = field(metadata=_element("uri"))
    priority: int | None = field(metadata=_element("priority"))
    renewal_only: bool = field(metadata=_element("renewalOnly"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CA:
    """A certification authority (3.1.4.1.3.2)."""

    uris: tuple[CAURI, ...] = field(metadata=_collection("uris", "cAURI"))
    certificate_der: bytes = field(metadata=_element("certificate"))
    enroll_permission: bool = field(metadata=_element("enrollPermission"))
    ca_reference_id: int = field(metadata=_element("cAReferenceID"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OID:
    """An object identifier that others refer to (3.1.4.1.3.16)."""

    value: str = field(metadata=_element("value"))
    group: OIDGroup = field(metadata=_element("group"))
    oid_reference_id: int = field(metadata=_element("oIDReferenceID"))
    default_name: str = field(metadata=_element("defaultName"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GetPoliciesResponse:
    """The answer (3.1.4.1.2.2)."""

    response: Response = field(metadata=_element("response"))
    cas: tuple[CA, ...] = field(metadata=_collection("cAs", "cA"))
    oids: tuple[OID, ...] = field(metadata=_collection("oIDs", "oID"))


Part = (
    GetPoliciesResponse
    | Response
    | CertificateEnrollmentPolicy
    | Attributes
    | CertificateValidity
    | EnrollmentPermission
    | PrivateKeyAttributes
    | Revision
    | RARequirements
    | KeyArchivalAttributes
    | Extension
    | CA
    | CAURI
    | OID
)
"""What an answer is made of."""


def element_names(field_metadata: Mapping[str, str]) -> tuple[str, str | None]:
    """The element of a field, and the element of each of its values if it is a collection."""
    return field_metadata[_ELEMENT], field_metadata.get(_ITEM)
