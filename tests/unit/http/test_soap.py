"""Envelopes are read before anybody acts on them. What is wrong with one has its table in the tests of protocols."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cspd.http.soap import SOAP_11, WSSE, FaultCode, SOAPFault, encode_fault, read_envelope
from cspd.http.xml import read_xml
from cspd.refusals import Malformed

BODY = "<s:Body><call/></s:Body>"


def envelope(inside: str) -> bytes:
    return f'<?xml version="1.0"?><s:Envelope xmlns:s="{SOAP_11}" xmlns:w="{WSSE}">{inside}</s:Envelope>'.encode()


def test_an_envelope() -> None:
    read = read_envelope(envelope(f"<s:Header><x/></s:Header><!-- a comment -->{BODY}"))
    assert read.header is not None
    assert read.call.tag == "call"
    assert read.username_token() is None
    assert read_envelope(envelope(BODY)).header is None


@pytest.mark.parametrize("value", ["1", "true", " 1 "])
def test_header_blocks_that_have_to_be_understood_are_or_are_not(value: str) -> None:
    header = f'<s:Header><x s:mustUnderstand="{value}"/></s:Header>'
    with pytest.raises(SOAPFault, match="header block x") as fault:
        read_envelope(envelope(header + BODY))
    assert fault.value.fault_code is FaultCode.MUST_UNDERSTAND
    read_envelope(envelope(header + BODY), understood=["x"])
    read_envelope(envelope('<s:Header><x s:mustUnderstand="0"/></s:Header>' + BODY))


def test_a_username_token() -> None:
    token = "<w:UsernameToken><w:Username>ann</w:Username><w:Password>s&lt;</w:Password></w:UsernameToken>"
    read = read_envelope(envelope(f"<s:Header><w:Security>{token}</w:Security></s:Header>{BODY}"))
    found = read.username_token()
    assert found is not None
    assert (found.user, found.password) == ("ann", "s<")
    assert "s<" not in repr(found)


@pytest.mark.parametrize(
    "token",
    [
        "<w:Username>ann</w:Username>",
        "<w:Password>x</w:Password>",
        "<w:Username>ann</w:Username><w:Password>x<y/></w:Password>",
        '<w:Username>ann</w:Username><w:Password Type="urn:digest">x</w:Password>',
    ],
)
def test_odd_username_tokens(token: str) -> None:
    header = f"<s:Header><w:Security><w:UsernameToken>{token}</w:UsernameToken></w:Security></s:Header>"
    with pytest.raises(Malformed):
        read_envelope(envelope(header + BODY)).username_token()


@given(st.text())
def test_any_reason_goes_into_a_fault(reason: str) -> None:
    body = encode_fault(FaultCode.SERVER, reason, code="odd", request_id="r-1")
    fault = etree.fromstring(body)[0][0]
    assert fault.findtext("faultcode") == "soap:Server"
    assert len(fault.findtext("faultstring") or "") == len(reason)
    assert fault.findtext("detail/refusal/code") == "odd"


@given(st.binary(max_size=300))
def test_any_bytes_are_xml_or_malformed(document: bytes) -> None:
    try:
        read_xml(document)
    except Malformed:
        return


def test_what_is_not_well_formed_is_told_by_its_place_without_what_is_there() -> None:
    with pytest.raises(Malformed) as refused:
        read_xml(b"<Password>a&secret;c</Password>")
    assert refused.value.reason == "not well-formed XML"
    assert "at (1, " in refused.value.detail
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><a/>',
        "<a>&x;</a>",
    ],
)
def test_nothing_is_fetched_and_nothing_expands(document: str) -> None:
    with pytest.raises(Malformed):
        read_xml(document.encode())
