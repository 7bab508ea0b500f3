from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cspd.http.xml import read_xml
from cspd.refusals import Malformed
from protocols.wstep.policy_codec import BAD_REQUEST, decode_get_policies, encode_get_policies_response
from protocols.wstep.policy_messages import (
    CA,
    CAURI,
    OID,
    Attributes,
    CertificateEnrollmentPolicy,
    CertificateValidity,
    Client,
    EnrollmentPermission,
    Extension,
    GetPolicies,
    GetPoliciesResponse,
    KeyArchivalAttributes,
    OIDGroup,
    PrivateKeyAttributes,
    RARequirements,
    RequestFilter,
    Response,
    Revision,
)
from tests.protocols.wstep.policy_schema import NAMESPACE, NIL, validate

XSI = "http://www.w3.org/2001/XMLSchema-instance"
CLIENT = (
    "<client><lastUpdate>0001-01-01T00:00:00</lastUpdate>"
    "<preferredLanguage xsi:nil='true'></preferredLanguage></client>"
)


def read(inner: str) -> GetPolicies:
    return decode_get_policies(
        read_xml(f"<GetPolicies xmlns='{NAMESPACE}' xmlns:xsi='{XSI}'>{inner}</GetPolicies>".encode())
    )


def test_the_example_of_the_specification() -> None:
    assert read(CLIENT + "<requestFilter xsi:nil='true'></requestFilter>") == GetPolicies(
        client=Client(last_update=datetime(1, 1, 1, tzinfo=UTC))
    )


def test_a_whole_request() -> None:
    found = read(
        "<client><lastUpdate>\n 2026-11-25T10:00:00.5+01:00 </lastUpdate>"
        "<preferredLanguage>de-AT</preferredLanguage><more xmlns='urn:x'/></client>"
        "<requestFilter><policyOIDs><oid>1.2.3</oid><oid> 2.5.29 </oid><oid>1.2.3</oid></policyOIDs>"
        "<clientVersion>6</clientVersion><serverVersion>-1</serverVersion><x xmlns='urn:x'/></requestFilter>"
    )
    assert found.client.last_update == datetime(2026, 11, 25, 9, 0, 0, 500000, tzinfo=UTC)
    assert found.client.preferred_language == "de-AT"
    assert found.request_filter == RequestFilter(policy_oids=("1.2.3", "2.5.29"), client_version=6, server_version=-1)


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<requestFilter xsi:nil='true'/>",
        "<client/>",
        "<client> </client>",
        "<client xsi:nil='true'/>",
        "<client xmlns='urn:other'><lastUpdate/></client>",
    ],
)
def test_a_request_without_client_is_refused(inner: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(inner)
    assert refused.value.refusal_code == BAD_REQUEST


@pytest.mark.parametrize(
    "wanted",
    [
        "<requestFilter/>",
        "<requestFilter xsi:nil='1'/>",
        "<requestFilter><policyOIDs xsi:nil='true'/><clientVersion xsi:nil='true'/><serverVersion/></requestFilter>",
        "<requestFilter><policyOIDs/></requestFilter>",
    ],
)
def test_nil_and_empty_filters_filter_nothing(wanted: str) -> None:
    assert read(CLIENT + wanted).request_filter == RequestFilter()


@pytest.mark.parametrize(
    "inner",
    [
        "<client><lastUpdate>yesterday</lastUpdate></client>",
        "<client><lastUpdate>20090-03-15-T09:38:46</lastUpdate></client>",
        "<client><lastUpdate><x/></lastUpdate></client>",
        "<client><preferredLanguage>d e</preferredLanguage></client>",
        CLIENT + CLIENT,
        CLIENT + "<requestFilter><clientVersion>six</clientVersion></requestFilter>",
        CLIENT + "<requestFilter><clientVersion>2147483648</clientVersion></requestFilter>",
        CLIENT + "<requestFilter><clientVersion>" + "1" * 5000 + "</clientVersion></requestFilter>",
        CLIENT + "<requestFilter><policyOIDs><oid>name</oid></policyOIDs></requestFilter>",
        CLIENT + "<requestFilter><policyOIDs><oid>1." + "1" * 300 + "</oid></policyOIDs></requestFilter>",
        CLIENT + "<requestFilter><policyOIDs>" + "<oid>1.2</oid>" * 257 + "</policyOIDs></requestFilter>",
    ],
)
def test_what_is_no_request(inner: str) -> None:
    with pytest.raises(Malformed) as refused:
        read(inner)
    assert refused.value.refusal_code == BAD_REQUEST


def test_another_element_is_refused() -> None:
    with pytest.raises(Malformed):
        decode_get_policies(read_xml(b"<GetPolicies/>"))


NAMES = ("client", "requestFilter", "lastUpdate", "preferredLanguage", "policyOIDs", "oid", "clientVersion")
TREES = st.recursive(
    st.text(st.sampled_from("0123456789.-:TZ äß"), max_size=8)
    | st.sampled_from(["1.2.3", "2026-11-25T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "7"]),
    lambda inner: st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), inner), max_size=4),
    max_leaves=12,
)


