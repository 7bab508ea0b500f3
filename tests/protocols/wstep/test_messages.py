"""SOAP 1.2, WS-Addressing and WS-Trust: what is no message, what is ignored, what is refused."""

from __future__ import annotations

import pytest
from lxml import etree

from cspd.http.router import NoRoute
from cspd.http.soap12 import ADDRESSING, SOAP_12
from protocols.wstep.codec import ENROLLMENT, FAULT_ACTION, KEY_EXCHANGE_ACTION, TRUST
from tests.protocols.wstep.accounts import key_usage
from tests.protocols.wstep.world import ISSUE, NAMES, STATIC, USER_TOKEN, Answer, World, message

STRANGE = '<x:Strange xmlns:x="urn:x" s:mustUnderstand="{must}"{role}>text</x:Strange>'


@pytest.fixture
def world() -> World:
    return World()


def request(world: World) -> bytes:
    return world.csr(template_oid=None, usage=key_usage("digital_signature"))


def sent(world: World, octets: bytes, **how: str) -> Answer:
    return Answer(world.post(octets, **how))


@pytest.mark.requirement("R-CEG-010")
@pytest.mark.requirement("R-CEGI-020")
def test_other_paths_and_cas_are_404(world: World) -> None:
    for path in (
        USER_TOKEN + "x",
        USER_TOKEN.replace("/demo/", "/other/"),
        "/demo~issuing/service.svc/CES",
        "/demo~root_CES_UsernamePassword/service.svc/CES",
        "/demo~issuing_CES_Kerberos/service.svc/CES",
    ):
        assert world.post(message(), path=path).status == 404
    for word in ("certificate", "anonymous", "Usertoken", "kerberos"):  # Kerberos is off
        with pytest.raises(NoRoute):
            world.router.resolve("POST", f"/wstep/{word}/services/demo/demo~issuing")


def test_the_names_of_ad_cs_lead_to_the_same(world: World) -> None:
    path = "/demo~issuing_CES_UsernamePassword/service.svc/CES"
    assert world.issue(request(world), user=STATIC, path=path).certificate


@pytest.mark.parametrize("value_type", [f"{ENROLLMENT}#PKCS10", "urn:anything"])
def test_the_value_type_is_not_trusted(world: World, value_type: str) -> None:
    assert world.issue(request(world), user=STATIC, value_type=value_type).certificate


@pytest.mark.requirement("R-CEG-146")
def test_what_is_not_known_is_ignored(world: World) -> None:
    more = '<x:Any xmlns:x="urn:x"><t:RequestKET/></x:Any><t:Claims/>'
    header = STRANGE.format(must="0", role="") + STRANGE.format(must="1", role=' s:role="urn:somebody-else"')
    assert world.issue(request(world), user=STATIC, more=more, header=header).certificate


@pytest.mark.parametrize("role", ["", f' s:role="{SOAP_12}/role/next"', f' s:role="{SOAP_12}/role/ultimateReceiver"'])
@pytest.mark.parametrize("must", ["1", "true"])
def test_a_header_block_that_must_be_understood(world: World, must: str, role: str) -> None:
    answer = world.issue(request(world), user=STATIC, header=STRANGE.format(must=must, role=role))
    assert answer.fault[0] == "MustUnderstand"
    [block] = answer.root.iterfind("s:Header/s:NotUnderstood", NAMES)
    prefix, _, name = (block.get("qname") or "").partition(":")
    assert (block.nsmap[prefix], name) == ("urn:x", "Strange")


def test_actions(world: World) -> None:
    unknown = world.issue(request(world), user=STATIC, action="urn:another")
    assert unknown.fault[:2] == ("Sender", "ActionNotSupported")
    assert unknown.text("a:Action") == f"{ADDRESSING}/fault"
    missing = world.issue(request(world), user=STATIC, action=None)
    assert missing.fault[:2] == ("Sender", "MessageAddressingHeaderRequired")
    twice = world.issue(request(world), user=STATIC, header="<a:Action>urn:x</a:Action>")
    assert twice.fault[:2] == ("Sender", "InvalidAddressingHeader")
    exchange = world.issue(request(world), user=STATIC, action=KEY_EXCHANGE_ACTION, request_type=f"{TRUST}/KET")
    assert exchange.fault[:2] == ("Sender", "InvalidRequest")
    for answer in (unknown, missing, twice, exchange):
        # Subcodes are QNames: their prefix is declared where they stand.
        value = answer.root.find(".//s:Subcode/s:Value", NAMES)
        assert value is not None
        assert value.nsmap[(value.text or "").partition(":")[0]] in (ADDRESSING, TRUST)
        assert answer.text("a:RelatesTo") == "urn:uuid:b5d1a601-5091-4a7d-b34b-5204c18b5919"


