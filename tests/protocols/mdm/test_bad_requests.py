"""Requests that get nothing, and the exact answer of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cspd.http.router import MethodNotAllowed, NoRoute
from cspd.http.soap import SOAP_11, WSSE
from cspd.refusals import Malformed, all_refusals
from protocols.mdm.codec import BY_NAME, decode_json
from protocols.mdm.errors import ANSWERS
from protocols.mdm.messages import OPERATIONS
from protocols.mdm.soap_types import NAMESPACE
from tests.protocols.mdm.world import BASE, ORDER, World, fault_of

LIST = "<m:ListDigitalIDs/>"
CHALLENGE = (
    "<m:CreateChallenge><m:digitalId>My Phones</m:digitalId><m:variables>"
    "<m:variable><m:name>firstname</m:name><m:value>Ann</m:value></m:variable>"
    "<m:variable><m:name>lastname</m:name><m:value>Lee</m:value></m:variable>"
    "</m:variables></m:CreateChallenge>"
)
PKCS12 = CHALLENGE.replace("CreateChallenge", "IssuePKCS12").replace("</m:IssuePKCS12>", "{}</m:IssuePKCS12>")


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_every_refusal_has_an_answer() -> None:
    assert set(ANSWERS) == {each for each in all_refusals() if each.__module__ == "cspd.refusals"}


@pytest.mark.requirement("R-CEG-084")
@pytest.mark.requirement("R-CEGI-070")
@pytest.mark.parametrize("user", ["workspace:wrong", "workspace:", "nobody:one:two", ":", "workspace:one"])
def test_wrong_credentials_are_refused_and_audited_without_the_password(user: str) -> None:
    world = World()
    status, value = world.json("ListDigitalIDs", user=user)
    assert (status, value["code"]) == (401, "unauthorized")
    event = world.house.audit.events[-1]
    assert (event.event, event.actor, event.outcome.value) == (
        "mdm-user-refused",
        f"mdm:{user.partition(':')[0]}",
        "refused",
    )
    assert event.fields == {"tenant": "demo", "address": "192.0.2.9", "request_id": "r-5"}
    assert fault_of(world.soap(LIST, user=user))[:3] == (401, "soap:Client", "unauthorized")
    assert "wrong" not in repr(world.house.audit.events)


@pytest.mark.requirement("R-CEG-084")
@pytest.mark.parametrize("user", ["workspace:one:two", "jamf:three", "mobileiron:four"])
def test_each_of_several_users_may_call(world: World, user: str) -> None:
    assert world.json("ListDigitalIDs", user=user)[0] == 200
    assert world.soap(LIST, user=user)[0] == 200


@pytest.mark.requirement("R-CEG-084")
def test_nobody_calls_without_credentials() -> None:
    world = World()
    for operation in OPERATIONS:
        response = world.ask("POST", f"{BASE}/v11/{operation.name}", b"{}", user=None)
        assert response.status == 401
        assert dict(response.headers)[b"www-authenticate"] == b'Basic realm="cspd MDM", charset="UTF-8"'
        call = world.ask(
            "POST",
            BASE,
            f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><x xmlns="{NAMESPACE}"/></s:Body></s:Envelope>'.encode(),
            user=None,
            content_type="text/xml",
        )
        assert call.status == 401
    assert world.house.audit.events[-1].event != "mdm-user-refused"


@pytest.mark.requirement("R-CEG-098")
@pytest.mark.requirement("R-CEGI-071")
@pytest.mark.parametrize("version", ["v8", "v9", "v11", "V9", "AdminServiceV8", "AdminServiceV9", "AdminServiceV11"])
def test_versions(world: World, version: str) -> None:
    assert world.json("ListDigitalIDs", version=version)[0] == 200
    status, answer = world.soap(LIST, service=f"/{version}")
    assert (status, answer.tag) == (200, f"{{{NAMESPACE}}}ListDigitalIDsResponse")


@pytest.mark.requirement("R-CEGI-071")
@pytest.mark.parametrize("version", ["v10", "v1", "AdminServiceV7", "11", "AdminService"])
def test_unknown_versions_are_told_so(world: World, version: str) -> None:
    status, value = world.json("ListDigitalIDs", version=version)
    assert (status, value["code"], value["detail"]) == (
        404,
        "unsupported-version",
        "the protocol has the versions v8, v9, v11",
    )
    fault = fault_of(world.soap(LIST, service=f"/{version}"))
    assert fault == (500, "soap:Client", "unsupported-version", "the protocol has the versions v8, v9, v11")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        pytest.param(b"", "digitalId: is missing; variables: is missing", id="empty"),
        pytest.param(b"[]", "the message has to be an object", id="list"),
        pytest.param(b"{", "the message is not JSON", id="half"),
        pytest.param(b"\xff\xfe", "the message is not JSON", id="no text"),
        pytest.param(json.dumps({**ORDER, "color": "red"}).encode(), "color: is not known here", id="unknown member"),
        pytest.param(
            json.dumps({**ORDER, "variables": {"firstname": 1}}).encode(),
            "variables.firstname: Input should be a valid string",
            id="number",
        ),
        pytest.param(
            json.dumps({**ORDER, "variables": {str(number): "x" for number in range(65)}}).encode(),
            "variables: Dictionary should have at most 64 items after validation, not more",
            id="many variables",
        ),
        pytest.param(
            json.dumps({**ORDER, "subjectAltNames": [{"kind": "x400", "value": "y"}]}).encode(),
            "subjectAltNames.0.kind: Input should be 'email', 'dns', 'uri', 'ip' or 'upn'",
            id="kind",
        ),
    ],
)
def test_json_that_is_no_message(world: World, body: bytes, detail: str) -> None:
    response = world.ask("POST", f"{BASE}/v11/CreateChallenge", body)
    assert dict(response.headers) == {b"content-type": b"application/problem+json", b"cache-control": b"no-store"}
    assert json.loads(response.body) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": detail,
        "code": "malformed-message",
        "requestId": "r-5",
    }


def test_a_refusal_does_not_repeat_what_was_sent(world: World) -> None:
    response = world.ask(
        "POST", f"{BASE}/v11/IssuePKCS12", json.dumps({**ORDER, "password": "secret", "x": "secret"}).encode()
    )
    assert response.status == 400
    assert b"secret" not in response.body


@pytest.mark.parametrize(
    ("path", "how", "status", "code"),
    [
        (f"{BASE}/v11/Nonsense", {}, 404, "no-such-operation"),
        (f"{BASE}/v11/createChallenge", {}, 404, "no-such-operation"),
        (f"{BASE}/v11/ListDigitalIDs", {"content_type": "text/plain"}, 415, "http"),
        ("/mdm/services/Demo/v11/ListDigitalIDs", {}, 404, "no-such-tenant"),
    ],
)
def test_json_elsewhere(world: World, path: str, how: Any, status: int, code: str) -> None:
    response = world.ask("POST", path, b"{}", **how)
    assert (response.status, json.loads(response.body)["code"]) == (status, code)


def test_authorization_that_is_not_basic(world: World) -> None:
    for user in (None, "workspace"):
        response = world.ask("POST", f"{BASE}/v11/ListDigitalIDs", user=user)
        assert response.status == (401 if user is None else 400)


def test_other_methods_and_paths_are_not_there(world: World) -> None:
    for method, path, error in (
        ("PUT", BASE, MethodNotAllowed),
        ("GET", f"{BASE}/v11/ListDigitalIDs", MethodNotAllowed),
        ("POST", f"{BASE}/v11/ListDigitalIDs/x", NoRoute),
        ("POST", "/mdm/services", NoRoute),
    ):
        with pytest.raises(error):
            world.router.resolve(method, path)


def envelope(inside: str, namespace: str = SOAP_11) -> bytes:
    return f'<s:Envelope xmlns:s="{namespace}" xmlns:m="{NAMESPACE}">{inside}</s:Envelope>'.encode()


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        pytest.param(b"", ("soap:Client", "xml-syntax", "not well-formed XML"), id="empty"),
        pytest.param(b"<a>", ("soap:Client", "xml-syntax", "not well-formed XML"), id="half"),
        pytest.param(
            b'<?xml version="1.0" encoding="nonsense"?><a/>',
            ("soap:Client", "xml-syntax", "not well-formed XML"),
            id="encoding",
        ),
        pytest.param(
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + envelope(f"<s:Body>{LIST}</s:Body>"),
            ("soap:Client", "xml-dtd", "a document type declaration is not allowed"),
            id="DTD",
        ),
        pytest.param(
            ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x []><x/>').encode("utf-16"),
            ("soap:Client", "xml-dtd", "a document type declaration is not allowed"),
            id="DTD in another encoding",
        ),
        pytest.param(
            envelope("<s:Body>" + "<a>" * 70 + "</a>" * 70 + "</s:Body>"),
            ("soap:Client", "xml-limits", "more than 64 levels, or 20000 elements and attributes"),
            id="deep",
        ),
        pytest.param(
            envelope("<s:Body><m:x>" + "<a/>" * 20_000 + "</m:x></s:Body>"),
            ("soap:Client", "xml-limits", "more than 64 levels, or 20000 elements and attributes"),
            id="many",
        ),
        pytest.param(b"<x/>", ("soap:Client", "soap", "the message is not a SOAP envelope"), id="no envelope"),
        pytest.param(
            envelope(f"<s:Body>{LIST}</s:Body>", "http://www.w3.org/2003/05/soap-envelope"),
            ("soap:VersionMismatch", "soap", "the message is not one of SOAP 1.1"),
            id="SOAP 1.2",
        ),
        pytest.param(
            envelope(""), ("soap:Client", "soap", "the Body of the message has not one element"), id="no body"
        ),
        pytest.param(
            envelope("<s:Body/>"), ("soap:Client", "soap", "the Body of the message has not one element"), id="nothing"
        ),
        pytest.param(
            envelope("<s:Body>text</s:Body>"),
            ("soap:Client", "soap", "the Body of the message has not one element"),
            id="text",
        ),
        pytest.param(
            envelope(f"<s:Body>{LIST}{LIST}</s:Body>"),
            ("soap:Client", "soap", "the Body of the message has not one element"),
            id="two calls",
        ),
        pytest.param(
            envelope(f'<s:Header><m:Odd s:mustUnderstand="1"/></s:Header><s:Body>{LIST}</s:Body>'),
            ("soap:MustUnderstand", "soap", "header block Odd"),
            id="mustUnderstand",
        ),
        pytest.param(
            envelope("<s:Body><m:Nonsense/></s:Body>"),
            ("soap:Client", "no-such-operation", "there is no such operation"),
            id="operation",
        ),
        pytest.param(
            envelope("<s:Body><ListDigitalIDs/></s:Body>"),
            ("soap:Client", "no-such-operation", "there is no such operation"),
            id="namespace",
        ),
        pytest.param(
            envelope("<s:Body><s:Fault><faultcode>s:Client</faultcode></s:Fault></s:Body>"),
            ("soap:Client", "no-such-operation", "there is no such operation"),
            id="fault",
        ),
        pytest.param(
            envelope("<s:Body><m:CreateChallenge/></s:Body>"),
            ("soap:Client", "malformed-message", "the message does not fit the WSDL"),
            id="without members",
        ),
        pytest.param(
            envelope('<s:Body><m:GetCACertificates><m:digitalId href="#x"/></m:GetCACertificates></s:Body>'),
            ("soap:Client", "malformed-message", "the message does not fit the WSDL"),
            id="href to nothing",
        ),
        pytest.param(
            envelope('<s:Body><m:GetCACertificates id="a"><m:digitalId href="#a"/></m:GetCACertificates></s:Body>'),
            ("soap:Client", "malformed-message", "the message does not fit the WSDL"),
            id="href in a circle",
        ),
        pytest.param(
            envelope("<s:Body>" + PKCS12.format("<m:legacyEncryption>maybe</m:legacyEncryption>") + "</s:Body>"),
            ("soap:Client", "malformed-message", "the message does not fit the WSDL"),
            id="no boolean",
        ),
        pytest.param(
            envelope("<s:Body>" + PKCS12.format("<m:keyType>dsa</m:keyType>") + "</s:Body>"),
            ("soap:Client", "malformed-message", "the message does not fit the WSDL"),
            id="no key type",
        ),
        pytest.param(
            envelope("<s:Body>" + PKCS12.format("<m:keyType>ec-p256</m:keyType>" * 2) + "</s:Body>"),
            ("soap:Client", "malformed-message", "the message does not fit the WSDL"),
            id="a member twice",
        ),
        pytest.param(
            envelope(
                "<s:Body><m:CreateChallenge><m:digitalId>My Phones</m:digitalId><m:variables/>"
                "</m:CreateChallenge></s:Body>"
            ),
            ("soap:Client", "missing-variable", "missing variable: firstname, lastname"),
            id="no variables",
        ),
        pytest.param(
            envelope("<s:Body>" + CHALLENGE.replace(">lastname<", ">firstname<") + "</s:Body>"),
            ("soap:Client", "malformed-message", "variables: a name stands there twice"),
            id="a variable twice",
        ),
    ],
)
def test_soap_that_is_no_call(world: World, message: bytes, fault: tuple[str, str, str]) -> None:
    assert fault_of(world.posted(message)) == (500, *fault)


def test_soap_of_another_media_type(world: World) -> None:
    answer = world.posted(envelope(f"<s:Body>{LIST}</s:Body>"), content_type="application/soap+xml")
    assert fault_of(answer) == (500, "soap:Client", "soap", "POST text/xml, as SOAP 1.1 has it")


def token(password: str, kind: str = "") -> str:
    kind = kind and f' Type="{kind}"'
    return (
        f'<s:Header><w:Security xmlns:w="{WSSE}" s:mustUnderstand="1"><w:UsernameToken><w:Username>jamf</w:Username>'
        f"<w:Password{kind}>{password}</w:Password></w:UsernameToken></w:Security></s:Header>"
    )


@pytest.mark.requirement("R-CEG-084")
def test_a_username_token_counts_where_http_has_no_password(world: World) -> None:
    assert world.soap(LIST, header=token("three"), user=None)[0] == 200
    assert fault_of(world.soap(LIST, header=token("four"), user=None))[:3] == (401, "soap:Client", "unauthorized")
    # What HTTP has comes first: a right token does not make up for a wrong password there.
    assert fault_of(world.soap(LIST, header=token("three"), user="jamf:x"))[0] == 401
    digest = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
    refused = fault_of(world.soap(LIST, header=token("three", digest), user=None))
    assert refused == (500, "soap:Client", "malformed", "the Password of a UsernameToken is PasswordText")


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(body: bytes) -> None:
    world = _any_world()
    assert world.ask("POST", f"{BASE}/v11/CreateChallenge", body).status in (400, 404, 422)
    status, _ = world.posted(body)
    assert status == 500


@given(st.sampled_from(sorted(BY_NAME)), st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=4))
def test_any_json_is_a_message_or_malformed(name: str, value: Any) -> None:
    for body in (value, {"digitalId": value}, {**ORDER, "subjectAltNames": value}, {**ORDER, "variables": value}):
        try:
            decode_json(BY_NAME[name], json.dumps(body).encode())
        except Malformed:
            continue


_WORLDS: list[World] = []


def _any_world() -> World:
    if not _WORLDS:
        _WORLDS.append(World())
    return _WORLDS[0]