def grow(parent: etree._Element, tree: object) -> None:
    if isinstance(tree, str):
        parent.text = tree
        return
    assert isinstance(tree, list)
    for name, nil, inner in tree:
        child = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}", {NIL: "true"} if nil else {})
        grow(child, inner)


@given(TREES)
def test_any_tree_is_a_request_or_malformed(tree: object) -> None:
    root = etree.Element(f"{{{NAMESPACE}}}GetPolicies")
    grow(root, tree)
    with suppress(Malformed):
        assert isinstance(decode_get_policies(root), GetPolicies)


def whole() -> GetPoliciesResponse:
    """Everything that the schema has."""
    attributes = Attributes(
        common_name="EFS",
        policy_schema=3,
        certificate_validity=CertificateValidity(validity_period_seconds=31536000, renewal_period_seconds=3628800),
        permission=EnrollmentPermission(enroll=True, auto_enroll=False),
        private_key_attributes=PrivateKeyAttributes(
            minimal_key_length=2048,
            key_spec=1,
            key_usage_property=0xFFFFFF,
            permissions="D:",
            algorithm_oid_reference=3,
            crypto_providers=("First", "Second"),
        ),
        revision=Revision(major_revision=3, minor_revision=0),
        superseded_policies=("Old", "Older"),
        private_key_flags=0xFFFF_FFFF,
        subject_name_flags=0,
        enrollment_flags=0,
        general_flags=0,
        hash_algorithm_oid_reference=2,
        ra_requirements=RARequirements(ra_signatures=1, ra_ekus=(1,), ra_policies=(1, 2)),
        key_archival_attributes=KeyArchivalAttributes(
            symmetric_algorithm_oid_reference=1, symmetric_algorithm_key_length=256
        ),
        extensions=(Extension(oid_reference=1, critical=True, value_der=b"\0\1"),),
    )
    return GetPoliciesResponse(
        response=Response(
            policy_id="{083C7011-1D0A-4855-885D-AC945184658C}",
            policy_friendly_name="Example <&> Ltd\x00",
            next_update_hours=8,
            policies_not_changed=False,
            policies=(CertificateEnrollmentPolicy(policy_oid_reference=0, cas=(7,), attributes=attributes),),
        ),
        cas=(
            CA(
                uris=(
                    CAURI(client_authentication=4, uri="https://a/", priority=1, renewal_only=False),
                    CAURI(client_authentication=8, uri="https://b/", priority=None, renewal_only=True),
                ),
                certificate_der=b"der",
                enroll_permission=True,
                ca_reference_id=7,
            ),
        ),
        oids=tuple(
            OID(value=f"1.2.{number}", group=OIDGroup.ENROLLMENT_OBJECT, oid_reference_id=number, default_name="x")
            for number in range(4)
        ),
    )


def text(root: etree._Element, path: str) -> str | None:
    found: str | None = root.findtext("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))
    return found


@pytest.mark.requirement("R-CEGI-046")
def test_an_answer_has_every_element_in_its_order() -> None:
    root = read_xml(etree.tostring(encode_get_policies_response(whole())))
    validate(root)
    attributes = "response/policies/policy/attributes/"
    assert text(root, "response/policyFriendlyName") == "Example <&> Ltd?"
    assert text(root, attributes + "privateKeyFlags") == "4294967295"
    assert text(root, attributes + "permission/autoEnroll") == "false"
    assert text(root, attributes + "extensions/extension/value") == base64.b64encode(b"\0\1").decode()
    assert text(root, "cAs/cA/certificate") == base64.b64encode(b"der").decode()
    assert text(root, "oIDs/oID/group") == "9"
    assert [each.text for each in root.iter(f"{{{NAMESPACE}}}provider")] == ["First", "Second"]
    assert [each.text for each in root.iter(f"{{{NAMESPACE}}}renewalOnly")] == ["false", "true"]


def test_nothing_is_written_as_nil() -> None:
    empty = GetPoliciesResponse(
        response=Response(
            policy_id="{x}",
            policy_friendly_name=None,
            next_update_hours=None,
            policies_not_changed=None,
            policies=(),
        ),
        cas=(),
        oids=(),
    )
    root = encode_get_policies_response(empty)
    validate(root)
    nil = [etree.QName(element).localname for element in root.iter() if element.get(NIL) == "true"]
    assert nil == ["policyFriendlyName", "nextUpdateHours", "policiesNotChanged", "policies", "cAs", "oIDs"]


def test_the_validator_finds_what_is_out_of_order() -> None:
    root = encode_get_policies_response(whole())
    permission = next(root.iter(f"{{{NAMESPACE}}}permission"))
    permission.append(permission[0])
    with pytest.raises(AssertionError, match="in its place"):
        validate(root)