@pytest.mark.parametrize("request_type", [None, "", f"{TRUST}/Renew", f"{TRUST}/KET", "urn:x"])
def test_request_types(world: World, request_type: str | None) -> None:
    assert world.issue(request(world), user=STATIC, request_type=request_type).fault[:2] == ("Sender", "InvalidRequest")


def test_an_issue_needs_a_token(world: World) -> None:
    for what in ({}, {"token_text": ""}, {"token_text": "%%%"}, {"token_text": "A" * 200_000}):
        answer = world.ask(user=STATIC, **what)
        assert answer.fault[:2] == ("Sender", "InvalidRequest")
        assert answer.error_code == 0x8007000D
        assert answer.text("a:Action") == FAULT_ACTION


def test_the_detail_of_a_fault(world: World) -> None:
    detail = world.ask(user=STATIC).root.find(".//w:CertificateEnrollmentWSDetail", NAMES)
    assert detail is not None
    assert [etree.QName(each).localname for each in detail] == [
        "BinaryResponse",
        "ErrorCode",
        "InvalidRequest",
        "RequestID",
    ]
    nil = "{http://www.w3.org/2001/XMLSchema-instance}nil"
    assert [each.get(nil) for each in detail] == ["true", None, None, "true"]
    assert detail[1].text == "-2147024883"


def test_soap_11_is_refused(world: World) -> None:
    old = message().replace(SOAP_12.encode(), b"http://schemas.xmlsoap.org/soap/envelope/")
    for content_type in ("text/xml; charset=utf-8", "application/soap+xml"):
        answer = sent(world, old, content_type=content_type)
        assert answer.fault[0] == "VersionMismatch"
        assert answer.root.find("s:Header/s:Upgrade/s:SupportedEnvelope", NAMES) is not None


def test_another_media_type_is_refused(world: World) -> None:
    """What a form of another site can make a browser send: with a ticket of Kerberos it would count."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert world.post(message(user=STATIC, token=request(world)), content_type=content_type).status == 415


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"no xml",
        b"<a/>",
        b'<!DOCTYPE s [<!ENTITY e "alice">]>' + message(),
        b'<?xml version="1.0" encoding="klingon"?>' + message(),
        message(body=""),
        message(body="text"),
        message(body="<t:RequestSecurityToken/><t:RequestSecurityToken/>"),
        message(body="<t:RequestSecurityTokenCollection/>"),
        message().replace(b"s:Body", b"s:Bodi"),
        message(more="<t:a>" * 70 + "</t:a>" * 70),
        message(more=f"<t:RequestType>{ISSUE}</t:RequestType>"),
        message(more="<t:a href='#b'/>").replace(b"urn:uuid", b"&e;"),
    ],
)
def test_what_is_no_message_is_a_fault(world: World, octets: bytes) -> None:
    answer = sent(world, octets)
    assert answer.fault[0] == "Sender"
    assert not world.events("certificate-issued")


def test_references_are_not_followed(world: World) -> None:
    circle = '<t:a id="b" href="#b"/><x:Include xmlns:x="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'
    answer = world.issue(request(world), user=STATIC, more=circle)
    assert answer.certificate
    assert b"root:" not in answer.response.body


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_encodings(world: World, encoding: str) -> None:
    text = message(user=STATIC, token=request(world)).decode()
    octets = f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)
    assert sent(world, octets).certificate


def test_a_failure_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*arguments: object, **values: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(world.service, "answer", fails)
    answer = world.issue(request(world), user=STATIC)
    assert answer.fault == ("Receiver", None, "internal error")
    assert b"secret" not in answer.response.body
