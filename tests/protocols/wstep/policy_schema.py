"""The schema of [MS-XCEP] 6.2 as a table, and a validator of it: elements in order, none missing, nil where it may be.

Written from the specification alone; what the server writes from is not used.
"""

from __future__ import annotations

import base64
import re

from lxml import etree

NAMESPACE = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

# A name, its type, and signs: ? may be nil, * one or more.
TYPES = {
    "GetPoliciesResponse": ["response Response ?", "cAs CACollection ?", "oIDs OIDCollection ?"],
    "Response": [
        "policyID string",
        "policyFriendlyName string ?",
        "nextUpdateHours positive ?",
        "policiesNotChanged boolean ?",
        "policies PolicyCollection ?",
    ],
    "PolicyCollection": ["policy CertificateEnrollmentPolicy *"],
    "CertificateEnrollmentPolicy": [
        "policyOIDReference int",
        "cAs CAReferenceCollection ?",
        "attributes Attributes",
    ],
    "CAReferenceCollection": ["cAReference int *"],
    "Attributes": [
        "commonName string",
        "policySchema unsignedInt",
        "certificateValidity CertificateValidity",
        "permission EnrollmentPermission",
        "privateKeyAttributes PrivateKeyAttributes",
        "revision Revision",
        "supersededPolicies SupersededPolicies ?",
        "privateKeyFlags unsignedInt ?",
        "subjectNameFlags unsignedInt ?",
        "enrollmentFlags unsignedInt ?",
        "generalFlags unsignedInt ?",
        "hashAlgorithmOIDReference int ?",
        "rARequirements RARequirements ?",
        "keyArchivalAttributes KeyArchivalAttributes ?",
        "extensions ExtensionCollection ?",
    ],
    "CertificateValidity": ["validityPeriodSeconds positive", "renewalPeriodSeconds positive"],
    "EnrollmentPermission": ["enroll boolean", "autoEnroll boolean"],
    "PrivateKeyAttributes": [
        "minimalKeyLength positive",
        "keySpec unsignedInt ?",
        "keyUsageProperty unsignedInt ?",
        "permissions string ?",
        "algorithmOIDReference int ?",
        "cryptoProviders CryptoProviders ?",
    ],
    "CryptoProviders": ["provider string *"],
    "Revision": ["majorRevision positive", "minorRevision unsignedInt ?"],
    "SupersededPolicies": ["commonName string *"],
    "RARequirements": [
        "rASignatures unsignedInt",
        "rAEKUs OIDReferenceCollection ?",
        "rAPolicies OIDReferenceCollection ?",
    ],
    "OIDReferenceCollection": ["oIDReference int *"],
    "KeyArchivalAttributes": ["symmetricAlgorithmOIDReference int", "symmetricAlgorithmKeyLength positive"],
    "ExtensionCollection": ["extension Extension *"],
    "Extension": ["oIDReference int", "critical boolean", "value base64Binary ?"],
    "CACollection": ["cA CA *"],
    "CA": ["uris CAURICollection", "certificate base64Binary", "enrollPermission boolean", "cAReferenceID int"],
    "CAURICollection": ["cAURI CAURI *"],
    "CAURI": ["clientAuthentication unsignedInt", "uri string", "priority unsignedInt ?", "renewalOnly boolean"],
    "OIDCollection": ["oID OID *"],
    "OID": ["value string", "group unsignedInt", "oIDReferenceID int", "defaultName string ?"],
}
REFERENCES = ("policyOIDReference", "algorithmOIDReference", "hashAlgorithmOIDReference", "oIDReference")


def validate(root: etree._Element) -> None:
    """Fail for what is not a GetPoliciesResponse, or refers to what is not there."""
    assert root.tag == f"{{{NAMESPACE}}}GetPoliciesResponse"
    _complex(root, "GetPoliciesResponse")
    for names, target in ((REFERENCES, "oIDReferenceID"), (("cAReference",), "cAReferenceID")):
        defined = [element.text for element in root.iter(f"{{{NAMESPACE}}}{target}")]
        assert len(set(defined)) == len(defined), f"{target} is not unique"
        for name in names:
            for element in root.iter(f"{{{NAMESPACE}}}{name}"):
                assert element.get(NIL) == "true" or element.text in defined, f"{name} {element.text}"
    names_of_policies = [each.text for each in root.iterfind(f".//{{{NAMESPACE}}}attributes/{{{NAMESPACE}}}commonName")]
    assert len(set(names_of_policies)) == len(names_of_policies)


def _complex(parent: etree._Element, kind: str) -> None:
    children = list(parent)
    for declared in TYPES[kind]:
        name, child_kind, *signs = declared.split()
        count = 0
        while children and children[0].tag == f"{{{NAMESPACE}}}{name}" and (count == 0 or "*" in signs):
            _one(children.pop(0), child_kind, may_be_nil="?" in signs)
            count += 1
        assert count, f"{kind} has no {name} in its place"
    assert not children, f"{kind} has {children[0].tag} too many"


def _one(element: etree._Element, kind: str, *, may_be_nil: bool) -> None:
    if NIL in element.attrib:
        assert may_be_nil, f"{element.tag} may not be nil"
        assert element.get(NIL) == "true"
        assert element.text is None
        assert not len(element)
        return
    if kind in TYPES:
        assert not (element.text or "").strip()
        _complex(element, kind)
        return
    text = element.text or ""
    assert not len(element)
    match kind:
        case "boolean":
            assert text in ("true", "false")
        case "int":
            assert re.fullmatch("-?[0-9]+", text)
            assert -(1 << 31) <= int(text) < 1 << 31
        case "unsignedInt" | "positive":
            assert re.fullmatch("[0-9]+", text), f"{element.tag}: {text}"
            assert (1 if kind == "positive" else 0) <= int(text) < 1 << 32, f"{element.tag}: {text}"
        case "base64Binary":
            assert base64.b64decode(text, validate=True)
        case _:
            assert text
