"""A client of enrollment policies, made from [MS-XCEP] alone: asks, and checks the whole answer."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from lxml import etree

from tests.support.wstep_client import A, Answer, S, WSTEPClient, envelope, schema

XCEP = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"
ACTION = f"{XCEP}/IPolicy/GetPolicies"
_GROUP_OF_TEMPLATES = "9"


@dataclass(frozen=True, slots=True)
class Policy:
    """A certificate template, as a client is told of it."""

    name: str
    oid: str
    may_enroll: bool
    may_auto_enroll: bool
    minimal_key_length: int
    extensions: Mapping[str, bytes]
    """What a request has to hold, by object identifier."""
    cas: Sequence[int]


@dataclass(frozen=True, slots=True)
class EnrollmentCA:
    """A CA, and where it enrolls: pairs of the way to authenticate and the URL."""

    certificate: x509.Certificate
    servers: Sequence[tuple[int, str]]
    may_enroll: bool


@dataclass(frozen=True, slots=True)
class Policies:
    """An answer whose references all lead somewhere."""

    id: str
    friendly_name: str
    next_update_hours: int | None
    is_unchanged: bool
    policies: Mapping[str, Policy]
    cas: Mapping[int, EnrollmentCA]


def get_policies(*, last_update: str | None = None, oids: Sequence[str] = (), client: str | None = None) -> str:
    """The body of a request; ``client`` replaces its first element."""
    nil = ' xsi:nil="true"'
    updated = f"<lastUpdate{nil}/>" if last_update is None else f"<lastUpdate>{last_update}</lastUpdate>"
    wanted = f"<requestFilter{nil}/>"
    if oids:
        each = "".join(f"<oid>{oid}</oid>" for oid in oids)
        wanted = (
            f"<requestFilter><policyOIDs>{each}</policyOIDs><clientVersion{nil}/><serverVersion{nil}/></requestFilter>"
        )
    who = client if client is not None else f"<client>{updated}<preferredLanguage{nil}/></client>"
    return f'<GetPolicies xmlns="{XCEP}">{who}{wanted}</GetPolicies>'


class XCEPClient(WSTEPClient):
    """Talks to one policy service."""

    def policies(self, *, headers: Mapping[str, str] | None = None, **asked: object) -> Policies:
        """GetPolicies; ``asked`` is what :func:`get_policies` takes."""
        message_id = f"urn:uuid:{uuid.uuid4()}"
        body = get_policies(**asked)  # type: ignore[arg-type]  # as they came
        message = envelope(body, action=ACTION, message_id=message_id, security=self._security)
        return read_policies(self.post(message, headers=headers), message_id)


def read_policies(answer: Answer, message_id: str) -> Policies:
    """Check an answer (3.1.4.1.2.2) by its schema and by what the document says beyond it."""
    assert answer.status == 200, answer.body
    document = etree.fromstring(answer.body)
    schema("soap12").assertValid(etree.ElementTree(document))
    assert document.findtext(f"{{{S}}}Header/{{{A}}}Action") == f"{ACTION}Response"
    assert document.findtext(f"{{{S}}}Header/{{{A}}}RelatesTo") == message_id
    (body,) = document.iterfind(f"{{{S}}}Body/*")
    schema("xcep").assertValid(etree.ElementTree(body))
    oids = {_of(each, "oIDReferenceID"): (_of(each, "value"), _of(each, "group")) for each in body.iter(_tag("oID"))}
    assert len(oids) == len(list(body.iter(_tag("oID")))), "a reference that is two"
    cas = {int(_of(each, "cAReferenceID")): _ca(each) for each in body.iter(_tag("cA"))}
    response = body.find(_tag("response"))
    assert response is not None
    found = [_policy(each, oids) for each in response.iter(_tag("policy"))]
    for policy in found:
        assert set(policy.cas) <= set(cas)
    names = [policy.name for policy in found]
    assert len(set(names)) == len(names), "commonName is unique among policies"
    hours = response.findtext(_tag("nextUpdateHours"))
    assert hours is None or hours == "" or int(hours) > 0
    is_unchanged = response.findtext(_tag("policiesNotChanged")) == "true"
    if is_unchanged:
        assert not oids
        assert not cas
        assert not found
    return Policies(
        id=_of(response, "policyID"),
        friendly_name=response.findtext(_tag("policyFriendlyName")) or "",
        next_update_hours=int(hours) if hours else None,
        is_unchanged=is_unchanged,
        policies={policy.name: policy for policy in found},
        cas=cas,
    )


def _policy(policy: etree._Element, oids: Mapping[str, tuple[str, str]]) -> Policy:
    value, group = oids[_of(policy, "policyOIDReference")]
    assert group == _GROUP_OF_TEMPLATES
    attributes = policy.find(_tag("attributes"))
    assert attributes is not None
    extensions = {}
    for extension in attributes.iter(_tag("extension")):
        oid, _ = oids[_of(extension, "oIDReference")]
        extensions[oid] = base64.b64decode(_of(extension, "value"))
    permission = attributes.find(_tag("permission"))
    assert permission is not None
    return Policy(
        name=_of(attributes, "commonName"),
        oid=value,
        may_enroll=_of(permission, "enroll") == "true",
        may_auto_enroll=_of(permission, "autoEnroll") == "true",
        minimal_key_length=int(attributes.findtext(f"{_tag('privateKeyAttributes')}/{_tag('minimalKeyLength')}") or 0),
        extensions=extensions,
        cas=[int(each.text or "") for each in policy.iter(_tag("cAReference"))],
    )


def _ca(ca: etree._Element) -> EnrollmentCA:
    servers = [(int(_of(each, "clientAuthentication")), _of(each, "uri")) for each in ca.iter(_tag("cAURI"))]
    certificate = x509.load_der_x509_certificate(base64.b64decode(_of(ca, "certificate")))
    return EnrollmentCA(certificate, servers, _of(ca, "enrollPermission") == "true")


def _of(parent: etree._Element, name: str) -> str:
    text = parent.findtext(_tag(name))
    assert text, name
    return str(text)


def _tag(name: str) -> str:
    return f"{{{XCEP}}}{name}"
