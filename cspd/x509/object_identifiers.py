"""The names that conf files and logs use for object identifiers, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

EXTENDED_KEY_USAGES: Mapping[str, str] = MappingProxyType(
    {
        "anyExtendedKeyUsage": "2.5.29.37.0",
        "serverAuth": "1.3.6.1.5.5.7.3.1",
        "clientAuth": "1.3.6.1.5.5.7.3.2",
        "codeSigning": "1.3.6.1.5.5.7.3.3",
        "emailProtection": "1.3.6.1.5.5.7.3.4",
        "timeStamping": "1.3.6.1.5.5.7.3.8",
        "OCSPSigning": "1.3.6.1.5.5.7.3.9",
        "cmKGA": "1.3.6.1.5.5.7.3.32",
        "msSmartcardLogon": "1.3.6.1.4.1.311.20.2.2",
    }
)
"""KeyPurposeId (RFC 5280, 4.2.1.12; RFC 9480, 2.2; Microsoft)."""

REQUEST_EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "certificatePolicies": "2.5.29.32",
        "extendedKeyUsage": "2.5.29.37",
        "applicationPolicies": "1.3.6.1.4.1.311.21.10",
        "smimeCapabilities": "1.2.840.113549.1.9.15",
        "msTemplateOID": "1.3.6.1.4.1.311.21.7",
        "msTemplateName": "1.3.6.1.4.1.311.20.2",
        "ntdsCaSecurityExt": "1.3.6.1.4.1.311.25.2",
        "pivInterimIndicator": "2.16.840.1.101.3.6.9.1",
    }
)
"""Extensions that a profile may let a request choose, beside subjectAltName."""

CERTIFICATE_POLICIES: Mapping[str, str] = MappingProxyType(
    {
        "id-rspRole-dp-tls": "2.23.146.1.2.1.3",
        "id-rspRole-dp-auth": "2.23.146.1.2.1.4",
        "id-rspRole-dp-pb": "2.23.146.1.2.1.5",
        "id-rspRole-ds-tls": "2.23.146.1.2.1.6",
        "id-rspRole-ds-auth": "2.23.146.1.2.1.7",
    }
)
"""Roles of remote SIM provisioning (GSMA SGP.22)."""

_DOTTED = re.compile(r"(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]{0,38}))(?:\.(?:0|[1-9][0-9]{0,38}))*")
_MAX_LENGTH = 256


def is_dotted(text: str) -> bool:
    """Whether the text is an object identifier in dotted form, such as ``1.2.840.113549``."""
    return len(text) <= _MAX_LENGTH and _DOTTED.fullmatch(text) is not None


def name_of(oid: str, names: Mapping[str, str]) -> str:
    """The name that one of ``names`` has for a dotted identifier, or the identifier itself."""
    return next((name for name, known in names.items() if known == oid), oid)


def resolve(text: str, names: Mapping[str, str]) -> str:
    """The dotted form of one of ``names``, or a dotted text itself; raises ValueError that says which names exist."""
    if text in names:
        return names[text]
    if is_dotted(text):
        return text
    raise ValueError(f"{text!r} is neither a dotted object identifier nor one of: {', '.join(names)}")
