"""Messages made to make a reader of XML read files, grow, hang, or see what nobody has said.

Each is a message that would be answered with a certificate, with one thing done to it.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cspd.directory.values import NameFlag
from tests.protocols.wstep.accounts import template
from tests.protocols.wstep.world import ALICE, TEMPLATE_OID, USER_TOKEN, World
from tests.support import microsoft_requests as requests
from tests.support.wstep_client import (
    ACTION,
    WSSE,
    WST,
    A,
    Answer,
    envelope,
    read_fault,
    request_security_token,
    username_token,
)

SECURITY = username_token(*ALICE)
TOKEN = requests.pkcs10(
    ec.generate_private_key(ec.SECP256R1()), requests.template_by_oid(TEMPLATE_OID), requests.key_usage(0x80)
)
BODY = request_security_token(TOKEN)
GOOD = envelope(BODY, security=SECURITY)

MALFORMED = ("Sender", (WST, "InvalidRequest"))
FAILED_AUTHENTICATION = ("Sender", (WSSE, "FailedAuthentication"))
UNSUPPORTED_TOKEN = ("Sender", (WSSE, "UnsupportedSecurityToken"))
INVALID_SECURITY = ("Sender", (WSSE, "InvalidSecurity"))
INVALID_HEADER = ("Sender", (A, "InvalidAddressingHeader"))
HEADER_REQUIRED = ("Sender", (A, "MessageAddressingHeaderRequired"))
SENDER = ("Sender", None)
XI = "http://www.w3.org/2001/XInclude"


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.directory.known_templates = [template(NameFlag.SUBJECT_REQUIRE_COMMON_NAME)]
    return made


def answer(world: World, octets: bytes, content_type: str = "application/soap+xml; charset=utf-8") -> Answer:
    response = world.post(octets, content_type=content_type)
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return Answer(response.status, headers, response.body)


def with_doctype(doctype: str, *, user: str = ALICE[0]) -> bytes:
    named = SECURITY.replace(f"<wsse:Username>{ALICE[0]}<", f"<wsse:Username>{user}<")
    assert user in named
    return doctype.encode() + envelope(BODY, security=named)


def replaced(old: str, new: str, octets: bytes = GOOD) -> bytes:
    assert octets.count(old.encode()) == 1, old
    return octets.replace(old.encode(), new.encode())


def laughing() -> str:
    """Ten entities, of which each is ten times the one before."""
    entities = ['<!ENTITY l0 "ha">']
    entities += [f'<!ENTITY l{number} "{f"&l{number - 1};" * 10}">' for number in range(1, 10)]
    return f"<!DOCTYPE x [{''.join(entities)}]>"


USERNAME = f"<wsse:Username>{ALICE[0]}</wsse:Username>"
RST = f'<RequestSecurityToken PreferredLanguage="en-US" xmlns="{WST}">'
REQUEST_TYPE = f"<RequestType>{WST}/Issue</RequestType>"
HEADER = "<s:Header>"
OTHER_TOKEN = f'<wsse:BinarySecurityToken ValueType="{WSSE}#PKCS7">AAAA</wsse:BinarySecurityToken>'

ATTACKS: dict[str, tuple[bytes, tuple[str, tuple[str, str] | None]]] = {
    "an internal entity": (with_doctype('<!DOCTYPE x [<!ENTITY a "alice">]>', user="&a;"), MALFORMED),
    "an entity of a file": (
        with_doctype('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>', user="&a;"),
        MALFORMED,
    ),
    "an entity of an address": (
        with_doctype('<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:1/">]>', user="&a;"),
        MALFORMED,
    ),
    "a parameter entity": (
        with_doctype('<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>'),
        MALFORMED,
    ),
    "an external DTD": (with_doctype('<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'), MALFORMED),
    "an external DTD of a file": (with_doctype('<!DOCTYPE x PUBLIC "x" "file:///dev/zero">'), MALFORMED),
    "a DTD of nothing": (with_doctype("<!DOCTYPE x>"), MALFORMED),
    "a billion laughs": (with_doctype(laughing(), user="&l9;"), MALFORMED),
    "quadratic growth": (
        with_doctype(f'<!DOCTYPE x [<!ENTITY a "{"x" * 50_000}">]>', user="&a;" * 5_000),
        MALFORMED,
    ),
    "default attributes by a DTD": (
        with_doctype('<!DOCTYPE x [<!ATTLIST wsse:Password Type CDATA "urn:other">]>'),
        MALFORMED,
    ),
    "a DTD in UTF-16": (
        ("\ufeff" + with_doctype(laughing(), user="&l9;").decode()).encode("utf-16-le"),
        MALFORMED,
    ),
    "an entity that nobody defined": (replaced(USERNAME, "<wsse:Username>&alice;</wsse:Username>"), MALFORMED),
    "XInclude in the name": (
        replaced(
            USERNAME,
            f'<wsse:Username><xi:include xmlns:xi="{XI}" href="file:///etc/hostname" parse="text"/></wsse:Username>',
        ),
        UNSUPPORTED_TOKEN,
    ),
    "XInclude in place of the request": (
        envelope(f'<xi:include xmlns:xi="{XI}" href="file:///etc/passwd"/>', security=SECURITY),
        MALFORMED,
    ),
    "XInclude that has to be understood": (
        envelope(BODY, security=SECURITY, more=f'<xi:include xmlns:xi="{XI}" s:mustUnderstand="1" href="x"/>'),
        ("MustUnderstand", None),
    ),
    "two bodies": (replaced("</s:Body>", f"</s:Body><s:Body>{BODY}</s:Body>"), SENDER),
    "two requests in a body": (envelope(BODY + BODY, security=SECURITY), SENDER),
    "two headers": (replaced("<s:Body>", "<s:Header/><s:Body>"), SENDER),
    "a header behind the body": (replaced("</s:Body>", f"</s:Body><s:Header>{SECURITY}</s:Header>"), SENDER),
    "two tokens": (envelope(request_security_token(TOKEN, more=OTHER_TOKEN), security=SECURITY), MALFORMED),
    "two request types": (replaced(REQUEST_TYPE, REQUEST_TYPE * 2), MALFORMED),
    "two Securities": (envelope(BODY, security=SECURITY * 2), INVALID_SECURITY),
    "two UsernameTokens": (
        replaced(
            "<wsse:UsernameToken ",
            "<wsse:UsernameToken><wsse:Username>bob</wsse:Username></wsse:UsernameToken><wsse:UsernameToken ",
        ),
        INVALID_SECURITY,
    ),
    "two Usernames": (replaced(USERNAME, f"{USERNAME}<wsse:Username>bob</wsse:Username>"), UNSUPPORTED_TOKEN),
    "two Passwords": (
        replaced("</wsse:UsernameToken>", "<wsse:Password>x</wsse:Password></wsse:UsernameToken>"),
        UNSUPPORTED_TOKEN,
    ),
    "two Actions": (
        envelope(BODY, security=SECURITY, more=f"<a:Action>{ACTION}</a:Action>"),
        INVALID_HEADER,
    ),
    "two MessageIDs": (envelope(BODY, security=SECURITY, more="<a:MessageID>urn:x</a:MessageID>"), INVALID_HEADER),
    "a MessageID without end": (envelope(BODY, security=SECURITY, message_id="x" * 100_000), INVALID_HEADER),
    "the Security in the body": (
        envelope(BODY.replace(RST, RST + SECURITY)),
        FAILED_AUTHENTICATION,
    ),
    "the Security below another block": (
        envelope(BODY, more=f'<x:Wrapper xmlns:x="urn:x">{SECURITY}</x:Wrapper>'),
        FAILED_AUTHENTICATION,
    ),
    "a wrapped request": (
        envelope(f'<x:Wrapper xmlns:x="urn:x">{BODY}</x:Wrapper>', security=SECURITY),
        MALFORMED,
    ),
    "a signature that nobody verifies": (
        replaced(
            "</wsse:Security>",
            '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo/></ds:Signature></wsse:Security>',
        ),
        UNSUPPORTED_TOKEN,
    ),
    "a comment in the name": (
        replaced(USERNAME, f"<wsse:Username>{ALICE[0]}<!-- -->.admin</wsse:Username>"),
        FAILED_AUTHENTICATION,
    ),
    "an instruction in the name": (
        replaced(USERNAME, f"<wsse:Username>{ALICE[0]}<?x y?>.admin</wsse:Username>"),
        FAILED_AUTHENTICATION,
    ),
    "an element in the name": (replaced(USERNAME, f"<wsse:Username>{ALICE[0]}<b/></wsse:Username>"), UNSUPPORTED_TOKEN),
    "an element in the token": (
        replaced("</wsse:BinarySecurityToken>", "<b/></wsse:BinarySecurityToken>"),
        MALFORMED,
    ),
    "attributes without end": (
        replaced(HEADER, "<s:Header " + " ".join(f"a{number}=''" for number in range(20_001)) + ">"),
        MALFORMED,
    ),
    "namespaces without end": (
        replaced(
            HEADER,
            "<s:Header>" + "".join(f'<x{n}:a xmlns:x{n}="urn:{n}"/>' for n in range(6_000)) * 4,
        ),
        MALFORMED,
    ),
    "elements without end": (replaced(HEADER, "<s:Header>" + "<b/>" * 20_001), MALFORMED),
    "100 levels": (replaced(HEADER, "<s:Header>" + "<b>" * 100 + "</b>" * 100), MALFORMED),
    "30,000 levels": (replaced(HEADER, "<s:Header>" + "<b>" * 30_000 + "</b>" * 30_000), MALFORMED),
    "levels that nobody closes": (b"<a>" * 80_000, MALFORMED),
    "an href in a circle": (
        envelope(
            f'<RequestSecurityToken xmlns="{WST}" id="a" href="#a"/>',
            security=SECURITY,
        ),
        MALFORMED,
    ),
    "an href into nothing": (
        envelope(f'<RequestSecurityToken xmlns="{WST}" href="#nothing"/>', security=SECURITY),
        MALFORMED,
    ),
    "SOAP 1.1": (
        GOOD.replace(b"http://www.w3.org/2003/05/soap-envelope", b"http://schemas.xmlsoap.org/soap/envelope/"),
        ("VersionMismatch", None),
    ),
    "no envelope": (BODY.replace("wsse:", "").replace("wsu:", "").replace("xsi:", "").encode(), SENDER),
    "a charset that is none": (b'<?xml version="1.0" encoding="nonsense"?>' + GOOD, MALFORMED),
    "a charset that is not true": (b'<?xml version="1.0" encoding="utf-16"?>' + GOOD, MALFORMED),
    "octets that are not UTF-8": (
        replaced(USERNAME, "<wsse:Username>@</wsse:Username>").replace(b"@", b"\xff\xfe"),
        MALFORMED,
    ),
    "a character that XML has not": (replaced(USERNAME, "<wsse:Username>&#0;</wsse:Username>"), MALFORMED),
    "NUL": (GOOD + b"\0", MALFORMED),
    "two documents": (GOOD + GOOD, MALFORMED),
    "half a document": (GOOD[: len(GOOD) // 2], MALFORMED),
    "nothing": (b"", MALFORMED),
    "white space": (b" \r\n ", MALFORMED),
    "JSON": (b'{"Envelope": {}}', MALFORMED),
    "an empty body": (envelope("", security=SECURITY), SENDER),
    "a body of text": (envelope("Issue", security=SECURITY), SENDER),
    "text beside the request": (envelope("Issue" + BODY, security=SECURITY), SENDER),
    "no header": (
        f'<s:Envelope xmlns:s="{"http://www.w3.org/2003/05/soap-envelope"}"><s:Body><a/></s:Body></s:Envelope>'.encode(),
        HEADER_REQUIRED,
    ),
}


def test_without_the_attack_each_would_be_answered(world: World) -> None:
    assert answer(world, GOOD).status == 200
    assert answer(world, b'<?xml version="1.0" encoding="utf-8"?>\r\n<!-- x --><?y z?>' + GOOD).status == 200
    assert answer(world, ("\ufeff" + GOOD.decode()).encode("utf-16-le")).status == 200


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(world: World, name: str) -> None:
    octets, expected = ATTACKS[name]
    assert len(octets) <= 1 << 20
    fault = read_fault(answer(world, octets))
    assert (fault.code, fault.subcode) == expected, fault
    assert "root:" not in fault.reason


def test_attributes_may_be_long_and_mean_nothing(world: World) -> None:
    long = "x" * 200_000
    assert answer(world, replaced(RST, RST.replace(">", f' b="{long}">'))).status == 200


def test_references_are_not_followed(world: World) -> None:
    """``id`` and ``href`` are of SOAP 1.1's encoding, and of no protocol here."""
    assert answer(world, replaced(RST, RST.replace(">", ' id="a" href="#a">'))).status == 200


def test_octets_are_counted_before_anybody_reads_them(world: World) -> None:
    assert world.router.resolve("POST", USER_TOKEN).route.max_body_bytes == 256 * 1024
